"""Time that a process had: what it ran, and what nobody kept from it; and where that is read."""

from __future__ import annotations

import os
import threading

import pytest

from mmrace.runtime.allotted import Allotted, Times, times


def had(before: Times, after: Times, seconds: float) -> float:
    looks = iter([before, after])
    return Allotted(1, lambda pid: next(looks)).of(seconds)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, 10.0),  # nobody can tell
        ({"1": (5.0, 5.0)}, {"1": (5.0, 5.0)}, 10.0),
        ({"1": (5.0, 5.0)}, {"1": (6.0, 13.0)}, 2.0),
        ({"1": (5.0, 5.0)}, {"1": (5.1, 14.9)}, 0.1),
        ({"1": (0.0, 0.0)}, {"1": (4.0, 6.0), "2": (0.0, 6.0)}, 4.0),  # what ran counts, whatever others waited for
        ({"1": (9.0, 9.0)}, {"2": (0.0, 3.0)}, 7.0),  # of one that has ended meanwhile nothing is known
        ({"1": (0.0, 0.0)}, {"1": (30.0, 0.0)}, 10.0),  # never more than there was
    ],
)
def test_what_ran_counts_and_what_waited_does_not(before: Times, after: Times, expected: float) -> None:
    assert had(before, after, 10.0) == pytest.approx(expected)


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="this kernel does not count how threads wait")
def test_the_times_of_each_thread_are_those_of_the_kernel() -> None:
    own = str(threading.get_native_id())
    ran, waited = times()[own]
    assert ran > 0.0 and waited >= 0.0
    assert own in times(os.getpid())


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    assert times(2**22 + 1) == {}
