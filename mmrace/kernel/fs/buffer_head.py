"""`struct buffer_head`, the bits of its state word, and their accessors.

Invariant: `b_page` and `b_data` are two fields stored one after the other; jbd's private bits live in the same word.
Not modelled: the association lists (`b_assoc_*`), which ext3 does not use.
Source: include/linux/buffer_head.h, jbd.h, v3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import bitops

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.jbd.jbd import JournalHead
    from mmrace.kernel.mm.mm_types import Page


class BufferState(IntEnum):
    """Bits of `bh.b_state`; from BH_JBD on they are jbd's.  BH_Unshadow is only an address to sleep on."""

    BH_Uptodate = 0
    BH_Dirty = 1
    BH_Lock = 2
    BH_Req = 3
    BH_Uptodate_Lock = 4
    BH_Mapped = 5
    BH_New = 6
    BH_Async_Read = 7
    BH_Async_Write = 8
    BH_Delay = 9
    BH_Boundary = 10
    BH_Write_EIO = 11
    BH_Unwritten = 12
    BH_Quiet = 13
    BH_JBD = 14
    BH_JWrite = 15
    BH_Freed = 16
    BH_Revoked = 17
    BH_RevokeValid = 18
    BH_JBDDirty = 19
    BH_State = 20
    BH_JournalHead = 21
    BH_Unshadow = 22


EndIo = Callable[["BufferHead", bool], None]


class BufferHead(rt.Struct):
    """One block of a page: what the ring hangs together by, and what I/O is submitted with.

    `b_size` is its number of words.  Simplified: the kernel's `b_data` is an address, this one the offset of the first
    word in `b_page`; who keeps an address takes both at once (`buffer._data_of`).  `b_end_io` is written and read by
    whoever holds BH_Lock, or by its I/O; a record has the function's name.
    """

    b_state = rt.flag_word(BufferState, waitable=(BufferState.BH_Lock, BufferState.BH_Unshadow))
    b_count = rt.refcount(tested=False)  # put_bh frees nothing: only who reads the count looks at it
    b_this_page: rt.Field[BufferHead | None] = rt.shared(None)
    b_page: rt.Field[Page | None] = rt.shared(None)
    b_data: rt.Field[int] = rt.shared(0)
    b_blocknr: rt.Field[int] = rt.shared(-1)
    b_bdev: rt.Field[BlockDevice | None] = rt.shared(None)
    b_private: rt.Field[JournalHead | None] = rt.shared(None)
    b_end_io: rt.Field[EndIo | None] = rt.shared(None)
    b_size = rt.ghost(0)

    def __init__(self, name: object, b_size: int) -> None:
        super().__init__(name, b_size=b_size)


# -- bits ----------------------------------------------------------------------------------------------------------
# As BUFFER_FNS() and TAS_BUFFER_FNS() generate them: each is one atomic op on one bit.

BufferTest = Callable[[BufferHead], bool]
BufferChange = Callable[[BufferHead], None]


def _test(bit: BufferState) -> BufferTest:
    number = int(bit)

    def test(bh: BufferHead) -> bool:
        return rt.test_bit(bh.b_state, number)

    return test


def _set(bit: BufferState) -> BufferChange:
    number = int(bit)

    def set_(bh: BufferHead) -> None:
        rt.set_bit(bh.b_state, number)

    return set_


def _clear(bit: BufferState) -> BufferChange:
    number = int(bit)

    def clear(bh: BufferHead) -> None:
        rt.clear_bit(bh.b_state, number)

    return clear


def _test_set(bit: BufferState) -> BufferTest:
    number = int(bit)

    def test_set(bh: BufferHead) -> bool:
        return rt.test_and_set_bit(bh.b_state, number)

    return test_set


def _test_clear(bit: BufferState) -> BufferTest:
    number = int(bit)

    def test_clear(bh: BufferHead) -> bool:
        return rt.test_and_clear_bit(bh.b_state, number)

    return test_clear


buffer_uptodate, set_buffer_uptodate = _test(BufferState.BH_Uptodate), _set(BufferState.BH_Uptodate)
clear_buffer_uptodate = _clear(BufferState.BH_Uptodate)
buffer_dirty, set_buffer_dirty = _test(BufferState.BH_Dirty), _set(BufferState.BH_Dirty)
clear_buffer_dirty = _clear(BufferState.BH_Dirty)
test_set_buffer_dirty, test_clear_buffer_dirty = _test_set(BufferState.BH_Dirty), _test_clear(BufferState.BH_Dirty)
buffer_locked = _test(BufferState.BH_Lock)
buffer_req, clear_buffer_req = _test(BufferState.BH_Req), _clear(BufferState.BH_Req)
test_set_buffer_req = _test_set(BufferState.BH_Req)
buffer_mapped, set_buffer_mapped = _test(BufferState.BH_Mapped), _set(BufferState.BH_Mapped)
clear_buffer_mapped = _clear(BufferState.BH_Mapped)
buffer_new, set_buffer_new = _test(BufferState.BH_New), _set(BufferState.BH_New)
clear_buffer_new = _clear(BufferState.BH_New)
buffer_async_read, set_buffer_async_read = _test(BufferState.BH_Async_Read), _set(BufferState.BH_Async_Read)
clear_buffer_async_read = _clear(BufferState.BH_Async_Read)
buffer_async_write, set_buffer_async_write = _test(BufferState.BH_Async_Write), _set(BufferState.BH_Async_Write)
clear_buffer_async_write = _clear(BufferState.BH_Async_Write)
buffer_delay, clear_buffer_delay = _test(BufferState.BH_Delay), _clear(BufferState.BH_Delay)
buffer_unwritten, clear_buffer_unwritten = _test(BufferState.BH_Unwritten), _clear(BufferState.BH_Unwritten)
buffer_write_io_error = _test(BufferState.BH_Write_EIO)
set_buffer_write_io_error = _set(BufferState.BH_Write_EIO)
clear_buffer_write_io_error = _clear(BufferState.BH_Write_EIO)
bitops.name_accessors(globals())
