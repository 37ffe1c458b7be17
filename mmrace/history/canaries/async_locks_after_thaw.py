"""BUGGY: asynchronous migration takes the buffer locks after the slot moved, and moves it back if one is busy.

This is how the trylock patch was first posted, with a warning if the move back fails.  It can fail: once the new page
is public and the old count has thawed, a lookup may hold a reference that the move back does not account for.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import filemap, migrate, mm, page_flags, radix_tree, swap
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MigrateMode
from mmrace.kernel.mm.mm_types import Page

_move_mapping = migrate.migrate_page_move_mapping
_move = migrate.buffer_migrate_page


def move_back(mapping: AddressSpace, newpage: Page, page: Page) -> bool:
    """Put the old page into the slot again; False if the new page has references that cannot be accounted for."""
    rt.spin_lock_irq(mapping.tree_lock)
    slot = radix_tree.radix_tree_lookup_slot(mapping.page_tree, mm.page_index(page))
    assert slot is not None
    ok = filemap.page_freeze_refs(newpage, 2)
    if ok:
        mm.get_page(page, "slot")
        radix_tree.radix_tree_replace_slot(slot, page)
        filemap.page_unfreeze_refs(newpage, 1, dropped="slot")
    rt.spin_unlock_irq(mapping.tree_lock)
    return ok


def buffer_migrate_page(mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """In ASYNC: move the slot, try the buffer locks, move back on failure; the rest is as it should be."""
    if mode != MIGRATE_ASYNC or not buffer.page_has_buffers(page):
        return _move(mapping, newpage, page, mode)
    head = buffer.page_buffers(page)
    rc = _move_mapping(mapping, newpage, page, None, mode)
    if rc:
        return rc
    if not migrate.buffer_migrate_lock_buffers(head, mode):
        move_back(mapping, newpage, page)  # if that fails a warning is all that is left
        return migrate.Refusal(-Errno.EAGAIN, "buffer-lock")
    _move_ring(newpage, page, head)
    migrate.migrate_page_copy(newpage, page)
    for bh in buffer.ring(head):
        buffer.unlock_buffer(bh)
        buffer.put_bh(bh, "migrate")
    return 0


def _move_ring(newpage: Page, page: Page, head: BufferHead) -> None:
    page_flags.ClearPagePrivate(page)
    newpage.private = page.private
    page.private = None
    swap.put_page(page, "private")
    mm.get_page(newpage, "private")
    for bh in buffer.ring(head):
        buffer.set_bh_page(bh, newpage, buffer.bh_offset(bh))
    page_flags.SetPagePrivate(newpage)


CANARY = Canary(
    variant=Variant(
        "async-locks-after-thaw",
        "async takes the buffer locks after the thaw and moves the slot back if one is busy",
        {"mm.migrate:buffer_migrate_page": buffer_migrate_page},
        source="first posted version of the trylock patch, November 2011",
    ),
    scenario="async-vs-commit",
    oracle="slot",
    rule="slot after a failed move",
    params={"words": 4, "buffers": 8, "rounds": 12, "burst": 2, "migrations": 24, "idle": 60},
    hunt=shortest(migrations=2, passes=3, buffers=2, dirtied=2, reads=20, without="writer"),
)
