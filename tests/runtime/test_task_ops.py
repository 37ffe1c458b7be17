"""Tasks: their names, their ends, their CPUs, and the values that they choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mmrace import runtime as rt
from mmrace.runs.replay import StrictReplay
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import Kind
from mmrace.runtime.noise import Noise
from mmrace.runtime.strategy import RoundRobin
from tests.runtime.engines import NCPUS, Outcome, Setup, box, explore, finish, free, gate, walk


def names(outcome: Outcome) -> list[str]:
    """Return the names of all tasks, sorted."""
    return sorted(str(task["name"]) for task in outcome.record.tasks)


def _family() -> None:
    def child() -> None:
        rt.spawn(rt.schedule, cpu=1)
        rt.spawn(rt.schedule, cpu=2)

    rt.spawn(child, cpu=1)
    rt.spawn(child, cpu=2)
    rt.spawn(child, name="given", cpu=3)
    rt.spawn(rt.schedule, name=("io", "main", 0), cpu=None)
    rt.join_others()


def test_names_say_who_spawned_a_task_and_never_depend_on_the_schedule(run: Setup) -> None:
    spawned = ["main.0", "main.0.0", "main.0.1", "main.1", "main.1.0", "main.1.1"]
    assert names(run(_family)) == ["given", "given.0", "given.1", "io.main.0", "main", *spawned]


def test_a_spawn_is_one_op_and_comes_before_the_begin_of_its_task(run: Setup) -> None:
    outcome = run(_family)
    alive = {"main"}
    for task, kind, lane, a, _ in outcome.ops():
        assert task in alive
        if kind is Kind.SPAWN:
            assert lane == task
            alive.add(outcome.record.task_name(a))
        elif kind is Kind.EXIT:
            alive.remove(task)
    assert not alive


def test_each_task_begins_and_exits_once(run: Setup) -> None:
    outcome = run(_family)
    for kind in (Kind.BEGIN, Kind.EXIT):
        assert sorted(op[0] for op in outcome.ops(kind)) == names(outcome)


def test_the_record_says_where_each_task_lives(run: Setup) -> None:
    tasks = {task["name"]: task for task in run(_family).record.tasks}
    assert {tasks[name]["cpu"] for name in ("main", "main.0", "given", "io.main.0")} == {0, 1, 3, None}
    assert [task["id"] for task in tasks.values()] == list(range(len(tasks)))
    assert not any(task["daemon"] for task in tasks.values())


def test_join_returns_after_the_exit(run: Setup) -> None:
    def main() -> None:
        shared = box()
        task = rt.spawn(setattr, shared, "x", 1, name="kid", cpu=1)
        rt.join(task)
        assert rt.peek(shared, "x") == 1
        rt.join(task)  # once more returns at once

    order = [op[:2] for op in run(main).ops(Kind.EXIT, Kind.JOIN)]
    assert order == [("kid", Kind.EXIT), ("main", Kind.JOIN), ("main", Kind.JOIN), ("main", Kind.EXIT)]


def test_join_others_waits_for_tasks_spawned_meanwhile_too(run: Setup) -> None:
    def main() -> None:
        shared = box()

        def chain(left: int) -> None:
            shared.count.get("gup")
            if left:
                rt.spawn(chain, left - 1, cpu=left % NCPUS)

        rt.spawn(chain, 6, cpu=1)
        rt.join_others()
        assert shared.count.value == 7

    assert run(main).how == "finished"


def test_the_run_waits_for_tasks_that_nobody_joins(run: Setup) -> None:
    def main() -> None:
        for cpu in range(NCPUS):
            rt.spawn(lambda: [rt.schedule() for _ in range(10)], cpu=cpu)

    outcome = run(main)
    assert outcome.how == "finished"
    assert len(outcome.ops(Kind.EXIT)) == 1 + NCPUS


def test_daemons_do_not_keep_a_run_alive(run: Setup) -> None:
    def main() -> None:
        def kjournald() -> None:
            while True:
                rt.schedule()

        rt.spawn(kjournald, cpu=1, daemon=True)
        rt.spawn(rt.Completion("never:0").wait, cpu=2, daemon=True)
        rt.spawn(rt.schedule, cpu=3)
        rt.join_others()

    outcome = run(main)
    assert outcome.how == "finished"
    assert [task["daemon"] for task in outcome.record.tasks] == [False, True, True, False]


def test_a_daemon_that_ends_is_no_end_of_the_run(run: Setup) -> None:
    def main() -> None:
        rt.join(rt.spawn(rt.schedule, cpu=1, daemon=True))
        rt.schedule()

    assert [op[0] for op in run(main).ops(Kind.EXIT)] == ["main.0", "main"]


def test_only_the_tasks_of_a_cpu_that_exists_can_be_spawned(run: Setup) -> None:
    def main() -> None:
        rt.spawn(rt.schedule, cpu=NCPUS)

    outcome = run(main, raising=False)
    assert isinstance(outcome.engine.error, rt.UsageError)
    assert outcome.how == "abort"


@pytest.mark.parametrize(("spread", "cpus"), [(False, [0, 0, 0, 0, 2]), (True, [0, 1, 2, 0, 2])])
@pytest.mark.parametrize("kind", [GateEngine, FiberEngine, FreeEngine])
def test_a_task_whose_spawn_names_no_cpu_is_on_the_first_or_on_the_next(
    kind: type[GateEngine | FiberEngine | FreeEngine], spread: bool, cpus: list[int]
) -> None:
    def main() -> None:
        for _ in range(3):
            rt.spawn(rt.schedule)
        rt.spawn(rt.schedule, cpu=2)
        rt.join_others()

    engine = FreeEngine(Noise("off", 0), ncpus=3) if kind is FreeEngine else kind(RoundRobin(), ncpus=3)  # type: ignore[arg-type]
    engine.spread = spread
    assert [task["cpu"] for task in finish(engine, main).record.tasks] == cpus


async def _awaits() -> None:
    """BUGGY: nobody awaits it."""


def _yields() -> Iterator[int]:
    """BUGGY: nobody iterates over it."""
    yield 1


@pytest.mark.parametrize("function", [_awaits, _yields])
def test_a_function_that_does_not_run_when_it_is_called_is_a_usage_error(
    run: Setup, function: Callable[[], object]
) -> None:
    def main() -> None:
        rt.spawn(function, name="lazy")
        rt.join_others()

    with pytest.raises(rt.UsageError, match="task lazy"):
        run(main)


def test_schedule_is_an_op_and_a_point() -> None:
    def main() -> None:
        rt.spawn(rt.schedule, cpu=1)
        rt.schedule()
        rt.cond_resched()

    outcomes = list(explore(main))
    orders = {tuple(op[0] for op in outcome.ops(Kind.YIELD)) for outcome in outcomes}
    assert orders == {("main.0", "main", "main"), ("main", "main.0", "main"), ("main", "main", "main.0")}


def _chooser() -> None:
    rt.note("chose", *(rt.choose(5, "which") for _ in range(20)))


def test_a_choice_is_in_range_and_recorded(run: Setup) -> None:
    outcome = run(_chooser)
    [values] = outcome.notes("chose")
    assert set(values) <= set(range(5))
    assert [op[3:] for op in outcome.ops(Kind.CHOOSE)] == [(5, value) for value in values]


def test_a_choice_comes_from_the_strategy_under_control() -> None:
    assert gate(_chooser).notes("chose") == [(0,) * 20]  # fair turns choose the ordinary value
    assert walk(_chooser, 1).notes("chose") == walk(_chooser, 1).notes("chose") != walk(_chooser, 2).notes("chose")


def test_a_choice_comes_from_the_tasks_own_stream_under_free() -> None:
    assert free(_chooser, seed=1).notes("chose") == free(_chooser, "chaos", seed=1).notes("chose")
    assert free(_chooser, seed=1).notes("chose") != free(_chooser, seed=2).notes("chose")


def test_a_replay_repeats_the_choices() -> None:
    first = walk(_chooser, 3)
    strategy = StrictReplay(first.record)
    engine = GateEngine(strategy, ncpus=NCPUS)
    engine.run(_chooser)
    strategy.finish()
    assert engine.events == first.record.events


@pytest.mark.parametrize("n", [0, -1])
def test_a_choice_out_of_nothing_is_a_usage_error(run: Setup, n: int) -> None:
    def main() -> None:
        with pytest.raises(rt.UsageError, match=f"n >= 1, got {n}"):
            rt.choose(n, "nothing")

    assert run(main).how == "finished"


def test_a_tasks_stream_is_a_function_of_seed_and_name(run: Setup) -> None:
    def main() -> None:
        def draw() -> None:
            rt.note("draw", rt.current().name, rt.current().rng.random())

        for name in ("a", "b"):
            rt.spawn(draw, name=name, cpu=1)
        rt.join_others()

    first, again = (sorted(run(main).notes("draw")) for _ in range(2))
    assert first == again
    assert first[0][1] != first[1][1]


def test_marks_are_counted_and_notes_stand_in_order(run: Setup) -> None:
    def main() -> None:
        rt.reached("rare branch")
        rt.note("first", 1)
        rt.schedule()
        rt.note("second", 2)
        rt.reached("rare branch")

    outcome = run(main)
    assert outcome.record.marks == {"rare branch": 2}
    assert [event[2] for event in outcome.record.events if event[1] == rt.NOTE] == ["first", "second"]


def test_bug_on_is_a_violation_with_its_facts(run: Setup) -> None:
    def main() -> None:
        """BUGGY: trips over its own BUG_ON."""
        rt.bug_on(False, "never")
        rt.bug_on(True, "page is locked", page=box(), flags=3)

    outcome = run(main)
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == ("bug-on", "page is locked")
    [(oracle, rule, facts)] = outcome.notes("violation")
    assert (oracle, rule, facts["task"], facts["flags"], facts["page"].name) == (
        "bug-on", "page is locked", "main", 3, "box:0",
    )  # fmt: skip
