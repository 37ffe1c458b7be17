"""The liveness oracle: standstills, bounds, sleeps, and attempts at an idle page."""

from __future__ import annotations

from mmrace.oracles import liveness
from mmrace.oracles.attempts import ATTEMPTS_MAX
from mmrace.runtime.kinds import Kind
from tests.oracles.claims import caught, passed, unknown
from tests.oracles.hand import Hand

CYCLE = {
    "kind": "cycle",
    "tasks": [
        {
            "task": "committer",
            "waits_for": "wake on bh:1.b_state.BH_Lock",
            "held_by": "migrator",
            "at": "f:lock_buffer",
        },
        {
            "task": "migrator",
            "waits_for": "mapping:5.tree_lock",
            "held_by": "committer",
            "taken_at": "g:spin_lock",
        },
        {"task": "flusher", "waits_for": "wake on journal:0.j_wait_commit", "held_by": None},
    ],
    "cycle": ["committer", "migrator"],
    "lost": [],
}


def _hand() -> Hand:
    return Hand("migrator", "committer", "reader", daemons=("flusher",))


def _ended(how: str, **detail: object) -> Hand:
    hand = _hand().exit("reader")
    hand.end = {"how": how, "detail": detail}
    return hand


def test_liveness_oracle_passes_on_a_run_that_finished() -> None:
    passed(liveness.judge(_hand().exit("migrator").record()))


def test_liveness_oracle_catches_a_deadlock_and_says_who_holds_what() -> None:
    finding = caught(liveness.judge(_ended("deadlock", **CYCLE).record()), "cycle")
    assert finding.title == (
        "cycle: committer waits for wake on bh:1.b_state.BH_Lock, held by migrator; "
        "migrator waits for mapping:5.tree_lock, held by committer, taken at g:spin_lock"
    )
    assert finding.facts["cycle"] == ["committer", "migrator"]
    assert isinstance(finding.facts["tasks"], list)
    assert len(finding.facts["tasks"]) == 3


def test_liveness_oracle_gives_the_same_deadlock_on_other_objects_the_same_signature() -> None:
    rows = [dict(row) for row in CYCLE["tasks"]]  # type: ignore[call-overload]
    rows[0]["waits_for"], rows[1]["waits_for"] = "wake on bh:7.b_state.BH_Lock", "mapping:6.tree_lock"
    one = caught(liveness.judge(_ended("deadlock", **CYCLE).record()), "cycle")
    two = caught(liveness.judge(_ended("deadlock", **{**CYCLE, "tasks": rows[::-1]}).record()), "cycle")
    assert one.signature == two.signature


def test_liveness_oracle_catches_a_lost_wakeup() -> None:
    rows = [
        {
            "task": "reader",
            "waits_for": "wake on page:0.flags.PG_locked",
            "held_by": None,
            "condition_holds": True,
        },
        {"task": "committer", "waits_for": "end of reader", "held_by": "reader"},
    ]
    hand = _ended("deadlock", kind="lost-wakeup", tasks=rows, cycle=[], lost=["reader"])
    finding = caught(liveness.judge(hand.record()), "lost-wakeup")
    assert "though its condition holds" in finding.title
    assert "committer" not in finding.title


def test_liveness_oracle_catches_a_task_that_is_stuck() -> None:
    rows = [
        {"task": "reader", "waits_for": "wake on page:0.flags.PG_locked", "held_by": "bh:1"},
        {"task": "flusher", "waits_for": "wake on journal:0.j_wait_commit", "held_by": None},
    ]
    finding = caught(liveness.judge(_ended("deadlock", kind="stuck", tasks=rows).record()), "stuck")
    assert finding.title == "stuck: reader waits for wake on page:0.flags.PG_locked, held by bh:1"


def test_liveness_oracle_catches_a_livelock() -> None:
    caught(liveness.judge(_ended("bound", kind="livelock", tasks=CYCLE["tasks"]).record()), "livelock")


def test_liveness_oracle_does_not_know_of_a_run_that_was_cut_in_progress() -> None:
    assert "bound" in unknown(liveness.judge(_ended("bound", kind="cut", tasks=[]).record()))


