"""Whose a sleeping bit lock is while I/O is under way.

The kernel writes that down nowhere: the end of a buffer's I/O unlocks the buffer, the end of a page's last read the
page.  The model does, so that an unlock by a stranger shows: the lock is handed to a token, the buffer or the page
itself, and the tasks that serve its I/O act for that.  No kernel file holds this, and nothing here is an op.
Not checked: that the I/O does end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.mm import page_flags

if TYPE_CHECKING:
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.mm.mm_types import Page


def buffer_lock_to_io(bh: BufferHead) -> None:
    """Say that the end of the I/O will release the buffer lock."""
    rt.hand_over(bh.b_state, BufferState.BH_Lock, bh)


def page_lock_to_reads(page: Page) -> None:
    """Say that the last of the page's reads to end will release the page lock."""
    rt.hand_over(page.flags, page_flags.PG_locked, page)


@contextmanager
def acting_for(page: Page) -> Iterator[None]:
    """Within the block this task is one of the page's reads too: it ends one that was never submitted."""
    task = rt.current()
    acts_for = task.acts_for
    task.acts_for = (*acts_for, page)
    try:
        yield
    finally:
        task.acts_for = acts_for
