"""Strict replay: it follows its own program to the end, and any other only to the first difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runs.replay import StrictReplay
from mmrace.runtime import pool
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import EXIT_NONDETERMINISM
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.record import Record
from mmrace.runtime.selection import Selection
from mmrace.runtime.strategy import RoundRobin, Strategy
from mmrace.runtime.wording import event_text
from tests.runtime.engines import random_walk

Program = Callable[[], object]


class Counter(rt.Struct):
    """What the programs share."""

    x = rt.shared(0)
    y = rt.shared(0)
    mutex = rt.mutex()
    count = rt.refcount()


def record_of(main: Program, strategy: Strategy | None = None, **options: object) -> Record:
    """Run a program with a random walk; return its record."""
    engine = GateEngine(strategy or random_walk(11), ncpus=4, **options)  # type: ignore[arg-type]
    engine.run(main)
    assert engine.error is None
    return Record.of_run(engine, {}, {})


def follow(record: Record, main: Program, **options: object) -> Controlled:
    """Run a program strictly along a record.  Raises NondeterminismError at the first difference."""
    strategy = StrictReplay(record)
    engine = GateEngine(strategy, ncpus=4, **options)  # type: ignore[arg-type]
    engine.run(main)
    strategy.finish()
    if engine.error is not None:
        raise engine.error
    return engine


def program(
    start: int = 0,
    other: bool = False,
    rounds: int = 3,
    range_: int = 3,
    workers: int = 2,
    locked: bool = True,
    extra: bool = False,
    note: str = "total",
) -> Program:
    """Return a program that can be changed in one respect each."""

    def main() -> None:
        shared = Counter("counter:0", x=start)

        def worker() -> None:
            for _ in range(rounds):
                if locked:
                    rt.mutex_lock(shared.mutex)
                shared.x += 1 + rt.choose(range_)
                if other:
                    shared.y += 1
                else:
                    shared.x += 1
                if locked:
                    rt.mutex_unlock(shared.mutex)

        for i in range(workers):
            rt.spawn(worker, name=f"worker{i}", cpu=i)
        if extra:
            rt.spawn(rt.schedule, name="extra", cpu=3)
        rt.join_others()
        rt.note(note, shared.x)

    return main


@pytest.mark.parametrize("seed", range(5))
def test_a_replay_does_the_same_ops_with_the_same_outcomes(seed: int) -> None:
    record = record_of(program(), random_walk(seed))
    engine = follow(record, program())
    assert engine.events == record.events
    assert engine.masks == record.masks


def test_a_loaded_record_is_followed_like_a_live_one(tmp_path: Path) -> None:
    record = record_of(program())
    record.write(tmp_path / "run.jsonl")
    assert follow(Record.read(tmp_path / "run.jsonl"), program()).events == record.events


def test_a_record_of_any_strategy_can_be_followed() -> None:
    for strategy in (RoundRobin(), RoundRobin(4), random_walk(1)):
        record = record_of(program(), strategy)
        assert follow(record, program()).events == record.events


def test_sites_may_be_kept_in_the_replay_only() -> None:
    record = record_of(program())
    again = follow(record, program(), sites=True)
    assert again.events == record.events
    assert len(again.sites) == len(again.masks)


def abba() -> None:
    """BUGGY: two mutexes in opposite order."""
    a, b = Counter("counter:0"), Counter("counter:1")

    def both(first: Counter, second: Counter) -> None:
        rt.mutex_lock(first.mutex)
        rt.mutex_lock(second.mutex)
        rt.mutex_unlock(second.mutex)
        rt.mutex_unlock(first.mutex)

    rt.spawn(both, a, b, cpu=1)
    rt.spawn(both, b, a, cpu=2)


def overshoot() -> None:
    """BUGGY: a double put, on some schedules."""
    shared = Counter("counter:0")
    shared.count.get("slot")

    def put() -> None:
        if shared.count.read():
            rt.bug_on(shared.count.put("slot") < 0, "count below zero", counter=shared)

    rt.spawn(put, cpu=1)
    rt.spawn(put, cpu=2)


def freed() -> None:
    """BUGGY: frees what another task is about to read, on some schedules."""
    shared = Counter("counter:0")
    rt.spawn(lambda: shared.x, cpu=1)
    rt.schedule()
    rt.poison(shared)


def endless() -> None:
    """BUGGY: two tasks that run for ever."""

    def spin() -> None:
        while True:
            rt.schedule()

    for cpu in (1, 2):
        rt.spawn(spin, cpu=cpu)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("main", "how"), [(abba, "deadlock"), (overshoot, "violation"), (freed, "violation"), (endless, "bound")]
)
def test_a_failure_is_followed_into_the_same_failure(main: Program, how: str, tmp_path: Path) -> None:
    records = [record_of(main, random_walk(seed), steps_max=200) for seed in range(100)]
    failed = [record for record in records if record.end["how"] == how]
    assert failed
    for record in failed[:10]:
        record.write(tmp_path / "run.jsonl")
        for known in (record, Record.read(tmp_path / "run.jsonl")):
            engine = follow(known, main, steps_max=200)
            assert list(Record.of_run(engine, {}, {}).plain()) == list(record.plain())
            assert Record.name(engine.end) == Record.name(record.end)


def diverges(changed: Program, record: Record | None = None) -> rt.NondeterminismError:
    """Assert that a changed program leaves the record; return the error."""
    record = record or record_of(program())
    with pytest.raises(rt.NondeterminismError) as caught:
        follow(record, changed)
    assert caught.value.exit_code == EXIT_NONDETERMINISM
    assert str(caught.value).startswith(f"replay diverged at event {caught.value.event}: the record has ")
    return caught.value


def test_another_op_is_a_divergence_that_shows_both() -> None:
    error = diverges(program(other=True))
    assert "read counter:0.x" in error.expected
    assert error.got.startswith("worker")
    assert "about to read counter:0.y" in error.got


def test_another_outcome_is_a_divergence_at_the_op_that_had_it() -> None:
    error = diverges(program(start=5))
    assert error.expected.endswith("read counter:0.x ➜ 0")
    assert error.got.endswith("read counter:0.x ➜ 5")


def test_another_outcome_of_the_last_op_of_a_run_is_a_divergence() -> None:
    def main(value: int) -> Program:
        def body() -> None:
            """BUGGY: fails right behind its last op."""
            shared = Counter("counter:0")
            shared.y = value
            rt.bug_on(True, "the end")

        return body

    error = diverges(main(2), record_of(main(1)))
    assert error.expected == "main: write counter:0.y = 1 (was 0)"
    assert error.got == "main: write counter:0.y = 2 (was 0)"


def test_another_range_of_a_choice_is_a_divergence() -> None:
    error = diverges(program(range_=4))
    assert (error.expected, error.got) == ("a choice out of 3", "a choice out of 4")


def test_another_enabled_set_is_a_divergence_even_if_the_recorded_task_is_in_it() -> None:
    error = diverges(program(extra=True))
    assert (error.expected, error.got) == ("enabled {worker0, worker1}", "enabled {main, worker0, worker1}")


def test_a_task_that_the_record_does_not_know_is_named_by_its_number() -> None:
    def main(extra: bool) -> Program:
        def body() -> None:
            rt.spawn(rt.schedule, name="worker", cpu=1)
            if extra:
                rt.spawn(rt.schedule, name="extra", cpu=2)
            else:
                rt.schedule()
            rt.join_others()

        return body

    record = record_of(main(False), RoundRobin(3))
    changed = record_of(main(True), RoundRobin(3))
    record.events[2] = changed.events[2]  # pretend that the first difference was none
    error = diverges(main(True), record)
    assert (error.step, error.expected, error.got) == (3, "enabled {worker}", "enabled {worker, task 2}")


def test_the_new_runs_objects_go_by_their_own_names() -> None:
    def main(first: str) -> Program:
        def body() -> None:
            a, b = Counter(f"{first}:0"), Counter("counter:1")
            b.x = a.x

        return body

    record = record_of(main("counter"))
    record.events[1] = (0, record.events[1][1] + (1 << SHIFT), None, None)
    error = diverges(main("other"), record)
    assert (error.expected, error.got) == ("main: read counter:0.y ➜ None", "main about to read other:0.x")


def test_a_recorded_task_that_is_not_enabled_is_a_divergence() -> None:
    record = record_of(program())
    step = next(i for i, mask in enumerate(record.masks) if mask.bit_count() == 1 and i > 5)
    record.masks[:] = []  # so that only the task itself can tell
    ops = [i for i, event in enumerate(record.events) if event[1] != rt.NOTE]
    task, *rest = record.events[ops[step]]
    record.events[ops[step]] = (task ^ 1, *rest)
    assert "that task not enabled; enabled {" in diverges(program(), record).got


def test_a_longer_run_is_a_divergence_at_its_first_op_too_many() -> None:
    record = record_of(program(workers=1, locked=False))
    longer = diverges(program(workers=1, locked=False, rounds=4), record)
    assert "exit" in longer.expected
    assert "choose" in longer.got or "read" in longer.got


def test_a_run_that_goes_on_where_the_record_ends_is_a_divergence() -> None:
    record = record_of(program())
    last = len([event for event in record.events if event[1] != rt.NOTE]) - 1
    record.events.pop()
    record.masks.pop()
    error = diverges(program(), record)
    assert (error.step, error.expected) == (last, "the end of the run there")
    assert error.got == "1 tasks that can go on"


def test_a_shorter_run_is_a_divergence() -> None:
    record = record_of(program(workers=1, locked=False))
    shorter = diverges(program(workers=1, locked=False, rounds=2), record)
    assert "exit" in shorter.got


def test_a_run_that_ends_where_the_record_goes_on_is_a_divergence() -> None:
    def main(fails: bool) -> Program:
        def body() -> None:
            """BUGGY: fails half way."""
            rt.schedule()
            rt.bug_on(fails, "the end")
            rt.schedule()

        return body

    error = diverges(main(True), record_of(main(False)))
    assert (error.step, error.expected, error.got) == (2, "main: yield main", "the end of the run")


@pytest.mark.parametrize("beyond", [False, True], ids=["in-the-middle", "beyond-the-end"])
def test_a_divergence_is_told_by_the_number_that_show_counts_notes_included(beyond: bool) -> None:
    """BUG once: ops were counted, and `show --around` that number showed another event."""

    def main(value: int, more: bool) -> Program:
        def body() -> None:
            shared = Counter("counter:0")
            rt.note("first")
            rt.note("second")
            shared.x = value
            if more:
                shared.y = 1

        return body

    record = record_of(main(1, not beyond))
    error = diverges(main(1 + (not beyond), beyond), record)
    assert error.event is not None
    (around,) = Selection(around=error.event, last=1).steps(record)
    assert around == error.event > error.step - 1
    shown = event_text(record.events[around], record)
    assert shown == error.expected or (beyond and shown.startswith("main: exit main"))
    assert f"`mmrace show RECORD --around {error.event}`" in str(error)


def test_a_divergence_names_a_changed_record_other_code_and_what_a_run_may_leave_behind() -> None:
    text = str(diverges(program(other=True)))
    assert "changed by hand, or made by other code" in text and "what an earlier run left in the program" in text


def test_notes_are_no_ops_and_do_not_matter() -> None:
    assert follow(record_of(program()), program(note="sum")).end["how"] == "finished"


@pytest.mark.parametrize("events", [0, 1], ids=["no-event", "one-event"])
def test_a_record_that_ends_at_once_is_a_divergence_and_leaves_no_thread(events: int) -> None:
    whole = record_of(program())
    record = Record({}, whole.events[:events], table=whole.table, tasks=whole.tasks, masks=whole.masks[:events])
    for _ in range(20):
        error = diverges(program(), record)
    assert (error.step, error.expected) == (events, "the end of the run there")
    before = rt.pool_size()
    for _ in range(20):
        diverges(program(), record)
    assert rt.pool_size() == before
    for _ in range(1000):
        if pool.drain() == 0:
            break
    assert rt.pool_size() == 0


def test_a_divergence_in_the_middle_unwinds_every_task_and_the_next_run_is_clean() -> None:
    record = record_of(program())
    for _ in range(10):
        diverges(program(other=True), record)
    assert follow(record, program()).events == record.events


def named(first: str) -> Program:
    """Make a program that makes its objects while it runs, and has nobody beside it."""

    def main() -> None:
        Counter("counter:0").x = 1
        late = Counter(first)
        rt.schedule()
        late.y = 1

    return main


@pytest.mark.parametrize("loaded", [False, True], ids=["live", "loaded"])
def test_another_object_in_the_same_lane_is_a_divergence_by_its_name(loaded: bool, tmp_path: Path) -> None:
    record = record_of(named("counter:1"))
    if loaded:
        record.write(tmp_path / "run.jsonl")
        record = Record.read(tmp_path / "run.jsonl")
    follow(record, named("counter:1"))
    error = diverges(named("counter:2"), record)
    assert (error.step, error.expected) == (3, "main: write counter:1.y = 1 (was 0)")
    assert error.got == "main about to write counter:2.y"


def test_a_step_at_which_one_task_only_is_enabled_is_checked_before_it_is_done() -> None:
    def main(changed: bool) -> Program:
        def body() -> None:
            shared = Counter("counter:0")
            if changed:
                rt.schedule()
            else:
                shared.x = 1
            shared.y = 1

        return body

    record = record_of(main(False))
    assert all(mask == 1 for mask in record.masks)
    error = diverges(main(True), record)
    assert (error.step, error.expected, error.got) == (
        1,
        "main: write counter:0.x = 1 (was 0)",
        "main about to yield main",
    )
