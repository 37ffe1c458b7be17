"""The search for the point of no return, with continuations that do as they are told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mmrace.search.minimise.trials import Budget
from mmrace.search.prove.continuations import Ended, Walked
from mmrace.search.prove.no_return import Found, Search, common
from mmrace.search.prove.prefix import Prefix

RUN: Prefix = tuple(("one", 0) for _ in range(8))


class Told:
    """Continuations.  Args: drawn: prefix -> how long its first draw keeps to the run, if that passes.  walked: prefix
    -> how long the class that passes does; of others a walk ends, and all its classes fail."""

    def __init__(self, drawn: Mapping[int, int], walked: Mapping[int, int] | None = None) -> None:
        self._drawn, self._walked = drawn, walked or {}
        self.walks: list[int] = []

    def drawn(self, prefix: Prefix, number: int) -> Ended:
        kept = self._drawn.get(len(prefix))
        return Ended(True) if kept is None or number else Ended(False, _leaving(kept))

    def walk(self, prefix: Prefix, *, to_first_pass: bool = False) -> Walked:
        self.walks.append(len(prefix))
        kept = self._walked.get(len(prefix))
        return Walked(3, 3, complete=True) if kept is None else Walked(1, 0, passing=_leaving(kept))


def _leaving(kept: int) -> Prefix:
    return (*RUN[:kept], ("other", 0))


def searched(told: Told) -> Found:
    return Search(told, RUN, 0, Budget(), 1.0).search(10)  # type: ignore[arg-type]


@pytest.mark.parametrize("last", range(8))
def test_it_stands_behind_the_last_prefix_with_a_continuation_that_passes(last: int) -> None:
    found = searched(Told({step: step for step in range(last + 1)}))
    assert (found.step, found.passed, found.proved, found.since) == (last + 1, last, True, last + 1)


def test_a_run_that_passes_and_keeps_on_for_long_rules_out_what_was_taken_for_the_end() -> None:
    found = searched(Told({0: 0, 2: 6}))  # nothing is seen to pass behind four ops, but behind two, after six
    assert (found.step, found.passed, found.proved) == (7, 6, True)


def test_a_class_that_passes_moves_it_behind_where_that_leaves_the_run() -> None:
    told = Told({0: 0, 1: 1}, {2: 2, 3: 5})
    assert searched(told).step == 6
    assert told.walks == [2, 3, 6]


def test_where_all_schedules_fail_it_is_the_beginning() -> None:
    found = searched(Told({}))
    assert (found.step, found.passed, found.proved) == (0, None, True)


def test_where_another_task_could_go_on_at_the_end_it_is_the_failure_itself() -> None:
    told = Told({step: step for step in range(9)})
    assert (searched(told).step, told.walks) == (9, [])


@pytest.mark.parametrize(
    ("one", "other", "same"), [((), (), 0), (RUN, RUN, 8), (RUN, RUN[:3], 3), (RUN, _leaving(2), 2)]
)
def test_what_two_runs_have_in_common_is_their_beginning(one: Prefix, other: Prefix, same: int) -> None:
    assert common(one, other) == common(other, one) == same
