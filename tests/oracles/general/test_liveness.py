"""The liveness oracle: standstills, bounds and sleeps."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import pytest

from mmrace import runtime as rt
from mmrace.oracles.general import liveness
from mmrace.oracles.general.judgement import Judgement
from mmrace.runtime import standstill
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.runtime.task import Task
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed, unknown

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


def test_liveness_oracle_catches_starvation_and_names_what_was_tried_in_vain() -> None:
    hand = _hand().exit("migrator")
    lane = hand.lane("page:0", "flags", "PG_locked")
    rows = [{"task": "reader", "waits_for": "a try that succeeds", "lane": lane, "tries": 40, "at": "f:trylock_page"}]
    hand.end = {"how": "bound", "detail": {"kind": "starvation", "tasks": rows, "starved": ["reader"]}}
    finding = caught(liveness.judge(hand.record()), "starvation")
    assert finding.title == "starvation: reader waits for a try that succeeds on page:0.flags.PG_locked"
    assert isinstance(finding.facts["tasks"], list)
    assert finding.facts["tasks"][0]["tries"] == 40


def test_liveness_oracle_tells_a_cycle_and_a_lost_wakeup_at_a_bound_from_a_livelock() -> None:
    for kind in ("cycle", "lost-wakeup", "livelock"):
        caught(liveness.judge(_ended("bound", **{**CYCLE, "kind": kind}).record()), kind)


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


# -- what a bound that is reached was: small programs, each with its planted bug and its correct twin ----------


BOUND = 600  # ops: many times what each program needs that ends


class Bits(IntEnum):
    """A sleeping lock, and a bit to wait for."""

    LOCKED = 0
    READY = 1


class Box(rt.Struct):
    """What the programs share."""

    flags = rt.flag_word(Bits, waitable=(Bits.LOCKED, Bits.READY))
    one = rt.mutex()
    two = rt.mutex()
    count = rt.refcount()
    x: rt.Field[int] = rt.shared(0)


def _live(*actors: Callable[[Box], None], turn: int = 1) -> Judgement:
    """Run the actors beside each other, in fair turns, and judge."""

    def main() -> None:
        box = Box("box")
        box.count.get("owner")
        for actor in actors:
            rt.spawn(actor, box, name=actor.__name__.strip("_"), cpu=None)
        rt.join_others()

    engine = GateEngine(RoundRobin(turn), ncpus=1, steps_max=BOUND)
    engine.run(main)
    assert engine.error is None
    return liveness.judge(Record.of_run(engine, {"engine": "gate"}, {}))


def _works(box: Box) -> None:
    """Get something done, again and again."""
    for turn in range(10_000):
        rt.schedule()
        rt.note("round", "worker", turn)


def _works_a_while(box: Box) -> None:
    for turn in range(20):
        rt.schedule()
        rt.note("round", "worker", turn)


def _spins(box: Box) -> None:
    for _ in range(10_000):
        rt.schedule()


def _keeps_the_lock(box: Box) -> None:
    """BUGGY, if somebody tries for it meanwhile: it never lets go."""
    rt.mutex_lock(box.one)
    _works(box)


def _keeps_the_lock_a_while(box: Box) -> None:
    rt.mutex_lock(box.one)
    _works_a_while(box)
    rt.mutex_unlock(box.one)


def _tries(box: Box) -> None:
    while not rt.mutex_trylock(box.one):
        rt.schedule()
    rt.mutex_unlock(box.one)


def _polls(box: Box) -> None:
    while not box.x:
        rt.schedule()


def _freezes(box: Box) -> None:
    while not box.count.freeze(2):
        rt.schedule()


def _sets_and_works(box: Box) -> None:
    box.x = 1
    _works_a_while(box)


@pytest.mark.parametrize(
    ("actors", "told"),
    [
        ((_keeps_the_lock, _tries), "a try that succeeds on box.one"),
        ((_works, _polls), "a try that succeeds on box.x"),
        ((_works, _freezes), "a try that succeeds on box.count"),
    ],
)
def test_liveness_oracle_catches_a_task_that_only_tries_while_others_get_on(
    actors: tuple[Callable[[Box], None], ...], told: str
) -> None:
    finding = caught(_live(*actors), "starvation")
    assert finding.title == f"starvation: {actors[1].__name__.strip('_')} waits for {told}"


def test_liveness_oracle_passes_on_their_correct_twins() -> None:
    passed(_live(_keeps_the_lock_a_while, _tries))
    passed(_live(_sets_and_works, _polls))


def test_liveness_oracle_does_not_call_it_starvation_if_all_get_on_or_idle() -> None:
    def idles(box: Box) -> None:
        for _ in range(10_000):
            rt.schedule()

    unknown(_live(_works, _works))
    unknown(_live(_works, idles))


def test_liveness_oracle_calls_it_a_livelock_if_all_look_in_vain() -> None:
    caught(_live(_polls, _polls), "livelock")


def test_liveness_oracle_does_not_know_of_a_task_that_may_only_count() -> None:
    """The idle loop of an actor is one: a bound on a long one was once called a livelock."""
    assert "cut" in unknown(_live(_spins, _spins))
    assert "cut" in unknown(_live(_spins, _polls))


def _up(box: Box) -> None:
    """BUGGY beside `_down`: an inversion."""
    rt.mutex_lock(box.one)
    for _ in range(8):
        rt.schedule()
    rt.mutex_lock(box.two)
    rt.mutex_unlock(box.two)
    rt.mutex_unlock(box.one)


def _down(box: Box) -> None:
    rt.mutex_lock(box.two)
    for _ in range(8):
        rt.schedule()
    rt.mutex_lock(box.one)
    rt.mutex_unlock(box.one)
    rt.mutex_unlock(box.two)


@pytest.mark.parametrize("other", [_works, _spins])
def test_liveness_oracle_finds_a_cycle_beside_a_task_that_runs_on(other: Callable[[Box], None]) -> None:
    finding = caught(_live(_up, _down, other), "cycle")
    assert set(finding.facts["cycle"]) == {"up", "down"}  # type: ignore[arg-type]


def test_liveness_oracle_passes_on_one_order_beside_a_task_that_runs_on() -> None:
    passed(_live(_up, _up, _works_a_while))


def _sleeps(box: Box) -> None:
    entry = rt.prepare_to_wait(box.flags.queue(Bits.READY), None)
    entry.holds = lambda: box.flags.peek(Bits.READY)
    rt.sleep_on(entry)
    rt.finish_wait(entry)


def _forgets_to_wake(box: Box) -> None:
    """BUGGY: sets the bit and wakes nobody."""
    rt.set_bit(box.flags, Bits.READY)
    _spins(box)


def _wakes(box: Box) -> None:
    for _ in range(8):
        rt.schedule()
    rt.set_bit(box.flags, Bits.READY)
    rt.wake_up_bit(box.flags, Bits.READY)


def test_liveness_oracle_tells_a_lost_wakeup_beside_a_spinner_from_a_livelock() -> None:
    assert "sleeps" in caught(_live(_sleeps, _forgets_to_wake), "lost-wakeup").title
    passed(_live(_sleeps, _wakes))


def test_a_task_that_became_able_to_go_on_just_before_the_bound_is_not_starved() -> None:
    root, other, late = (Task(i, name, None, None, 0) for i, name in enumerate(("main", "other", "late")))
    late.on = True
    worked = [(1, NOTE, "round", ("other", 1)), *[(1, 8, None, None)] * standstill.TRIES_MIN]
    assert standstill.bound([root, other, late], worked, 100)["kind"] == "cut"
