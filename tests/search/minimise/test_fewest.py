"""The walk below a schedule's cost: it loses no outcome by what it passes over, and finds what is smaller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from mmrace.examples import bounded_queue, lost_update, two_locks
from mmrace.runs.judge import judge
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.task import Task
from mmrace.search.minimise.fewest import TurnBounded, fewest, meeting
from mmrace.search.minimise.in_order import watch
from mmrace.search.minimise.trials import Budget, Trials
from mmrace.strategies.bounded import Choice
from mmrace.strategies.guided import Preemption
from tests.search.minimise.failing import failing, first_case, torn, trials_of


class Everywhere(TurnBounded):
    """The same walk, which passes over nothing."""

    def order(self, enabled: list[Task], running: Task) -> Sequence[Choice]:
        default = running if running.on else min(enabled, key=lambda task: task.id)
        return [(enabled.index(default), 0), *((i, 1) for i, task in enumerate(enabled) if task is not default)]


def outcomes(trials: Trials, walk: TurnBounded) -> tuple[set[tuple[str, ...]], int]:
    """Return what the runs of a walk found, by signature, and how many runs it took."""
    found, case = set(), trials.of(next(iter(trials._tried))).case
    while walk.next() is not None:
        with trials.played(case, walk, watch=watch) as played:
            assert isinstance(played.engine, Controlled)
            walk.learn(played.engine)
            walk.met(meeting(played, walk.meeting))
            result = judge(played.program, played.spec, played.record, 0.0)
            found.add(tuple(sorted(finding.signature for finding in result.findings)))
    return found, walk.runs


@pytest.mark.parametrize(
    ("function", "oracle", "bound"),
    [(lost_update.main, "exception", 2), (two_locks.main, "liveness", 2), (torn, "exception", 2)],
)
def test_what_is_passed_over_shows_nothing_else(function: Callable[..., object], oracle: str, bound: int) -> None:
    record, makers, signature = failing(function, oracle, **({"idlers": 0} if function is torn else {}))
    trials = trials_of(record, makers, signature, oracle)
    trials.of(first_case(trials, record))
    some, runs = outcomes(trials, TurnBounded(bound))
    every, more = outcomes(trials, Everywhere(bound))
    assert some == every
    assert runs < 2 * more  # some are made twice, when an op that was passed over turns out to meet another


@pytest.mark.slow
def test_what_is_passed_over_shows_nothing_else_where_tasks_sleep() -> None:
    test_what_is_passed_over_shows_nothing_else(bounded_queue.main, "liveness", 1)


def test_a_smaller_schedule_is_met_and_is_the_smallest() -> None:
    record, makers, signature = failing(lost_update.main, "exception")
    trials = trials_of(record, makers, signature, "exception")
    turns = (
        Preemption("main", "main:spawn", 1, "main.0"),
        Preemption("main.0", "BEGIN", 1, "main"),
        Preemption("main.0", "deposit:balance", 1, "main.1"),
    )
    large = trials.of(replace(first_case(trials, record), turns=turns, values=()))
    assert large.fails
    found, shown = fewest(trials, large)
    assert shown
    assert found.fails
    assert found.case.cost == 1


def test_a_walk_that_is_cut_shows_nothing() -> None:
    record, makers, signature = failing(torn, "exception")
    trials = trials_of(record, makers, signature, "exception", Budget(runs=4))
    large = trials.of(first_case(trials, record))
    assert fewest(trials, large) == (large, None)
