"""Linux 3.2: asynchronous compaction takes no dirty page, and ->migratepage does not know who calls it.

Isolation refuses dirty pages and pages under writeback (ISOLATE_CLEAN).  A page dirtied since then is refused before
its op is called, unless that is migrate_page, which cannot block.  A clean page with buffers is moved, and its buffers
are locked after the slot, sleeping, in async too.  compact_memory is asynchronous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.history.era import Era
from mmrace.history.eras import v3_2_trylock
from mmrace.history.variant import over
from mmrace.kernel.errno import Errno
from mmrace.kernel.mm import migrate, mm, page_flags
from mmrace.kernel.mm.migrate import MIGRATE_SYNC, MigrateMode

if TYPE_CHECKING:
    from mmrace.kernel.fs.fs import AddressSpace
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.vmscan import IsolateMode


def _dirty_page_will_do(page: Page, mode: IsolateMode) -> bool:
    """Say no: an isolation that looks at the dirty bit at all wants clean pages."""
    return False


def _compact_memory_sync() -> bool:
    """Say no: the flag is left as it was, which is off."""
    return False


def _move_by_op(below: Callable[..., int], newpage: Page, page: Page, mode: MigrateMode) -> int:
    """Have the page moved, unless it is dirty, its op may block and the caller may not: -EBUSY."""
    mapping = mm.page_mapping(page)
    if mapping is None or mode == MIGRATE_SYNC or mapping.a_ops.migratepage is migrate.migrate_page:
        return below(newpage, page, mode)
    if page_flags.PageDirty(page):
        rt.reached("fallback: dirty, mode may not write")
        return migrate.Refusal(-Errno.EBUSY, "dirty")
    return below(newpage, page, mode)


def buffer_migrate_page(
    below: Callable[..., int], mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode
) -> int:
    """Move a page with its ring, and lock the buffers after the slot, sleeping, whatever the caller said."""
    return below(mapping, newpage, page, MIGRATE_SYNC)


ERA = Era(
    "3.2",
    "async isolates clean pages only, and blocks for their buffers",
    {
        "mm.vmscan:_dirty_page_will_do": _dirty_page_will_do,
        "mm.compaction:_compact_memory_sync": _compact_memory_sync,
        "mm.migrate:_move_by_op": over(_move_by_op),
        "mm.migrate:buffer_migrate_page": over(buffer_migrate_page),
    },
    source="the tag v3.2; commit 39deaf85 for the isolation",
    on=v3_2_trylock.ERA,
)
