"""BUGGY: a direct compactor waits for the lock of a page on forced passes, as any other migration does.

It may have come from readahead, which holds the locks of pages whose I/O it has not submitted yet: then it waits for
itself.
"""

from collections.abc import Callable

from mmrace import runtime as rt
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant, over
from mmrace.kernel.mm import mmzone
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page


def _lock_source(below: Callable[..., int], page: Page, force: bool, mode: MigrateMode) -> int:
    """Lock the page to be moved, whoever wants to move it."""
    task = rt.current()
    flag = task.pf & mmzone.PF_MEMALLOC
    task.pf &= ~mmzone.PF_MEMALLOC
    rc: int = below(page, force, mode)
    task.pf |= flag
    return rc


CANARY = Canary(
    variant=Variant(
        "no-pf-memalloc-rule",
        "a direct compactor sleeps for page locks, though it may hold some of an I/O that it has not submitted",
        {"mm.migrate:_lock_source": over(_lock_source)},
        source="the PF_MEMALLOC test in __unmap_and_move, mm/migrate.c",
    ),
    scenario="stream-vs-migrate",
    oracle="liveness",
    rule="cycle",
    params={"huge": 2, "pages": 4, "cold": 4, "slabs": 1, "slab_order": 2, "streamed": 4, "window": 8, "passes": 5},
    hunt={"idle": 10, "without": "migrator,reclaimer"},
)
