"""The pool of nobody else: the contract of a pool, kept by this process alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.runs import stops
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import EXIT_USAGE, UsageError
from mmrace.search.pool.contract import Ended, Event, Reported
from mmrace.search.pool.drive import drive
from mmrace.search.pool.inline import InlinePool
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Job
from tests.search.pool.stand_ins import Notes, jobs

Run = Callable[[RunSpec, bool], RunResult]


class Runs:
    """Makes runs that pass; those of some seeds do something else.  `made`: the seeds, in order."""

    def __init__(self, otherwise: dict[int, Callable[[RunSpec], RunResult]] | None = None) -> None:
        self.otherwise = otherwise or {}
        self.made: list[int] = []

    def __call__(self, spec: RunSpec, keep_record: bool) -> RunResult:
        self.made.append(spec.seed)
        return self.otherwise.get(spec.seed, passes)(spec)


def passes(spec: RunSpec) -> RunResult:
    return RunResult(spec, "PASS")


def fails(spec: RunSpec) -> RunResult:
    return RunResult(spec, "FAIL", [Finding("content", "rule", "title", {}, f"s{spec.seed}")])


def refuses(spec: RunSpec) -> RunResult:
    raise UsageError(expected="a program", got=spec.program)


def interrupts(spec: RunSpec) -> RunResult:
    raise KeyboardInterrupt


@pytest.fixture
def pool(tmp_path: Path) -> Callable[[Run], InlinePool]:
    return lambda run: InlinePool(Making(run, FindingStore(tmp_path / "findings")))


MakePool = Callable[[Run], InlinePool]
LONG = 1000.0  # seconds: no poll of these tests ends because its time is up


def reported(events: list[Event]) -> list[int]:
    """Return the indices of the jobs with an outcome."""
    return [job.index for event in events if isinstance(event, Reported) for job, _ in event.outcomes]


def undone(events: list[Event]) -> list[int] | None:
    """Return the indices of the jobs that came back undone; None if the batch is still out."""
    return next(([job.index for job in event.undone] for event in events if isinstance(event, Ended)), None)


def submitted(made: InlinePool, batch: Batch) -> InlinePool:
    made.submit(batch)
    return made


def batch(count: int, **more: object) -> Batch:
    return Batch(tuple(jobs(count)), **more)  # type: ignore[arg-type]


def test_a_batch_is_made_in_order_and_comes_back_whole(pool: MakePool) -> None:
    made = pool(Runs())
    assert (made.free, made.idle, made.poll(LONG)) == (1, True, [])
    made.submit(batch(3))
    assert (made.free, made.idle) == (0, False)
    events = made.poll(LONG)
    assert (reported(events), undone(events)) == ([0, 1, 2], [])
    assert (made.free, made.idle) == (1, True)


def test_a_poll_makes_one_run_at_least_and_none_after_its_time(pool: MakePool) -> None:
    made = submitted(pool(Runs()), batch(3))
    polls = [made.poll(0.0) for _ in range(3)]
    assert [reported(events) for events in polls] == [[0], [1], [2]]
    assert [undone(events) for events in polls] == [None, None, []]


def test_a_batch_that_stops_at_a_failure_stops_there(pool: MakePool) -> None:
    made = submitted(pool(Runs({1: fails})), batch(4, stop_at_failure=True))
    events = made.poll(LONG)
    assert (reported(events), undone(events), made.idle) == ([0, 1], [2, 3], True)


@pytest.mark.parametrize(("until", "back"), [("content", [2, 3]), ("ledger", [])])
def test_a_batch_with_a_judge_stops_when_that_judge_finds_something(
    pool: MakePool, until: str, back: list[int]
) -> None:
    events = submitted(pool(Runs({1: fails})), batch(4, until=until)).poll(LONG)
    assert undone(events) == back


def test_what_a_run_raises_is_its_outcome_and_the_rest_is_made(pool: MakePool) -> None:
    events = submitted(pool(Runs({0: refuses})), batch(2)).poll(LONG)
    [event] = [event for event in events if isinstance(event, Reported)]
    assert event.outcomes[0][1].trouble == (EXIT_USAGE, "expected a program, got 'alpha'")
    assert event.outcomes[1][1].trouble is None


def test_a_finding_is_kept(pool: MakePool, tmp_path: Path) -> None:
    submitted(pool(Runs({1: fails})), batch(2)).poll(LONG)
    assert (tmp_path / "findings" / "s1").is_dir()


def test_stop_gives_back_what_was_not_made(pool: MakePool) -> None:
    runs = Runs()
    made = submitted(pool(runs), batch(3))
    assert reported(made.poll(0.0)) == [0]
    made.stop()
    events = made.poll(LONG)
    assert (reported(events), undone(events), made.idle) == ([], [1, 2], True)
    assert runs.made == [0]


def test_a_run_that_is_not_wanted_any_more_while_it_is_prepared_comes_back_undone(pool: MakePool) -> None:
    def prepares(spec: RunSpec, keep_record: bool) -> RunResult:
        stops.check_wanted()
        return passes(spec)

    made = submitted(pool(prepares), batch(3))
    answers = iter([True, False])
    with stops.while_wanted(lambda: next(answers)):
        events = made.poll(LONG)
    assert reported(events) == [0] and undone(events) == [1, 2] and made.idle


def test_ctrl_c_in_a_run_loses_nothing_that_was_made_before_it(pool: MakePool) -> None:
    """The run itself comes back undone."""
    made = submitted(pool(Runs({2: interrupts})), batch(4))
    with pytest.raises(KeyboardInterrupt):
        made.poll(LONG)
    made.stop()
    events = made.poll(LONG)
    assert (reported(events), undone(events), made.idle) == ([0, 1], [2, 3], True)


def test_a_second_batch_knows_nothing_of_the_first(pool: MakePool) -> None:
    made = submitted(pool(Runs()), batch(3))
    made.poll(LONG)
    made.submit(Batch((Job("main", "", 9, RunSpec("alpha", seed=9)),)))
    events = made.poll(LONG)
    assert (reported(events), undone(events)) == ([9], [])


def test_leaving_it_lets_go_of_the_batch_that_is_out(pool: MakePool) -> None:
    with pool(Runs()) as made:
        made.submit(batch(2))
    assert made.idle


def test_driven_it_keeps_the_promises_of_the_loop(pool: MakePool) -> None:
    source = Notes(jobs(10), size=4)
    with pytest.raises(KeyboardInterrupt):
        drive(pool(Runs({6: interrupts})), source)
    assert [job.index for job in source.taken] == [0, 1, 2, 3, 4, 5]
    assert [job.index for job in source.left()] == [6, 7, 8, 9]
