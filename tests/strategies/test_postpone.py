"""Postponing: a predicted cycle is made to happen, a wrong prediction does no harm."""

from __future__ import annotations

import random

import pytest

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import SHIFT
from mmrace.strategies.postpone import Postpone, Want, parse_wants
from mmrace.strategies.registry import sampler
from tests.runtime.engines import Box, Flag, Outcome, Program, box, explore, fiber

RUNS = 100
Lanes = dict[str, int]


def rare(kind: str, lanes: Lanes, tasks: int = 2) -> Program:
    """Make a program whose tasks take locks in a ring, at moments that random walks do not bring together."""

    def main() -> None:
        with rt.fixed_order():
            boxes = [box(i) for i in range(tasks)]
        for i, each in enumerate(boxes):
            lanes[f"lock{i}"] = (each.mutex.code if kind == "mutex" else each.flags.bit_code(Flag.LOCKED)) >> SHIFT
            lanes[f"queue{i}"] = each.flags.queue(Flag.LOCKED).code >> SHIFT

        def take(each: Box) -> None:
            if kind == "mutex":
                rt.mutex_lock(each.mutex)
            else:
                rt.bit_lock(each.flags, Flag.LOCKED)

        def drop(each: Box) -> None:
            if kind == "mutex":
                rt.mutex_unlock(each.mutex)
            else:
                rt.bit_unlock(each.flags, Flag.LOCKED)

        def work(number: int) -> None:
            """BUGGY: another order for the last task."""
            for _ in range(30 * number):
                _ = boxes[number].x
            take(boxes[number])
            take(boxes[(number + 1) % tasks])
            drop(boxes[(number + 1) % tasks])
            drop(boxes[number])

        for i in range(tasks):
            rt.spawn(work, i, name=f"t{i}", cpu=i)

    return main


def postpone(main: Program, wants: tuple[Want, ...], seed: object) -> Outcome:
    """Run a program that heads for a cycle."""
    return fiber(main, Postpone(wants, random.Random(str(seed)).random))


def cycle(lanes: Lanes, tasks: int, held: bool) -> tuple[Want, ...]:
    """Return the cycle of `rare`."""
    return tuple(
        Want(f"t{i}", lanes[f"{lane}{(i + 1) % tasks}"], lanes[f"lock{i}"] if held else None)
        for i in range(tasks)
        for lane in ("lock", "queue")
    )


@pytest.mark.slow
@pytest.mark.parametrize("held", [False, True], ids=["any", "held"])
@pytest.mark.parametrize("tasks", [2, 3])
@pytest.mark.parametrize("kind", ["mutex", "bit"])
def test_a_cycle_that_random_walks_hardly_ever_meet_is_met_in_every_run(kind: str, tasks: int, held: bool) -> None:
    lanes: Lanes = {}
    main = rare(kind, lanes, tasks)
    blind = sum(outcome.how == "deadlock" for outcome in explore(main, RUNS, on=fiber))
    assert blind < RUNS // 10
    wants = cycle(lanes, tasks, held)
    for seed in range(RUNS):
        assert postpone(main, wants, seed).how == "deadlock"


def harmless(lanes: Lanes) -> Program:
    """Make a program that has both orders, but under a lock of its own, so that they never meet."""

    def main() -> None:
        with rt.fixed_order():
            outer, boxes = box(9), [box(0), box(1)]
        lanes.update((f"lock{i}", each.mutex.code >> SHIFT) for i, each in enumerate(boxes))
        lanes.update(queue0=lanes["lock0"], queue1=lanes["lock1"])

        def work(number: int) -> None:
            for _ in range(2):
                rt.mutex_lock(outer.mutex)
                rt.mutex_lock(boxes[number].mutex)
                rt.mutex_lock(boxes[1 - number].mutex)
                rt.mutex_unlock(boxes[1 - number].mutex)
                rt.mutex_unlock(boxes[number].mutex)
                rt.mutex_unlock(outer.mutex)

        for i in range(2):
            rt.spawn(work, i, name=f"t{i}", cpu=i)

    return main


