"""BUGGY: the fallback moves a page that is dirty, and leaves its buffers behind.

The mapping has no ->migratepage, so nobody knows how to take its ring along; what the buffers were to write is lost.
"""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import filemap, migrate, page_flags
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page


def fallback_migrate_page(mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Strip the page if that can be, and move it whether it is dirty or not."""
    if page_flags.page_has_private(page):
        filemap.try_to_release_page(page)
    return migrate.migrate_page(mapping, newpage, page, mode)


CANARY = Canary(
    variant=Variant(
        "fallback-moves-dirty",
        "a dirty page of a mapping without ->migratepage is moved, without its buffers",
        {"mm.migrate:fallback_migrate_page": fallback_migrate_page},
        source="the fallback: a dirty page is refused, or written first",
    ),
    scenario="migrate-vs-vfat",
    oracle="slot",
    rule="stray buffer",
    hunt=shortest(without="reader,stick_flusher", migrations=2),
)
