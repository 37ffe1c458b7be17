"""Actor reclaimer: page reclaim.  Each round it shrinks the tail of the inactive list, buffers first.

Each round chooses whether it is kswapd at high pressure, which may write, or a direct reclaimer, which may not.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import LOOP, Stage
from mmrace.kernel.mm import mmzone, vmscan
from mmrace.kernel.mm import page as page_
from mmrace.kernel.mm.page import Page

SCAN = 2
"""Pages to scan in a round: the scenarios have few (SWAP_CLUSTER_MAX, 32, in the kernel)."""

HIGH_PRESSURE = 0
"""The scan priority at which kswapd writes dirty file pages itself."""


PARAMS = LOOP


def reclaimer(stage: Stage) -> None:
    """Play `rounds` rounds."""
    for i in range(stage.rounds):
        stage.pause()
        kswapd = bool(rt.choose(2, "kswapd"))
        with_role(kswapd)
        vmscan.shrink_inactive_list(stage.machine, SCAN, scan_control(kswapd))
        rt.note("round", "reclaimer", i)


def with_role(kswapd: bool) -> None:
    """Make this task kswapd, or a direct reclaimer."""
    task = rt.current()
    task.pf &= ~(mmzone.PF_KSWAPD | mmzone.PF_MEMALLOC)
    task.pf |= mmzone.PF_KSWAPD | mmzone.PF_MEMALLOC if kswapd else mmzone.PF_MEMALLOC


def scan_control(kswapd: bool) -> vmscan.ScanControl:
    """Return what the role may do."""
    return vmscan.ScanControl(priority=HIGH_PRESSURE if kswapd else vmscan.DEF_PRIORITY, may_writepage=kswapd)


def shrink_isolated(stage: Stage, pages: list[Page]) -> None:
    """Reclaim isolated pages as kswapd under pressure, as if active ones had been aged; put back what stays."""
    with_role(True)
    isolated = len(pages)
    for page in pages:
        page_.ClearPageActive(page)
    vmscan.putback_inactive_pages(stage.machine.zone, vmscan.shrink_page_list(pages, scan_control(True)))
    stage.machine.zone.account("NR_ISOLATED", -isolated)


ACTOR = Actor("reclaimer", reclaimer, PARAMS)
