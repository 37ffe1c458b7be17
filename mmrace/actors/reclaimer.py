"""Actor reclaimer: page reclaim.  Each round it shrinks the tail of the inactive list, buffers first.

Each round chooses whether it is kswapd at high pressure, which writes, or a direct reclaimer, which leaves dirty pages
to the flusher.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import mmzone, page_alloc, page_flags, vmscan
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.param import Number

SCAN = 2
"""Pages to scan in a round: the scenarios have few (SWAP_CLUSTER_MAX, 32, in the kernel)."""

HIGH_PRESSURE = 0
"""The scan priority at which kswapd writes dirty file pages itself."""

ORDER = Number(
    "order",
    0,
    0,
    10,
    says="order of the allocation that a direct reclaimer works for; above 3 it goes over its pages a second time, and "
    "then waits for their writeback with the page locked",
)
ZONE_RECLAIM = Number(
    "zone_reclaim",
    0,
    0,
    1,
    says="1: the direct reclaimer is zone_reclaim, which neither writes nor unmaps: it isolates clean, unmapped pages",
)
PARAMS = (*LOOP, ORDER, ZONE_RECLAIM)


def reclaimer(stage: Stage) -> None:
    """Play `rounds` rounds."""
    order, zone_reclaim = stage.value(ORDER), bool(stage.value(ZONE_RECLAIM))
    for i in range(stage.rounds):
        stage.pause()
        kswapd = bool(rt.choose(2, "kswapd"))
        with_role(kswapd)
        control = kswapd_control() if kswapd else direct_control(order, zone_reclaim)
        rt.note("scan-begin")
        vmscan.shrink_inactive_list(stage.machine, SCAN, control)
        rt.note("scan-end")
        rt.note("round", "reclaimer", i)


def with_role(kswapd: bool) -> None:
    """Make this task kswapd, or a direct reclaimer."""
    task = rt.current()
    task.pf &= ~(mmzone.PF_KSWAPD | mmzone.PF_MEMALLOC)
    task.pf |= mmzone.PF_KSWAPD | mmzone.PF_MEMALLOC if kswapd else mmzone.PF_MEMALLOC


def kswapd_control() -> vmscan.ScanControl:
    """Return what kswapd may do at high pressure."""
    return vmscan.ScanControl(priority=HIGH_PRESSURE)


def direct_control(order: int, zone_reclaim: bool) -> vmscan.ScanControl:
    """Return what a direct reclaimer may do."""
    return vmscan.ScanControl(order=order, may_writepage=not zone_reclaim, may_unmap=not zone_reclaim)


def shrink_isolated(stage: Stage, pages: list[Page], kswapd: bool = True) -> None:
    """Reclaim isolated pages, as if active ones had been aged; put back what stays.

    Args: kswapd: under pressure, so that dirty pages are written; else a direct reclaimer, which leaves them.
    """
    with_role(kswapd)
    zone = stage.machine.zone
    for page in pages:
        page_flags.ClearPageActive(page)
    kept = vmscan.shrink_page_list(pages, kswapd_control() if kswapd else direct_control(0, False))
    rt.spin_lock_irq(zone.lru_lock)
    freed = vmscan.putback_inactive_pages(zone, kept)
    zone.account("NR_ISOLATED", -len(pages))
    rt.spin_unlock_irq(zone.lru_lock)
    page_alloc.free_hot_cold_page_list(freed)


ACTOR = Actor("reclaimer", reclaimer, PARAMS)
