"""How slow the disks are, one without a file system, what of the file is not cached, and how often a slab is needed.

Part of the set-up.  Invariant: with each parameter at its default, no run is otherwise than without it.
"""

from __future__ import annotations

from mmrace.actors.stage import Stage
from mmrace.actors.streamer import RAW
from mmrace.kernel.block import device
from mmrace.kernel.block.device import BLKDEV_MAX_RQ
from mmrace.kernel.fs import block_dev
from mmrace.runtime.param import Number

TICKS = Number(
    "ticks",
    0,
    0,
    1_000_000,
    says="ticks that the disk is at one I/O, one after the other, under the strategy timed; under another one that "
    "sleep may end at once; 0: an I/O takes no time, and all run at the same time",
)
REQUESTS = Number(
    "requests",
    BLKDEV_MAX_RQ,
    1,
    BLKDEV_MAX_RQ,
    says="I/Os that wait for a disk with ticks; who submits more sleeps",
)
SLABS = Number(
    "slabs",
    0,
    0,
    10_000,
    says="one of so many small allocations of the page cache needs a new slab, from wherever its caller is; 0: none",
)
SLAB_ORDER = Number("slab_order", 0, 0, 3, says="order of a new slab")
COLD = Number(
    "cold",
    0,
    0,
    64,
    says="pages of the file, from its end, that are not in the page cache at first: who reads them reads the disk",
)
RAW_TICKS = Number("raw_ticks", 0, 0, 1_000_000, says="as `ticks`, of the disk without a file system")
PARAMS = (TICKS, RAW_TICKS, REQUESTS, SLABS, SLAB_ORDER, COLD)


def plug_in(stage: Stage, versions: int, *, irq_cpu: int | str) -> None:
    """Set up the disk without a file system, if there is one: its blocks are numbered on, from the begin of a page."""
    pages, per_page, ticks = stage.value_or_default(RAW), stage.machine.buffers_per_page, stage.value(RAW_TICKS)
    if not pages:
        return
    first = -(-stage.devices[-1].end // per_page) * per_page
    stage.raw_device = device.new_block_device(
        "raw",
        stage.machine,
        [("raw", pages * per_page)],
        irq_cpu=irq_cpu,
        versions=versions,
        ticks=ticks,
        nr_requests=stage.value(REQUESTS),
        first=first,
    )
    block_dev.bdget(stage.raw_device, "raw")
