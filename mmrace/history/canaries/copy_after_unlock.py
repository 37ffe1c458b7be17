"""BUGGY: the data are copied after the buffers are unlocked.

The ring hangs on the new page already, so kjournald that gets a buffer lock in between writes to disk what the new page
held before the copy.
"""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import migrate
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MigrateMode
from mmrace.kernel.mm.mm_types import Page


def buffer_migrate_page(mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Move ring and slot, unlock the buffers, then copy."""
    if not buffer.page_has_buffers(page):
        return migrate.migrate_page(mapping, newpage, page, mode)
    head = buffer.page_buffers(page)
    rc = migrate.migrate_page_move_mapping(mapping, newpage, page, head, mode)
    if rc:
        return rc
    if mode != MIGRATE_ASYNC:
        migrate.buffer_migrate_lock_buffers(head, mode)
    migrate._move_ring(newpage, page, head)
    for bh in buffer.ring(head):
        buffer.unlock_buffer(bh)
        buffer.put_bh(bh, "migrate")
    migrate.migrate_page_copy(newpage, page)
    return 0


CANARY = Canary(
    variant=Variant(
        "copy-after-unlock",
        "page data are copied after the buffer locks are dropped",
        {"mm.migrate:buffer_migrate_page": buffer_migrate_page},
        source="claim: the copy runs under page lock and buffer locks",
    ),
    scenario="sync-vs-commit",
    oracle="content",
    rule="garbage after sync",
    params={
        "words": 8, "buffers": 8, "pages": 2, "rounds": 6, "burst": 3, "wbuf": 1, "migrations": 12,
        "idle": 100, "direct": 0, "without": "reader",
    },
    hunt=shortest(dirtied=8, mode="MIGRATE_SYNC", without="writer,reader"),
)  # fmt: skip
