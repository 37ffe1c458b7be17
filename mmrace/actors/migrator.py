"""Actor migrator: isolates pages of the LRU and migrates them, in one of the three modes.

With MIGRATE_ASYNC it is the first pass of a direct compactor (PF_MEMALLOC, compaction's isolation filter).  With
MIGRATE_SYNC_LIGHT it is the second pass, or with `direct` 0 that of compact_memory.  With MIGRATE_SYNC it is memory
hotplug.  Each round drains this CPU's pagevecs, takes up to `batch` pages and hands them to `migrate_pages`.
Not played here: the compaction scanners, which choose pages by pageblock.
"""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.stage import IDLE, Stage
from mmrace.kernel import gfp
from mmrace.kernel.mm import filemap, migrate, mm, mmzone, page_alloc, swap, vmscan
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.mmzone import Zone
from mmrace.runtime.param import Choice, Number

MODE = Choice("mode", "MIGRATE_ASYNC", tuple(MigrateMode.__members__), says="how much the migrator may block")
MIGRATIONS = Number("migrations", 4, 1, 10_000, says="rounds of the migrator")
BATCH = Number("batch", 2, 1, 32, says="pages that the migrator takes in one round")
DEVICE = Number(
    "device", 0, 0, 1, says="1: the migrator takes pages of the block device too, which have no ->migratepage"
)
PASSES = Number("passes", 3, 1, migrate.PASSES, says="passes of migrate_pages over what is left (10 in the kernel)")
DIRECT = Number(
    "direct", 1, 0, 1, says="1: the migrator is a direct compactor (PF_MEMALLOC) unless mode is MIGRATE_SYNC"
)
PARAMS = (IDLE, MODE, MIGRATIONS, BATCH, DEVICE, PASSES, DIRECT)


def migrator(stage: Stage) -> None:
    """Play `migrations` rounds."""
    mode = MigrateMode[stage.value(MODE)]
    for i in range(stage.value(MIGRATIONS)):
        stage.pause()
        rt.note("drain-begin")
        swap.lru_add_drain(stage.machine)
        rt.note("drain-end")
        migrate_some(stage, isolate_some(stage, mode, stage.value(BATCH)), mode)
        rt.note("round", "migrator", i)


def isolate_some(stage: Stage, mode: MigrateMode, batch: int) -> list[Page]:
    """Take up to `batch` pages off the LRU as compaction does, under lru_lock, without looking at their mappings.

    Compaction's scanners take what lies in a pageblock; here `device` decides: 0 takes pages of the file only, and of
    that on the second disk, and of memory that is private to a program, 1 takes those of the block device too, which
    have no ->migratepage.  Source: mm/compaction.c (isolate_migratepages), v3.3.
    """
    zone = stage.machine.zone
    isolate_mode = vmscan.ISOLATE_ACTIVE | vmscan.ISOLATE_INACTIVE
    if mode == MigrateMode.MIGRATE_ASYNC:
        isolate_mode |= vmscan.ISOLATE_ASYNC_MIGRATE
    device = stage.value(DEVICE)
    wanted = [inode.i_mapping for inode in stage.files]
    taken: list[Page] = []
    rt.spin_lock_irq(zone.lru_lock)
    for page in _anonymous(zone) + zone.inactive_list + zone.active_list:
        if len(taken) == batch:
            break
        if not device and not mm.PageAnon(page) and rt.peek(page, "mapping") not in wanted:
            continue
        if vmscan.__isolate_lru_page(page, isolate_mode) == 0:
            swap.del_page_from_lru_list(zone, page, swap.page_lru(page))
            zone.account(swap._isolated_statistic(page), 1)
            taken.append(page)
    rt.spin_unlock_irq(zone.lru_lock)
    return taken


def _anonymous(zone: Zone) -> tuple[Page, ...]:
    """Return the pages on the lists of anonymous pages.  Needs lru_lock."""
    return zone.anon.inactive_list + zone.anon.active_list if zone.anon is not None else ()


def isolate_index(stage: Stage, index: int) -> list[Page]:
    """Take the page at `index` off the LRU as move_pages does: by a reference.  Returns an empty list if that fails.

    Source: mm/migrate.c (do_move_page_to_node_array), v3.3.
    """
    page = filemap.find_get_page(stage.mapping, index)
    if page is None:
        return []
    taken = vmscan.isolate_lru_page(page) == 0
    if taken:
        stage.machine.zone.account("NR_ISOLATED", 1)
    swap.put_page(page, "lookup")
    return [page] if taken else []


def migrate_some(stage: Stage, pages: list[Page], mode: MigrateMode) -> int:
    """Migrate isolated pages to fresh ones; put back what stays.  Returns what `migrate_pages` did."""
    if not pages:
        return 0
    task = rt.current()
    direct = mode != MigrateMode.MIGRATE_SYNC and bool(stage.value(DIRECT))
    if direct:
        task.pf |= mmzone.PF_MEMALLOC
    rc = migrate.migrate_pages(
        pages,
        lambda _page, _private: page_alloc.alloc_page(stage.machine, gfp.GFP_HIGHUSER_MOVABLE),
        0,
        False,
        mode,
        stage.value(PASSES),
    )
    if rc:
        migrate.putback_lru_pages(pages)
    if direct:
        task.pf &= ~mmzone.PF_MEMALLOC
    return rc


ACTOR = Actor("migrator", migrator, PARAMS, migrates=True)
