"""How much of a stretch of time a process had: what it used of it, and what nobody kept from it.

The kernel counts for each thread how long it ran, and how long it was ready to run while the machine did something else
(`/proc/PID/task/TID/schedstat`).  On a machine under load, behind another nice value or a quota, a process that looks
as if it hung may only wait for its turn, and such time it did not have.  Invariant: time in which one of its threads
ran counts, whatever others waited for; where nobody can tell, all time counts.  Not told: a wait that is not over yet,
which the kernel counts when it is; and what waits for a disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

Times: TypeAlias = dict[str, tuple[float, float]]
"""Of each thread: seconds that it ran, and that it was kept waiting, since it began."""
NS = 1e-9


class Allotted:
    """What a process has had since this was made.  Args: pid: None: this one.  read: its times."""

    def __init__(self, pid: int | None = None, read: Callable[[int | None], Times] | None = None) -> None:
        self._pid, self._read = pid, read or times
        self._before = self._read(pid)

    def of(self, seconds: float) -> float:
        """Return how much of the seconds since this was made the process had."""
        ran = waited = 0.0
        for thread, (ran_now, waited_now) in self._read(self._pid).items():
            ran_before, waited_before = self._before.get(thread, (0.0, 0.0))
            ran += ran_now - ran_before
            waited += waited_now - waited_before
        return min(seconds, max(0.0, ran, seconds - waited))


def times(pid: int | None = None) -> Times:
    """Return the times of a process's threads; empty where nobody can tell.  Args: pid: None: this process."""
    folder = f"/proc/{pid or 'self'}/task"
    found: Times = {}
    try:
        threads = os.listdir(folder)
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"{folder}/{thread}/schedstat", encoding="ascii") as file:
                ran, waited = file.read().split()[:2]
            found[thread] = int(ran) * NS, int(waited) * NS
        except (OSError, ValueError):  # it has ended, or this kernel does not count
            continue
    return found
