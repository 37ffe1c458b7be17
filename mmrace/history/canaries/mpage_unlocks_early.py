"""BUGGY: __mpage_writepage unlocks the page before it sets PG_writeback.

It takes no buffer lock, so that for a moment nothing at all says that the page is being written: a migration that gets
its lock then sees a clean page without I/O, and moves it away from under the write.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs import buffer, buffer_head, mpage
from mmrace.kernel.fs.mpage import MpageData
from mmrace.kernel.mm import filemap, page_flags, page_writeback
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.page_writeback import WritebackControl


def __mpage_writepage(page: Page, wbc: WritebackControl, mpd: MpageData) -> int:
    """Write a page whose buffers are a run; the lock goes first, PG_writeback comes after."""
    found = mpage._blocks_of_ring(page) if buffer.page_has_buffers(page) else None
    if found is None:
        return mpage._write_confused(page, wbc, mpd)
    bdev, blocks = found
    mpage._add_page(mpd, page, bdev, blocks)
    for _, bh in zip(blocks, buffer.ring(buffer.page_buffers(page)), strict=False):
        buffer_head.clear_buffer_dirty(bh)
    rt.bug_on(page_flags.PageWriteback(page), "__mpage_writepage: page is under writeback", page=page)
    filemap.unlock_page(page)
    page_writeback.set_page_writeback(page)
    return 0


CANARY = Canary(
    variant=Variant(
        "mpage-unlocks-early",
        "__mpage_writepage drops the page lock before it sets PG_writeback",
        {"fs.mpage:__mpage_writepage": __mpage_writepage},
        source="R8: page lock, then PG_writeback, and nothing else",
    ),
    scenario="migrate-vs-vfat",
    oracle="dirty",
    rule="writeback on an unlocked page",
    params={"rounds": 4},
    hunt=shortest(without="reader"),
)
