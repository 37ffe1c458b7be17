"""What waits until a device has caught up.

Invariant: who waits here holds nothing that what it waits for needs; the callers see to that.
Not modelled: the queue of those who wait for it, and that a queue which is no longer congested ends the wait: it lasts
for the ticks that it was told.  `struct backing_dev_info` and its flushers are not here either.
Source: mm/backing-dev.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt

if TYPE_CHECKING:
    from mmrace.kernel.mm.mmzone import Machine

MARKS: tuple[tuple[str, str], ...] = ()

CONGESTION_TICKS = 100
"""What stands for HZ / 10 where nothing else is said: some dozens of steps, so that others get somewhere."""


def congestion_wait(machine: Machine, timeout: int) -> None:
    """Sleep for `timeout` ticks.

    Who polls between two of these does that in `rt.until_changed`, so as not to spin where no clock runs.
    Source: mm/backing-dev.c, v3.3.
    """
    rt.sleep(timeout, "congestion")
