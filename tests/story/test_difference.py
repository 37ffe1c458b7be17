"""Where two records part and why; and whether it makes a difference: two runs of one class are told from others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.examples import bounded_queue, lost_update, two_locks
from mmrace.installed import MAKERS, run_one
from mmrace.runs import functions
from mmrace.runs.play import play
from mmrace.runs.spec import Params, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task
from mmrace.runtime.wording import event_text
from mmrace.story.conflicts import Ordering, differing_lanes, same_ways, untested_counts, window_of
from mmrace.story.difference import compare
from mmrace.story.parting import Cause
from mmrace.strategies.order.classes import ClassDigest
from tests.search.explore.explorations import SMALL

TINY: Params = (
    ("buffers", 1), ("idle", 0), ("migrations", 1), ("pagevec", 14), ("passes", 1), ("rounds", 1),
    ("without", "writer,committer"),
)  # fmt: skip
PROGRAMS: dict[str, tuple[str, Params, int]] = {
    "lost update": (f"{lost_update.__file__}:main", (), 24),
    "under a lock": (f"{lost_update.__file__}:mended", (), 24),
    "two locks": (f"{two_locks.__file__}:main", (), 24),
    "a queue": (f"{bounded_queue.__file__}:main", (), 16),
    "migration alone": ("async-vs-commit", TINY, 24),
    "migration and commit": ("async-vs-commit", SMALL, 12),
    "migration and reclaim": ("migrate-vs-reclaim", SMALL, 16),
}


def name(example: object, main: str = "main") -> str:
    return f"{vars(example)['__file__']}:{main}"


class Order(BaseStrategy):
    """Lets tasks go on in a given order, by name, as far as they can; then the first that can.  Draws `value`."""

    asked_when_alone = True

    def __init__(self, names: Sequence[str], value: int = 0) -> None:
        self.names, self.value = list(names), value

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        for i, wanted in enumerate(self.names):
            for task in enabled:
                if task.name == wanted:
                    del self.names[: i + 1]
                    return task
        return min(enabled, key=lambda task: task.id)

    def choose(self, task: Task, n: int, step: int) -> int:
        return self.value


class Box(rt.Struct):
    x: rt.Field[int] = rt.shared(0)
    y: rt.Field[int] = rt.shared(0)


def both(first: Callable[[Box], None], second: Callable[[Box], None]) -> Callable[[], None]:
    def main() -> None:
        box = Box("box")
        rt.spawn(first, box, name="one")
        rt.spawn(second, box, name="two")
        rt.join_others()

    return main


def writes_x(box: Box) -> None:
    box.x = 1


def writes_y(box: Box) -> None:
    box.y = 1


def reads_x(box: Box) -> None:
    _ = box.x


def draws(box: Box) -> None:
    box.x = rt.choose(3)


def recorded(main: Callable[[], None], *names: str, value: int = 0, **header: object) -> Record:
    engine = FiberEngine(Order(["main", "main", "main", *names], value), sites=True)
    engine.run(main)
    assert engine.error is None, engine.error
    return Record.of_run(engine, {"engine": "fiber", **header}, {})


ONE_FIRST, TWO_FIRST = ("one",) * 3, ("two",) * 3


def test_a_record_does_not_differ_from_itself(tmp_path: Path) -> None:
    record = recorded(both(writes_x, reads_x), *ONE_FIRST)
    record.write(tmp_path / "record.jsonl")
    found = compare(record, Record.read(tmp_path / "record.jsonl"))
    assert found.parting is None and found.same_class


def test_independent_steps_in_another_order_are_one_class() -> None:
    main = both(writes_x, writes_y)
    found = compare(recorded(main, *ONE_FIRST), recorded(main, *TWO_FIRST))
    assert found.parting is not None and found.parting.cause is Cause.SCHEDULER
    assert found.same_class and found.moved > 0
    assert not (found.swaps or found.ways or found.objects)


def test_conflicting_steps_in_another_order_are_named_with_both_sides() -> None:
    main = both(writes_x, reads_x)
    one, other = recorded(main, *ONE_FIRST), recorded(main, *TWO_FIRST)
    found = compare(one, other)
    (swap,) = found.swaps
    assert not found.same_class and swap.lane == "box.x"
    told = [
        event_text(record.events[step], record)
        for record, step in ((one, swap.first), (one, swap.second), (other, swap.then[0]), (other, swap.then[1]))
        if step is not None
    ]
    assert told == [
        "one: write box.x = 1 (was 0)", "two: read box.x ➜ 1", "one: write box.x = 1 (was 0)", "two: read box.x ➜ 0",
    ]  # fmt: skip
    assert [way.task for way in found.ways] == ["two"]
    assert [(history.name, history.cls) for history in found.objects] == [("box", "Box")]


def test_who_could_go_on_is_known_at_a_choice_of_the_scheduler() -> None:
    main = both(writes_x, reads_x)
    parting = compare(recorded(main, *ONE_FIRST), recorded(main, *TWO_FIRST)).parting
    assert parting is not None and [side.enabled for side in parting.sides] == [("one", "two"), ("one", "two")]


def test_a_drawn_value_is_told_from_a_choice_of_the_scheduler() -> None:
    main = both(draws, writes_y)
    found = compare(recorded(main, *ONE_FIRST, value=1), recorded(main, *ONE_FIRST, value=2))
    assert found.parting is not None and found.parting.cause is Cause.VALUE
    assert [drawn.task for drawn in found.drawn] == ["one"] and not found.same_class


def test_another_program_is_named_from_the_headers() -> None:
    one = recorded(both(writes_x, writes_y), *ONE_FIRST, variant="", params={"rounds": 1}, seed=1)
    other = recorded(both(reads_x, writes_y), *ONE_FIRST, variant="wrong", params={"rounds": 2}, seed=2)
    found = compare(one, other)
    assert found.parting is not None and found.parting.cause is Cause.PROGRAM
    assert [difference.what for difference in found.program] == ["variant", "params.rounds"]
    assert [difference.what for difference in found.choice] == ["seed"]


def test_the_same_history_with_another_outcome_is_no_choice_of_anybody() -> None:
    main = both(writes_x, reads_x)
    one, other = recorded(main, *ONE_FIRST), recorded(main, *ONE_FIRST)
    step = next(i for i, event in enumerate(other.events) if "read box.x" in event_text(event, other))
    other.events[step] = (*other.events[step][:2], 7, None)
    found = compare(one, other)
    assert found.parting is not None
    assert (found.parting.event, found.parting.cause, found.program) == (step, Cause.PROGRAM, [])


def test_other_tasks_that_can_go_on_are_no_choice_of_the_scheduler() -> None:
    main = both(writes_x, reads_x)
    one, other = recorded(main, *ONE_FIRST), recorded(main, *TWO_FIRST)
    parting = compare(one, other).parting
    assert parting is not None
    ops = sum(event[1] >= 0 for event in one.events[: parting.event])
    other.masks[ops] &= ~(1 << next(task["id"] for task in other.tasks if task["name"] == "one"))
    again = compare(one, other).parting
    assert again is not None and again.cause is Cause.PROGRAM


def test_a_record_that_ends_sooner_parts_there() -> None:
    main = both(writes_x, reads_x)
    one, other = recorded(main, *ONE_FIRST), recorded(main, *ONE_FIRST)
    del other.events[-2:], other.masks[-2:]
    found = compare(one, other)
    assert found.parting is not None and found.parting.cause is Cause.END
    assert found.parting.sides[1].step is None


def test_under_free_threads_it_is_chance() -> None:
    spec = RunSpec(name(lost_update, "mended"), maker=functions.KIND, engine="free", noise="off", seed=1)
    free, fiber = (run_one(RunSpec(spec.program, maker=spec.maker, engine=e), True).record for e in ("free", "fiber"))
    assert free is not None and fiber is not None
    found = compare(free, fiber)
    assert "engine" in [difference.what for difference in found.choice]
    assert found.parting is None or found.parting.cause in (Cause.CHANCE, Cause.END)


def orderings(program: str, params: Params, runs: int) -> list[tuple[int, Ordering]]:
    """Return runs with the number of their class, as explorations count it, and their order from the record alone."""
    kind = functions.KIND if ":" in program else "scenario"
    found = []
    for seed in range(runs):
        spec = RunSpec(program, params, engine="fiber", strategy="random", seed=seed, maker=kind)
        made = MAKERS.program(spec)
        with play(made, spec, strategy_for(made, spec), watch=ClassDigest) as played:
            assert isinstance(played.watched, ClassDigest)
            record = played.record
            found.append((played.watched.value(), Ordering(record, window_of(record)[0])))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_records_are_of_one_class_exactly_if_explorations_count_them_as_one(program: tuple[str, Params, int]) -> None:
    """Both answers come: in each program some of the pairs are of one class, and some are not."""
    answers = set()
    for (digest, one), (digest_, other) in combinations(orderings(*program), 2):
        same = same_ways(one, other) and not differing_lanes(one, other)
        assert same == (digest == digest_)
        answers.add(same)
    assert answers == {True, False}


def test_counts_whose_puts_nobody_tests_are_known() -> None:
    assert ("BufferHead", "b_count") in untested_counts()
    assert ("Page", "_count") not in untested_counts()
