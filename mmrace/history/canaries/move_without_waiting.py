"""BUGGY: after writeout the migration moves the page at once, whether its write is over or not."""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import filemap, migrate, page_flags
from mmrace.kernel.mm.migrate import MIGRATE_SYNC, MigrateMode
from mmrace.kernel.mm.mm_types import Page


def fallback_migrate_page(mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Write a dirty page, then strip and move it without a look at PG_writeback."""
    if page_flags.PageDirty(page):
        if mode != MIGRATE_SYNC:
            return migrate._stop(-Errno.EBUSY, "dirty", "fallback: dirty, mode may not write")
        rc = migrate.writeout(mapping, page)
        if rc != -Errno.EAGAIN:
            return rc
    elif page_flags.page_has_private(page) and not filemap.try_to_release_page(page):
        return migrate._stop(-Errno.EAGAIN, "releasepage", "fallback: releasepage failed")
    return migrate.migrate_page(mapping, newpage, page, mode)


CANARY = Canary(
    variant=Variant(
        "move-without-waiting",
        "a page that was just written out is moved without waiting for that",
        {"mm.migrate:fallback_migrate_page": fallback_migrate_page},
        source="writeout never succeeds in one go: a later pass waits",
    ),
    scenario="migrate-vs-vfat",
    oracle="bug-on",
    rule="migrate_page: page is under writeback",
    hunt=shortest(without="reader,stick_flusher", migrations=2),
)
