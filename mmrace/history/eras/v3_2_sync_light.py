"""3.2 with the series up to its third mode: three modes as shipped, deferral and reclaim as they were before it.

Any failed compaction puts off the next ones, an asynchronous one too; an allocation for which compaction is put off
reclaims all the same; and reclaim for a large order ends early as soon as compaction could begin or is put off, however
little is free.  A page that moved is thawed with all its references, and the slot's dropped after that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace.history.era import Era
from mmrace.history.eras import v3_3
from mmrace.kernel.mm import compaction, filemap

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page
    from mmrace.kernel.mm.mmzone import Zone
    from mmrace.kernel.mm.vmscan import ScanControl


def _defers(sync_migration: bool) -> bool:
    """Say yes: whatever it was that failed."""
    return True


def _gives_up_if_deferred(gfp_mask: int, deferred: bool) -> bool:
    """Say no: whoever cannot compact reclaims."""
    return False


def compaction_ready(zone: Zone, sc: ScanControl) -> bool:
    """Say whether a reclaim for a large order should end: without a look at how much is free."""
    if sc.order <= sc.costly_order:
        return False
    suitable = compaction.compaction_suitable(zone, sc.order) != compaction.COMPACT_SKIPPED
    return suitable or compaction.compaction_deferred(zone)


def _thaw_moved(page: Page, expected_count: int) -> None:
    """Thaw the old page, then drop the slot's reference, which is not the last one."""
    filemap.page_unfreeze_refs(page, expected_count)
    page._count.put("slot")


ERA = Era(
    "3.2+sync-light",
    "the series with MIGRATE_SYNC_LIGHT; deferral and reclaim as before it",
    {
        "mm.page_alloc:_defers": _defers,
        "mm.page_alloc:_gives_up_if_deferred": _gives_up_if_deferred,
        "mm.vmscan_zone:compaction_ready": compaction_ready,
        "mm.migrate:_thaw_moved": _thaw_moved,
    },
    source="commit a6bc32b899223a877f595ef9ddc1e89ead5072b8, with the rest as in the tag v3.2",
    on=v3_3.ERA,
)
