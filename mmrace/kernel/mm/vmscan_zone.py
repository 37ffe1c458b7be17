"""Direct reclaim as a whole: the zone is scanned harder and harder until enough pages are free, or nothing helps.

Invariant: who reclaims has PF_MEMALLOC, so that its own allocations do not reclaim; pages that it isolates are freed or
put back before it returns.
Not modelled: kswapd's own loop, slabs, swap and anonymous pages, memory cgroups, waking the flusher threads (in this
cast the flusher is an actor of its own), congested devices and the throttling of who dirties pages.
Half of mm/vmscan.c: `vmscan` has the isolation and the shrinking of a list.
Source: mm/vmscan.c, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel import gfp
from mmrace.kernel.mm import compaction, mmzone, page_alloc, vmscan

if TYPE_CHECKING:
    from mmrace.kernel.mm.mmzone import Zone
    from mmrace.kernel.mm.vmscan import ScanControl

MARKS = (
    ("reclaim: enough for compaction", "a reclaim for a large order ended: there is room to compact"),
    ("reclaim: goes on for compaction", "a reclaim for a large order went over the zone again"),
    ("reclaim: nothing left to free", "a direct reclaim scanned as hard as it may, and freed nothing"),
)

KSWAPD_ZONE_BALANCE_GAP_RATIO = 100
"""The part of a zone that may be free beyond its high watermark.  Source: include/linux/swap.h, v3.3."""

INACTIVE_RATIO = 1
"""The active list is aged while it is longer than the inactive one times this.  Source: inactive_file_is_low, v3.3."""


PRIORITIES = (vmscan.DEF_PRIORITY, vmscan.DEF_PRIORITY - 3, vmscan.DEF_PRIORITY // 3, 0)
"""Of the kernel's thirteen: the first; the one from which a reclaim for a cheap order makes room for compaction; the
one from which that waits for writeback; and the last."""


def try_to_free_pages(zone: Zone, order: int, gfp_mask: int) -> int:
    """Reclaim for an allocation; returns how many pages, or 1 to say: try again.  Needs PF_MEMALLOC.  Sleeps.

    Source: mm/vmscan.c, v3.3.
    """
    sc = vmscan.ScanControl(
        order=order,
        costly_order=mmzone.costly_order(zone.machine),
        nr_to_reclaim=zone.machine.swap_cluster_max,
        may_enter_fs=bool(gfp_mask & gfp.__GFP_FS),
        may_repeat=bool(gfp_mask & gfp.__GFP_REPEAT),
    )
    return do_try_to_free_pages(zone, sc)


def do_try_to_free_pages(zone: Zone, sc: ScanControl) -> int:
    """Scan the zone with rising priority until `nr_to_reclaim` pages were freed.

    Simplified: of the priorities only those at which something changes.  That nothing can be reclaimed at all is for
    kswapd to find out; here it is so if the last priority freed nothing.  Source: mm/vmscan.c, v3.3.
    """
    mmzone.count_vm_event(zone.machine, "ALLOCSTALL")
    aborted_reclaim = False
    for priority in PRIORITIES:
        sc.priority = priority
        sc.nr_scanned = 0
        aborted_reclaim = shrink_zones(zone, sc)
        if aborted_reclaim or sc.nr_reclaimed >= sc.nr_to_reclaim:
            break
    if sc.nr_reclaimed or aborted_reclaim:
        return sc.nr_reclaimed or 1
    rt.reached("reclaim: nothing left to free")
    return 0


def shrink_zones(zone: Zone, sc: ScanControl) -> bool:
    """Shrink the zone, unless there is room to compact; returns whether the reclaim should end for that.

    Source: mm/vmscan.c, v3.3.
    """
    if compaction_ready(zone, sc):
        rt.reached("reclaim: enough for compaction")
        return True
    shrink_zone(zone, sc)
    return False


def compaction_ready(zone: Zone, sc: ScanControl) -> bool:
    """Say whether a reclaim for a large order should leave the rest to compaction.  Source: mm/vmscan.c, v3.3."""
    if sc.order <= sc.costly_order:
        return False
    ratio = KSWAPD_ZONE_BALANCE_GAP_RATIO
    balance_gap = min(mmzone.low_wmark_pages(zone), (zone.spanned_pages + ratio - 1) // ratio)
    watermark = mmzone.high_wmark_pages(zone) + balance_gap + (2 << sc.order)
    watermark_ok = page_alloc.zone_watermark_ok(zone, 0, watermark)
    # Deferred: a reclaim would not make it succeed, and should not take much.
    if compaction.compaction_deferred(zone):
        return watermark_ok
    if compaction.compaction_suitable(zone, sc.order) == compaction.COMPACT_SKIPPED:
        return False
    return watermark_ok


def shrink_zone(zone: Zone, sc: ScanControl) -> None:
    """Age the active list and shrink the inactive one, as much as the priority says, and again for compaction.

    Source: mm/vmscan.c, v3.3.
    """
    while True:
        before, scanned = sc.nr_reclaimed, sc.nr_scanned
        nr_inactive, nr_active = get_scan_count(zone, sc)
        cluster = zone.machine.swap_cluster_max
        while nr_inactive or nr_active:
            if nr_active:
                nr_to_scan = min(nr_active, cluster)
                nr_active -= nr_to_scan
                if inactive_file_is_low(zone):
                    vmscan.shrink_active_list(zone.machine, nr_to_scan, sc)
            if nr_inactive:
                nr_to_scan = min(nr_inactive, cluster)
                nr_inactive -= nr_to_scan
                vmscan.shrink_inactive_list(zone.machine, nr_to_scan, sc)
            if sc.nr_reclaimed - before >= sc.nr_to_reclaim and sc.priority < vmscan.DEF_PRIORITY:
                break
        if not should_continue_reclaim(zone, sc.nr_reclaimed - before, sc.nr_scanned - scanned, sc):
            return
        rt.reached("reclaim: goes on for compaction")


def _scan_count(zone: Zone, pages: int, priority: int) -> int:
    """Return how many of a list's pages a scan of this priority is for.

    The kernel shifts the length of the list by the priority: a cluster, of a list of 2^17 pages at DEF_PRIORITY, and
    twice as much at each further one.  Here that is so whatever the list's length.
    """
    return min(pages, zone.machine.swap_cluster_max << (vmscan.DEF_PRIORITY - priority))


def get_scan_count(zone: Zone, sc: ScanControl) -> tuple[int, int]:
    """Return how many pages of the inactive and of the active list to scan.  Source: mm/vmscan.c, v3.3."""
    inactive = mmzone.zone_page_state(zone, "NR_INACTIVE")
    active = mmzone.zone_page_state(zone, "NR_ACTIVE")
    return _scan_count(zone, inactive, sc.priority), _scan_count(zone, active, sc.priority)


def inactive_file_is_low(zone: Zone) -> bool:
    """Say whether the active list is the longer one.  Source: mm/vmscan.c, v3.3."""
    active = mmzone.zone_page_state(zone, "NR_ACTIVE")
    return active > mmzone.zone_page_state(zone, "NR_INACTIVE") * INACTIVE_RATIO


def should_continue_reclaim(zone: Zone, nr_reclaimed: int, nr_scanned: int, sc: ScanControl) -> bool:
    """Say whether a reclaim for a large order goes over the zone again, so that there is room to compact.

    Source: mm/vmscan.c, v3.3.
    """
    if not sc.reclaim_mode & vmscan.ReclaimMode.RECLAIM_MODE_COMPACTION:
        return False
    # Who asked to repeat goes on while there is something to scan, others while something is freed.
    if not nr_reclaimed and not (sc.may_repeat and nr_scanned):
        return False
    pages_for_compaction = 2 << sc.order
    if sc.nr_reclaimed < pages_for_compaction < mmzone.zone_page_state(zone, "NR_INACTIVE"):
        return True
    return compaction.compaction_suitable(zone, sc.order) == compaction.COMPACT_SKIPPED