@pytest.mark.parametrize("held", [False, True], ids=["any", "held"])
def test_a_wrong_prediction_does_no_harm(held: bool) -> None:
    lanes: Lanes = {}
    main = harmless(lanes)
    fiber(main)
    for seed in range(RUNS):
        assert postpone(main, cycle(lanes, 2, held), seed).how == "finished"


def test_with_the_held_lock_named_a_task_is_not_postponed_elsewhere() -> None:
    """Each task takes first its own lock, then the wanted one alone: stopping there would spoil the real chance."""
    lanes: Lanes = {}

    def main() -> None:
        with rt.fixed_order():
            boxes = [box(0), box(1)]
        lanes.update((f"lock{i}", each.mutex.code >> SHIFT) for i, each in enumerate(boxes))

        def work(number: int) -> None:
            mine, other = boxes[number], boxes[1 - number]
            rt.mutex_lock(mine.mutex)
            rt.mutex_unlock(mine.mutex)
            rt.mutex_lock(other.mutex)
            rt.mutex_unlock(other.mutex)
            for _ in range(30 * number):
                _ = mine.x
            rt.mutex_lock(mine.mutex)
            rt.mutex_lock(other.mutex)
            rt.mutex_unlock(other.mutex)
            rt.mutex_unlock(mine.mutex)

        for i in range(2):
            rt.spawn(work, i, name=f"t{i}", cpu=i)

    fiber(main)
    exact = [Want("t0", lanes["lock1"], lanes["lock0"]), Want("t1", lanes["lock0"], lanes["lock1"])]
    loose = [want._replace(held=None) for want in exact]
    exactly, loosely = (
        sum(postpone(main, tuple(wants), seed).how == "deadlock" for seed in range(RUNS)) for wants in (exact, loose)
    )
    assert exactly > RUNS // 3 > RUNS // 10 > loosely


def test_a_task_that_never_comes_keeps_nobody_for_ever() -> None:
    lanes: Lanes = {}
    main = harmless(lanes)
    fiber(main)
    for seed in range(RUNS):
        wants = (Want("t0", lanes["lock1"]), Want("nobody", lanes["lock0"]))
        assert postpone(main, wants, seed).how == "finished"


def test_the_same_draws_give_the_same_schedule() -> None:
    lanes: Lanes = {}
    main = harmless(lanes)
    fiber(main)
    engines: list[Controlled] = []
    for seed in (1, 1, 2):
        engine = postpone(main, cycle(lanes, 2, True), seed).engine
        assert isinstance(engine, Controlled)
        engines.append(engine)
    assert engines[0].events == engines[1].events != engines[2].events


def test_values_are_drawn() -> None:
    def main() -> None:
        rt.note("value", rt.choose(4))

    drawn = {postpone(main, (), seed).notes("value")[0][0] for seed in range(RUNS)}
    assert drawn == {0, 1, 2, 3}


def test_pairs_will_do() -> None:
    lanes: Lanes = {}
    main = rare("mutex", lanes)
    fiber(main)
    pairs = (("t0", lanes["lock1"]), ("t1", lanes["lock0"]))
    assert fiber(main, Postpone(pairs, random.Random(1).random)).how == "deadlock"


def test_a_cycle_is_written_in_the_strategys_options() -> None:
    assert parse_wants("a@40/12+b.0@12") == (Want("a", 40, 12), Want("b.0", 12))
    lanes: Lanes = {}
    main = rare("mutex", lanes)
    fiber(main)
    made = sampler(f"postpone:cycle=t0@{lanes['lock1']}/{lanes['lock0']}+t1@{lanes['lock0']}/{lanes['lock1']}")
    assert fiber(main, made.strategy(random.Random(1).random, None)).how == "deadlock"
    with pytest.raises(UsageError, match="TASK@LANE/HELD"):
        sampler("postpone")


@pytest.mark.parametrize("text", ["", "a", "a@", "a@x", "@3", "a@3/", "a@3++b@4"])
def test_a_text_that_is_no_cycle_is_refused_with_what_to_try(text: str) -> None:
    with pytest.raises(UsageError, match=r"TASK@LANE/HELD.*try: cycle="):
        parse_wants(text)
