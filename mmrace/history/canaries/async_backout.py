"""BUGGY: asynchronous migration as the trylock patch was first posted, in November 2011.

Its back-out walks from the head of the ring and stops *before* the busy buffer, but looks only after the first step.
What that does depends on the ring and on who is busy:

- one buffer in the ring: it unlocks a lock that somebody else holds;
- several, a later one busy: it unlocks only its own, and leaks the reference that it took to the busy one;
- several, the head busy: it never meets its end before it is round, and unlocks the whole ring.

And it took the locks after the move of the mapping.  On a busy buffer it moved the mapping back, warned if that failed,
and returned -EBUSY; it fails if a lookup has a reference to the new page, which is public by then.
"""

from collections.abc import Callable

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant, over
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import migrate
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MigrateMode
from mmrace.kernel.mm.mm_types import Page


def buffer_migrate_lock_buffers(below: Callable[..., bool], head: BufferHead, mode: MigrateMode) -> bool:
    """In ASYNC: try each buffer of the ring; on failure release from the head on, up to where the busy one comes."""
    if mode != MIGRATE_ASYNC:
        return below(head, mode)
    for failed_bh in buffer.ring(head):
        buffer.get_bh(failed_bh, "migrate")
        if not buffer.trylock_buffer(failed_bh):
            bh: BufferHead | None = head
            while True:
                assert bh is not None
                buffer.unlock_buffer(bh)
                buffer.put_bh(bh, "migrate")
                bh = bh.b_this_page
                if bh is failed_bh:
                    return False
    return True


def buffer_migrate_page(
    below: Callable[..., int], mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode
) -> int:
    """In ASYNC: move the slot, try the buffer locks, move back if one is busy; the rest is as it should be."""
    if mode != MIGRATE_ASYNC or not buffer.page_has_buffers(page):
        return below(mapping, newpage, page, mode)
    head = buffer.page_buffers(page)
    rc = migrate.migrate_page_move_mapping(mapping, newpage, page, None, mode)
    if rc:
        return rc
    if not migrate.buffer_migrate_lock_buffers(head, mode):
        # Pages swapped: newpage is in the slot.  If that fails, a warning in the log is all that comes of it.
        migrate.migrate_page_move_mapping(mapping, page, newpage, None, mode)
        return migrate.Refusal(-Errno.EBUSY, "buffer-lock")
    migrate._move_ring(newpage, page, head)
    migrate.migrate_page_copy(newpage, page)
    for bh in buffer.ring(head):
        buffer.unlock_buffer(bh)
        buffer.put_bh(bh, "migrate")
    return 0


CANARY = Canary(
    variant=Variant(
        "async-backout",
        "the trylock patch as first posted: a back-out that unlocks what is not its own, after the slot has moved",
        {
            "mm.migrate:buffer_migrate_lock_buffers": over(buffer_migrate_lock_buffers),
            "mm.migrate:buffer_migrate_page": over(buffer_migrate_page),
        },
        source="mail 1321635524-8586-5-git-send-email-mgorman@suse.de, 18 November 2011",
    ),
    scenario="async-vs-commit",
    oracle="lock-discipline",
    noise="stutter",
    params={"words": 4, "rounds": 4, "migrations": 10, "idle": 60},
    hunt=shortest(dirtied=2, without="writer,reader"),
)