def test_liveness_oracle_does_not_know_of_a_run_that_another_oracle_ended() -> None:
    assert "violation" in unknown(liveness.judge(_ended("violation", oracle="bug-on").record()))


def test_liveness_oracle_does_not_know_of_a_record_without_tasks_ends() -> None:
    unknown(liveness.judge(_hand().record()))


def test_liveness_oracle_passes_on_a_sleep_that_was_woken() -> None:
    hand = _hand().queue("reader", "page:0", "PG_locked").wake("migrator", "page:0", "PG_locked", "reader")
    passed(liveness.judge(hand.sleep("reader", "page:0", "PG_locked").record()))


def test_liveness_oracle_catches_a_sleep_that_nobody_woke() -> None:
    hand = _hand().wake("migrator", "page:0", "PG_locked", "reader").queue("reader", "page:0", "PG_locked")
    caught(liveness.judge(hand.sleep("reader", "page:0", "PG_locked").record()), "sleep without wake")


# -- attempts ----------


def _attempts(hand: Hand, times: int, rc: str = "-EAGAIN") -> Hand:
    for _ in range(times):
        hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC")
        hand.lock("migrator", "page:0").freeze("migrator", "page:0._count", 2, ok=False).unlock(
            "migrator", "page:0"
        )
        hand.note("migrator", "migrate-end", "page:0", "page:1", "MIGRATE_SYNC", rc, "freeze")
    return hand


def _idle_page() -> Hand:
    """page:0 as its isolator sees it; bh:1 hangs on it."""
    hand = _hand().get("reader", "page:0._count", "slot", 1).get("migrator", "page:0._count", "isolation", 2)
    return hand.write("reader", "bh:1.b_page", "page:0")


def test_liveness_oracle_catches_an_idle_page_that_is_refused_for_ever() -> None:
    finding = caught(liveness.judge(_attempts(_idle_page(), ATTEMPTS_MAX).record()), "idle page refused")
    assert finding.facts["reasons"] == ["freeze"] * ATTEMPTS_MAX


def test_liveness_oracle_catches_a_page_that_its_own_migrator_pins() -> None:
    """BUGGY: the back-out leaks a reference, and later attempts fail for it."""
    hand = _idle_page().get("migrator", "page:0._count", "lookup", 3)
    caught(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()), "idle page refused")


def test_liveness_oracle_passes_on_fewer_attempts() -> None:
    passed(liveness.judge(_attempts(_idle_page(), ATTEMPTS_MAX - 1).record()))


def test_liveness_oracle_passes_on_refusals_of_another_kind() -> None:
    passed(liveness.judge(_attempts(_idle_page(), ATTEMPTS_MAX, "-EBUSY").record()))


def test_liveness_oracle_passes_on_attempts_with_a_success_in_between() -> None:
    hand = _attempts(_attempts(_idle_page(), ATTEMPTS_MAX - 1), 1, "0")
    passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX - 1).record()))


def test_liveness_oracle_passes_on_a_page_that_others_touch() -> None:
    for path in ("page:0.mapping", "bh:1.b_blocknr"):
        hand = _attempts(_idle_page(), ATTEMPTS_MAX // 2).op("reader", Kind.READ, path)
        passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX // 2).record()))


def test_liveness_oracle_passes_on_a_page_that_somebody_holds() -> None:
    pinned = _idle_page().get("reader", "page:0._count", "gup", 3)
    locked = _idle_page().lock("committer", "bh:1", "BH_Lock", "b_state")
    written = _idle_page().lock("committer", "page:0", "PG_writeback")
    journalled = _idle_page().get("migrator", "bh:1.b_count", "jh", 1)
    in_pagevec = _idle_page().get("migrator", "page:0._count", "pagevec", 3)
    for hand in (pinned, locked, written, journalled, in_pagevec):
        passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()))


def test_liveness_oracle_passes_on_a_reference_that_was_renamed_to_a_holders() -> None:
    hand = _idle_page().get("reader", "page:0._count", "private", 3)
    hand.note("reader", "rename", hand.lane("page:0", "_count"), "private", "pagevec")
    passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()))
