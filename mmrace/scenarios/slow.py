"""How slow the disk is, what of it no file has or nobody has read, and how often a small allocation needs a slab.

Part of the set-up.  Invariant: with each parameter at its default, no run is otherwise than without it.
"""

from __future__ import annotations

from mmrace.actors.stage import Stage
from mmrace.actors.streamer import RAW
from mmrace.kernel.block.device import BLKDEV_MAX_RQ
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
PARAMS = (TICKS, REQUESTS, SLABS, SLAB_ORDER, COLD)


def raw_region(stage: Stage) -> tuple[tuple[str, int], ...]:
    """Return the region of the disk that no file has, if there is one: so many whole pages, wherever it begins."""
    pages, per_page = stage.value_or_default(RAW), stage.machine.buffers_per_page
    return (("raw", (pages + 1) * per_page - 1),) if pages else ()
