"""BUGGY: writeout does not take the page lock again that ->writepage dropped.

Its callers go on as if they had it: they put ptes back, and unlock the page at the end, which may be locked by another.
"""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import migrate, page_writeback, rmap
from mmrace.kernel.mm.mm_types import Page


def writeout(mapping: AddressSpace, page: Page) -> int:
    """Write a dirty page, and return without its lock."""
    wbc = page_writeback.WritebackControl(sync_mode=page_writeback.WB_SYNC_NONE, nr_to_write=1, for_reclaim=True)
    assert mapping.a_ops.writepage is not None
    if not page_writeback.clear_page_dirty_for_io(page):
        return migrate._stop(-Errno.EAGAIN, "writeout", "writeout: already clean")
    rmap.remove_migration_ptes(page, page)
    rc = mapping.a_ops.writepage(page, wbc)
    return migrate._stop(-Errno.EIO if rc < 0 else -Errno.EAGAIN, "writeout", "writeout: written")


CANARY = Canary(
    variant=Variant(
        "writeout-without-relock",
        "writeout returns without the page lock, which ->writepage dropped",
        {"mm.migrate:writeout": writeout},
        source="the contract of ->writepage: the page is unlocked when it returns",
    ),
    scenario="migrate-vs-vfat",
    oracle="bug-on",
    rule="rmap_walk: page is not locked",
    hunt=shortest(without="reader,stick_flusher", migrations=2),
)
