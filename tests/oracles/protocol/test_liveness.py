"""The liveness oracle of the kernel model: attempts at an idle page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace.installed import run_one
from mmrace.oracles.general.judgement import Verdict
from mmrace.oracles.protocol import liveness
from mmrace.oracles.protocol.attempts import ATTEMPTS_MAX
from mmrace.runs.spec import RunSpec
from mmrace.runtime.kinds import Kind
from mmrace.scenarios import scenario
from mmrace.scenarios.casts import SCENARIOS
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown


def _hand() -> Hand:
    return Hand("migrator", "committer", "reader", daemons=("flusher",))


def test_liveness_oracle_still_judges_as_the_general_one() -> None:
    hand = _hand().exit("reader")
    hand.end = {"how": "bound", "detail": {"kind": "livelock", "tasks": [{"task": "reader", "waits_for": "its CPU"}]}}
    caught(liveness.judge(hand.record()), "livelock")


def _attempts(hand: Hand, times: int, rc: str = "-EAGAIN") -> Hand:
    for _ in range(times):
        hand.op("migrator", Kind.YIELD, "cpu:0.tasks")  # a pass over the list may give way before each page
        hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC")
        hand.lock("migrator", "page:0").freeze("migrator", "page:0._count", 2, ok=False).unlock("migrator", "page:0")
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


def test_liveness_oracle_excuses_a_task_that_came_to_migrate_from_where_it_uses_the_page() -> None:
    """It allocates while it reads, and so compacts: what it holds itself keeps its page, until it is through."""
    hand = _attempts(_idle_page().get("migrator", "page:0._count", "lookup", 3), ATTEMPTS_MAX)
    passed(liveness.judge(hand.put("migrator", "page:0._count", "lookup", 2).record()))
    building = _attempts(_idle_page().lock("migrator", *LOCKS[0]), ATTEMPTS_MAX)
    passed(liveness.judge(building.unlock("committer", *LOCKS[0]).record()))
    caught(
        liveness.judge(_attempts(_idle_page().lock("migrator", *LOCKS[0]), ATTEMPTS_MAX).record()), "idle page refused"
    )
    again = _attempts(_idle_page().get("migrator", "page:0._count", "lookup", 3), ATTEMPTS_MAX)
    again.get("migrator", "page:0._count", "lookup", 4).put("migrator", "page:0._count", "lookup", 3)
    caught(liveness.judge(again.record()), "idle page refused")


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
    journalled = _idle_page().get("migrator", "bh:1.b_count", "jh", 1)
    in_pagevec = _idle_page().get("migrator", "page:0._count", "pagevec", 3)
    for hand in (pinned, journalled, in_pagevec):
        passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()))


LOCKS = [("bh:1", "BH_Lock", "b_state"), ("page:0", "PG_writeback", "flags")]


@pytest.mark.parametrize("lock", LOCKS)
def test_liveness_oracle_passes_on_a_page_with_a_lock_that_is_dropped_later(lock: tuple[str, str, str]) -> None:
    hand = _attempts(_idle_page().lock("committer", *lock), ATTEMPTS_MAX)
    passed(liveness.judge(hand.unlock("committer", *lock).record()))


@pytest.mark.parametrize("lock", LOCKS)
def test_liveness_oracle_takes_a_leaked_lock_for_no_excuse_and_names_its_holder(lock: tuple[str, str, str]) -> None:
    """BUGGY: nobody drops it any more."""
    hand = _attempts(_idle_page().lock("committer", *lock), ATTEMPTS_MAX)
    finding = caught(liveness.judge(hand.record()), "idle page refused")
    assert finding.title.endswith(f"for it is held: {lock[1]} by committer since event 3")


def test_liveness_oracle_excuses_a_lock_whose_holder_was_cut_off() -> None:
    hand = _attempts(_idle_page().lock("committer", *LOCKS[0]), ATTEMPTS_MAX)
    hand.end = {"how": "bound", "detail": {"kind": "cut", "tasks": []}}
    unknown(liveness.judge(hand.record()))
    gone = _attempts(_idle_page().lock("committer", *LOCKS[0]).exit("committer"), ATTEMPTS_MAX)
    gone.end = hand.end
    caught(liveness.judge(gone.record()), "idle page refused")


def test_liveness_oracle_passes_on_a_reference_that_was_renamed_to_a_holders() -> None:
    hand = _idle_page().get("reader", "page:0._count", "private", 3)
    hand.note("reader", "rename", hand.lane("page:0", "_count"), "private", "pagevec")
    passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()))


def test_liveness_oracle_takes_a_leak_for_no_excuse_and_names_it() -> None:
    hand = _idle_page().get("reader", "page:0._count", "hwpoison", 3)
    finding = caught(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()), "idle page refused")
    assert finding.facts["held"] == [{"what": "hwpoison", "task": "reader", "step": 3, "site": None}]
    gone = _idle_page().get("reader", "page:0._count", "lookup", 3).exit("reader")
    finding = caught(liveness.judge(_attempts(gone, ATTEMPTS_MAX).record()), "idle page refused")
    assert finding.title.endswith("for it is held: lookup by reader since event 3")


def test_liveness_oracle_excuses_refusals_by_a_task_that_still_holds_the_page() -> None:
    hand = _idle_page().get("reader", "page:0._count", "lookup", 3)
    passed(liveness.judge(_attempts(hand, ATTEMPTS_MAX).record()))


@pytest.mark.slow
def test_an_actor_that_idles_to_the_bound_is_no_livelock() -> None:
    """It was called one, on the correct protocol: three actors that idle for up to 10,000 points look at nothing."""
    spec = RunSpec("migrate-vs-reclaim", (("idle", 10_000),), engine="fiber", strategy="random")
    bounded = 0
    for seed in range(20):
        result = run_one(replace(spec, seed=seed), keep_record=True)
        assert result.record is not None
        if result.record.end["how"] == "bound":
            bounded += 1
            assert (result.record.end["detail"]["kind"], result.verdict) == ("cut", Verdict.UNKNOWN)
        if bounded == 2:
            return
    raise AssertionError("no run came to its bound")


@pytest.mark.slow
@pytest.mark.parametrize("steps", [60, 150, 400, 1500, 2500])
def test_a_bound_anywhere_in_the_correct_protocol_is_no_finding(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In set-up, and where a task had just become able to go on, others were once told to be starved."""
    monkeypatch.setattr(scenario, "STEPS_SET_UP", steps)
    monkeypatch.setattr(scenario, "STEPS_PER_ROUND", 0)
    for cast in SCENARIOS:
        if cast.needs_workload:
            continue
        result = run_one(RunSpec(cast.name, (), engine="fiber", strategy="random"), keep_record=True)
        assert result.record is not None
        if result.record.end["how"] == "bound":
            assert (result.record.end["detail"]["kind"], result.findings) == ("cut", [])
            assert result.verdict == Verdict.UNKNOWN
