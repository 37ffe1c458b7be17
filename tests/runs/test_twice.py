"""Twice: what is a function of the seed passes, and each thing that is not is found where it first shows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runs.twice import compare, run_again, run_twice
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin, Strategy
from mmrace.runtime.task import Task
from mmrace.strategies.preemption import PreemptionBounded
from mmrace.strategies.random_walk import RandomWalk
from tests.runtime.engines import Program, box, random_walk

ENGINES = (GateEngine, FiberEngine)


def fiber(strategy: Strategy) -> Controlled:
    """Make the engine of these tests."""
    return FiberEngine(strategy, ncpus=4)


def workers(body: Callable[[int], object], count: int = 2) -> Program:
    """Make a program of several tasks."""

    def main() -> None:
        for i in range(count):
            rt.spawn(body, i, name=f"worker{i}", cpu=i)
        rt.join_others()

    return main


def sane() -> None:
    """Two tasks with a lock, values and random numbers of their own."""
    shared = box()

    def work(number: int) -> None:
        rt.mutex_lock(shared.mutex)
        shared.x += rt.choose(3) + rt.current().rng.randrange(100)
        rt.mutex_unlock(shared.mutex)
        rt.note("done", shared, rt.current())

    workers(work)()


@pytest.mark.parametrize("seed", range(5))
def test_a_program_that_is_a_function_of_the_seed_passes(seed: int) -> None:
    for engine in ENGINES:
        first = run_twice(lambda engine=engine: engine(random_walk(seed), ncpus=4, seed=seed), sane)  # type: ignore[misc]
        assert first.end["how"] == "finished"


def test_a_run_that_fails_the_same_way_twice_passes() -> None:
    def main() -> None:
        """BUGGY: fails."""
        rt.bug_on(True, "always", where=box())

    assert run_twice(lambda: fiber(RoundRobin()), main).end["how"] == "violation"


def differs(main: Program, make: Callable[[], Strategy] = RoundRobin) -> rt.NondeterminismError:
    """Assert that two runs differ; return the error."""
    with pytest.raises(rt.NondeterminismError) as caught:
        run_twice(lambda: fiber(make()), main)
    assert caught.value.expected != caught.value.got
    return caught.value


def counted(body: Callable[[int], object]) -> Program:
    """Make a program that tells its body which run this is."""
    runs = itertools.count()
    return lambda: body(next(runs))


def test_an_outcome_from_outside_is_found_at_its_op() -> None:
    def main(run: int) -> None:
        shared = box()
        rt.schedule()
        shared.x = run

    error = differs(counted(main))
    assert (error.step, error.expected, error.got) == (
        2, "main: write box:0.x = 0 (was 0)", "main: write box:0.x = 1 (was 0)"
    )  # fmt: skip


def test_a_random_stream_outside_the_runtime_is_found() -> None:
    stream = random.Random(4)

    def work(number: int) -> None:
        box(number).x = stream.randrange(1000)

    assert "write box:" in differs(workers(work)).expected


def test_the_order_of_ids_is_found() -> None:
    """Tasks spawned in the order of something that Python may change from run to run, here plainly."""

    def main(run: int) -> None:
        for name in sorted(("a", "b"), reverse=bool(run)):
            rt.spawn(rt.schedule, name=name, cpu=1)

    error = differs(counted(main))
    assert (error.expected.partition(":")[0], error.got.partition(":")[0]) == ("a", "b")


def test_another_object_in_the_same_lane_is_found_by_its_name() -> None:
    def main(run: int) -> None:
        one, other = (box(run), box(1 - run))
        rt.schedule()
        other.y = one.x = 0

    error = differs(counted(main))
    assert (error.expected, error.got) == ("main: write box:1.y = 0 (was 0)", "main: write box:0.y = 0 (was 0)")


def test_another_enabled_set_is_found_before_another_task_runs() -> None:
    def main(run: int) -> None:
        gate = box()
        if run:
            rt.spawn(rt.schedule, name="extra", cpu=2, daemon=True)
        else:
            rt.spawn(rt.schedule, name="extra", cpu=0, daemon=True)
            rt.spin_lock(gate.spin)
            rt.spin_unlock(gate.spin)
        rt.schedule()

    error = differs(counted(main), lambda: RoundRobin(100))
    assert error.step > 0


def test_another_note_is_found_though_it_is_no_op() -> None:
    error = differs(counted(lambda run: rt.note("run", run)))
    assert (error.expected, error.got) == ("main: -- run 0", "main: -- run 1")


def test_a_longer_run_is_found_at_its_first_op_too_many() -> None:
    def main(run: int) -> None:
        """BUGGY: fails early in the first run."""
        rt.schedule()
        rt.bug_on(not run, "early")

    error = differs(counted(main))
    assert "-- violation" in error.expected
    assert error.got == "main: exit main"


def test_another_end_of_the_same_ops_is_found() -> None:
    record = fiber(RoundRobin())
    record.run(sane)
    first, second = Record.of_run(record, {}, {}), Record.of_run(record, {}, {})
    compare(first, second)
    second.end = {"how": "bound", "detail": {}}
    with pytest.raises(rt.NondeterminismError, match=r"the end .*finished.*the end .*bound"):
        compare(first, second)
    second.events = first.events[:-1]
    with pytest.raises(rt.NondeterminismError, match=r"it had main: exit main.*the end of the run"):
        compare(first, second)
    first.masks = [*first.masks[:3], first.masks[3] ^ 4, *first.masks[4:]]
    with pytest.raises(rt.NondeterminismError, match=r"it had enabled \{.*and now enabled \{") as caught:
        compare(first, second)
    assert caught.value.step == 3


def test_a_strategy_with_a_stream_of_its_own_is_found() -> None:
    class Wild(RandomWalk):
        stream = random.Random(1)

        def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
            return self.stream.choice(enabled)

    assert "worker" in differs(sane, lambda: Wild(random.Random(0).random)).expected


def test_each_schedule_of_a_systematic_search_can_be_run_again() -> None:
    walk = PreemptionBounded(1)
    while (strategy := walk.next()) is not None:
        engine = fiber(strategy)
        engine.run(sane)
        walk.learn(engine)
        record = Record.of_run(engine, {}, {})
        assert list(Record.of_run(run_again(record, fiber, sane), {}, {}).plain()) == list(record.plain())
    assert walk.runs > 10


def test_running_again_finds_a_program_that_changed() -> None:
    main = counted(lambda run: rt.note("x", box(run).x))
    engine = fiber(RoundRobin())
    engine.run(main)
    with pytest.raises(rt.NondeterminismError) as caught:
        run_again(Record.of_run(engine, {}, {}), fiber, main)
    assert (caught.value.expected, caught.value.got) == ("main: read box:0.x ➜ 0", "main about to read box:1.x")
