"""A record is a history that could have been done one op at a time: under control because it was, under `free` by the
stamps that each op got while it owned its object."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.kinds import SHIFT, Kind
from mmrace.runtime.noise import PROFILES
from mmrace.runtime.record import Record
from tests.runtime.contended import contended
from tests.runtime.engines import Outcome, Setup, box, free, gate
from tests.runtime.linear import History, assert_stamps

SEEDS = 6


def judged(outcome: Outcome) -> History:
    """Assert that a contended run finished and reads as a history."""
    assert outcome.how == "finished", outcome.record.end
    history = History(outcome.record).play()
    assert history.read_from > 200
    return history


def test_a_controlled_record_is_a_history(controlled: Setup) -> None:
    judged(controlled(contended))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("profile", PROFILES)
def test_a_free_record_is_a_linear_extension(profile: str, seed: int) -> None:
    outcome = free(contended, profile, seed=seed)
    judged(outcome)
    assert isinstance(outcome.engine, FreeEngine)
    assert assert_stamps(outcome.engine, outcome.record) > 200


@pytest.mark.repeat(5)
def test_a_free_run_hammered_on_one_object_is_a_linear_extension() -> None:
    def main() -> None:
        shared = box()

        def hammer() -> None:
            for i in range(60):
                shared.x += 1
                shared.count.get("gup")
                shared.words.write(i % 2, shared.x)
                shared.count.put("gup")

        for i in range(4):
            rt.spawn(hammer, cpu=i)
        rt.join_others()

    outcome = free(main, "shuffle")
    History(outcome.record).play()
    assert isinstance(outcome.engine, FreeEngine)
    assert assert_stamps(outcome.engine, outcome.record) > 4 * 60 * 6


def test_each_tasks_events_keep_their_order_in_the_merged_record(noisy: Setup) -> None:
    outcome = noisy(contended)
    for task in outcome.engine.tasks:
        assert [event for event in outcome.record.events if event[0] == task.id] == task.events


# -- the judge itself: it must refuse what it is there to refuse

BASE = 10
LANES = {
    10: ("Box", "box:0", "x", ""),
    11: ("Box", "box:0", "count", ""),
    12: ("Box", "box:0", "flags", ""),
    13: ("Box", "box:0", "flags", "LOCKED"),
    14: ("Box", "box:0", "flags", "LOCKED.queue"),
    15: ("Box", "box:0", "spin", ""),
}
X, COUNT, WORD, BIT, QUEUE, SPIN = LANES
Event = tuple[int, Kind, int, Any, Any]
IMPOSSIBLE: dict[str, list[Event]] = {
    "a stale read": [(0, Kind.WRITE, X, 0, 1), (1, Kind.READ, X, 0, None)],
    "a write over what is not there": [(0, Kind.WRITE, X, 0, 1), (1, Kind.WRITE, X, 2, 3)],
    "a lost get": [(0, Kind.GET, COUNT, "a", 1), (1, Kind.GET, COUNT, "b", 1)],
    "a freeze of another count": [(0, Kind.GET, COUNT, "a", 1), (1, Kind.FREEZE, COUNT, 2, True)],
    "a get of a frozen count": [(0, Kind.FREEZE, COUNT, 1, True), (1, Kind.GET_UNLESS_ZERO, COUNT, "a", 2)],
    "a bit that is set twice from clear": [
        (0, Kind.TEST_AND_SET, BIT, False, None), (1, Kind.TEST_AND_SET, BIT, False, None),
    ],
    "a load that misses a bit": [(0, Kind.SET, BIT, False, None), (1, Kind.LOAD, WORD, 0, None)],
    "a bit that a store cleared": [(0, Kind.STORE, WORD, 1, 0), (1, Kind.TEST, BIT, True, None)],
    "two holders": [(0, Kind.ACQUIRE, SPIN, None, None), (1, Kind.ACQUIRE, SPIN, None, None)],
    "a try that takes a held lock": [(0, Kind.ACQUIRE, SPIN, None, None), (1, Kind.TRY, SPIN, True, None)],
    "a try that fails on a free lock": [(1, Kind.TRY, SPIN, False, None)],
    "a sleep without a wake": [(0, Kind.QUEUE, QUEUE, True, None), (0, Kind.SLEEP, QUEUE, None, None)],
    "a wake out of turn": [
        (0, Kind.QUEUE, QUEUE, True, None), (1, Kind.QUEUE, QUEUE, True, None), (0, Kind.WAKE, QUEUE, 1, (1,)),
    ],
    "an op of a task that was not spawned": [(2, Kind.READ, X, 0, None)],
    "a join before the exit": [(0, Kind.JOIN, X, 1, None)],
    "an op after the exit": [(1, Kind.EXIT, X, (), None), (1, Kind.READ, X, 0, None)],
}  # fmt: skip


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_judge_refuses(what: str) -> None:
    start: list[Event] = [(0, Kind.BEGIN, 1, None, None), (0, Kind.SPAWN, 1, 1, None), (1, Kind.BEGIN, 2, None, None)]
    tasks = [{"id": i, "name": f"t{i}", "cpu": 0, "daemon": False} for i in range(3)]
    events = [(task, lane << SHIFT | kind, a, b) for task, kind, lane, a, b in start + IMPOSSIBLE[what]]
    History(Record({}, events[:-1], table=dict(LANES), tasks=tasks)).play()
    with pytest.raises(AssertionError, match=f"step {len(events) - 1}: "):
        History(Record({}, events, table=dict(LANES), tasks=tasks)).play()


def test_the_judge_passes_a_quiet_program() -> None:
    def main() -> None:
        shared = box()
        shared.x += 1
        shared.flags.store(shared.flags.load() | 1)

    History(gate(main).record).play()
