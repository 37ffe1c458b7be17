"""Planted bugs for judges: of each judge one that it must see alone, with the cast it is in, and its correct twin.

`PLANTED` has a row for each judge of `mmrace list oracles`.  Most bugs are bindings of the kernel model, as a canary's
are; some are canaries; those of judges that another one replaces in the kernel model are programs of their own
(`stress/planted_programs.py`).  `stress/judges.py` measures the rows, and the tests of the judges play some of them.
Invariant: nothing here tells a run, a strategy or a judge where the bug is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mmrace import history
from mmrace import runtime as rt
from mmrace.history.canaries import canaries
from mmrace.history.variant import Variant
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_page, ext3, fs_writeback
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace, InodeState
from mmrace.kernel.jbd import transaction
from mmrace.kernel.jbd.jbd import Handle, Journal
from mmrace.kernel.mm import filemap, migrate, mm_types, page_alloc, page_flags, page_writeback, radix_tree
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.page_writeback import WritebackControl, WritePage
from mmrace.kernel.mm.radix_tree import Slot
from mmrace.kernel.mm.vmscan import IsolateMode
from mmrace.runs.functions import KIND as FUNCTION
from mmrace.runs.spec import RunSpec
from mmrace.runtime.param import Value

PROGRAMS = Path(__file__).with_name("planted_programs.py")
PREFIX = "planted-"
"""Of the names of the variants."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One bug.  `rule`: of the judge, which it breaks, "": any; `bug`, `twin`: runs with it and without; `bind`: what
    the model has instead, by place.
    """

    judge: str
    rule: str
    title: str
    bug: RunSpec
    twin: RunSpec
    bind: Mapping[str, Callable[..., object]]

    @property
    def params(self) -> dict[str, Value]:
        """The parameters of the runs."""
        return dict(self.twin.params)


# -- the kernel model -----------------------------------------------------------------------------------------------

_move_to_new_page, _fdatawait = migrate.move_to_new_page, filemap.filemap_fdatawait
_get_slot_page, _write_cache_pages, _dirty_metadata = (
    filemap._get_slot_page,
    page_writeback.write_cache_pages,
    transaction.journal_dirty_metadata,
)


def _marks_what_it_does_not_move(newpage: Page, page: Page, remap_swapcache: bool, mode: MigrateMode) -> int:
    """BUGGY: a refused page is marked as if its I/O had failed."""
    rc = _move_to_new_page(newpage, page, remap_swapcache, mode)
    if rc:
        page_flags.SetPageError(page)
    return rc


def _will_do(page: Page, mode: IsolateMode) -> bool:
    """BUGGY: any dirty page will do."""
    return True


def _loses_the_frame(page: Page) -> None:
    """BUGGY: free_hot_cold_page without the free list."""
    page_alloc.free_pages_check(page)
    rt.note("page-free", page)
    rt.poison(page, keep=mm_types.TYPE_STABLE)


def _copies_nothing(to: Page, from_: Page) -> None:
    """BUGGY: the data stay behind."""


def _writes_home_at_once(handle: Handle, bh: BufferHead) -> None:
    """BUGGY: the block is written home while its transaction is open."""
    _dirty_metadata(handle, bh)
    buffer.lock_buffer(bh)
    buffer.get_bh(bh, "io")
    bh.b_end_io = buffer.end_buffer_write_sync
    buffer.submit_bh(device.WRITE, bh)


def _tags_nothing(page: Page, mapping: AddressSpace) -> None:
    """BUGGY: a page that was dirtied is neither accounted nor tagged."""
    fs_writeback.__mark_inode_dirty(mapping.host, InodeState.I_DIRTY_PAGES)


def _waits_for_nothing(mapping: AddressSpace) -> int:
    """BUGGY: fsync starts its writes, and returns."""
    return 0


def _tells_what_it_waited_for(mapping: AddressSpace) -> int:
    """BUGGY: a mapping with pages is taken for one with an error."""
    return _fdatawait(mapping) or -Errno.EIO


def _looks_twice(slot: Slot, ref: str) -> Page | None:
    """BUGGY: a lookup sees that the slot is not empty, and reads it once more for the page."""
    if radix_tree.radix_tree_deref_slot(slot) is None:
        return None
    page = radix_tree.radix_tree_deref_slot(slot)
    if not filemap.page_cache_get_speculative(page, ref):  # type: ignore[arg-type]
        return _get_slot_page(slot, ref)
    return page


def _handle_before_page_lock(mapping: AddressSpace, pos: int, length: int) -> tuple[int, Page | None]:
    """BUGGY: write_begin starts its handle first, and locks the page then."""
    inode = mapping.host
    index, from_ = divmod(pos, mapping.machine.words_per_page)
    handle = ext3.ext3_journal_start(inode, ext3.ext3_writepage_trans_blocks(inode) + 1)
    page = filemap.grab_cache_page_write_begin(mapping, index)
    if page is None:
        ext3.ext3_journal_stop(handle)
        return -Errno.ENOMEM, None
    ret = buffer_page.__block_write_begin(page, pos, length, ext3.ext3_get_block)
    if ret == 0 and ext3.EXT3_SB(inode).data is ext3.DataMode.JOURNAL:
        head = buffer.page_buffers(page)
        ret = ext3.walk_page_buffers(handle, head, from_, from_ + length, ext3.do_journal_get_write_access)
    return ret, page


def _only_for_integrity(mapping: AddressSpace, wbc: WritebackControl, writepage: WritePage) -> int:
    """BUGGY: a walk that is not for integrity finds nothing."""
    if wbc.sync_mode == page_writeback.WB_SYNC_NONE:
        return 0
    return _write_cache_pages(mapping, wbc, writepage)


def _rotates_nothing(page: Page) -> None:
    """BUGGY: the page keeps its place on the list."""


def _remembers_nothing(page: Page) -> None:
    """BUGGY: PG_error is not set."""


def _goes_on_under_writeback(page: Page) -> None:
    """BUGGY: nobody waits for the writeback of a page."""


def _does_nothing(bh: BufferHead) -> None:
    """BUGGY: BH_State is neither taken nor released."""


def _is_taken(bh: BufferHead) -> bool:
    """BUGGY: BH_State is said to be taken."""
    return True


def _is_idle(bh: BufferHead) -> bool:
    """BUGGY: no buffer is ever in use."""
    return False


def _goes_on(gfp_mask: int, deferred: bool) -> bool:
    """BUGGY: an allocation that must not disturb reclaims, though compaction is put off."""
    return False


def _never_soon(page: Page, order: int, max_order: int) -> bool:
    """BUGGY: no block is kept for a larger one to come."""
    return False


def _asks_no_journal(journal: Journal, page: Page) -> bool:
    """BUGGY: buffers are freed with their journal heads on them."""
    return buffer.try_to_free_buffers(page)


# -- rows -----------------------------------------------------------------------------------------------------------


def _model(
    judge: str, rule: str, title: str, scenario: str, bind: dict[str, Callable[..., object]], **params: Value
) -> Planted:
    """Return the row of a binding of the model."""
    twin = RunSpec(scenario, tuple(sorted(params.items())), engine="fiber")
    bug = RunSpec(scenario, twin.params, PREFIX + judge, engine="fiber")
    return Planted(judge, rule, title, bug, twin, bind)


def _canary(name: str) -> Planted:
    """Return the row of a canary: its own judge, its own parameters."""
    canary = canaries()[name]
    params = tuple(sorted(canary.params_under("fiber").items()))
    bug, twin = (RunSpec(canary.scenario, params, variant, engine="fiber") for variant in (name, ""))
    return Planted(canary.oracle, canary.rule, canary.title, bug, twin, canary.variant.bind)


def _program(judge: str, rule: str, title: str, function: str) -> Planted:
    """Return the row of a program that can be made without its bug."""
    name = f"{PROGRAMS}:{function}"
    bug, twin = (RunSpec(name, (("planted", n),), engine="fiber", maker=FUNCTION) for n in (1, 0))
    return Planted(judge, rule, title, bug, twin, {})


PLANTED = (
    _model(
        "ageing", "marked page not rotated", "a page that reclaim waits for stays where it is when its writeback ends",
        "four", {"mm.swap:rotate_reclaimable_page": _rotates_nothing}, irq="any",
    ),
    _model(
        "back-out", "refused page changed", "a refused page is marked as if its I/O had failed",
        "async-vs-commit", {"mm.migrate:move_to_new_page": _marks_what_it_does_not_move}, idle=0,
    ),
    _model(
        "bug-on", "write_cache_pages: page is under writeback", "nobody waits for the writeback of a page",
        "migrate-vs-writeback", {"mm.filemap:wait_on_page_writeback": _goes_on_under_writeback}, idle=20, dirtied=2,
    ),
    _model(
        "conservation", "frame lost", "a freed frame does not get to the free list",
        "migrate-vs-reclaim", {"mm.page_alloc:free_hot_cold_page": _loses_the_frame},
    ),
    _model(
        "content", "garbage", "a page moves without its data",
        "migrate-vs-reclaim", {"mm.highmem:copy_highpage": _copies_nothing},
    ),
    _model(
        "crash", "shown before it is committed", "metadata is written home while its transaction is open",
        "async-vs-commit", {"jbd.transaction:journal_dirty_metadata": _writes_home_at_once},
        idle=20, dirtied=2, metadata=1, rounds=6,
    ),
    _model(
        "data-race", "race", "jbd_lock_bh_state takes no lock",
        "async-vs-commit",
        {
            "jbd.jbd:jbd_lock_bh_state": _does_nothing, "jbd.jbd:jbd_trylock_bh_state": _is_taken,
            "jbd.jbd:jbd_unlock_bh_state": _does_nothing,
        }, idle=20, dirtied=2, metadata=1,
    ),
    _model(
        "dirty", "", "a page is dirtied without the tag by which writeback finds it",
        "migrate-vs-writeback", {"fs.buffer:__set_page_dirty": _tags_nothing}, idle=20,
    ),
    _model(
        "durability", "fsync before the medium", "fsync does not wait for what it wrote",
        "migrate-vs-writeback", {"mm.filemap:filemap_fdatawait": _waits_for_nothing}, idle=20, dirtied=2, rounds=4,
    ),
    _model(
        "era", "dirty page isolated", "an isolation for MIGRATE_ASYNC takes dirty pages that no op can move",
        "async-vs-commit", {"mm.vmscan:_dirty_page_will_do": _will_do}, device=1, metadata=1, idle=20, rounds=4,
    ),
    _model(
        "errno", "error out of nothing", "fsync takes any page for one whose I/O failed",
        "migrate-vs-writeback", {"mm.filemap:filemap_fdatawait": _tells_what_it_waited_for},
    ),
    _model(
        "exception", "AttributeError", "a lookup reads the slot twice, and follows what it sees the second time",
        "reclaim-vs-truncate", {"mm.filemap:_get_slot_page": _looks_twice},
        idle=0, pages=1, reads=8, without="migrator,reclaimer",
    ),
    _canary("buddies-apart"),
    _canary("async-in-any-pageblock"),
    _canary("forgotten-wake"),
    _canary("unlock-by-stranger"),
    _model(
        "failures", "failure forgotten", "a page whose transfer failed does not remember it",
        "reclaim-vs-truncate", {"mm.page_flags:SetPageError": _remembers_nothing}, bare=100, errors=1,
        without="migrator",
    ),
    _model(
        "lock-order", "lock-order cycle", "write_begin starts its handle before it locks the page",
        "migrate-vs-writeback", {"fs.ext3:ext3_write_begin": _handle_before_page_lock}, idle=20, bare=100,
    ),
    _model(
        "progress", "dirty page forgotten", "background writeback writes nothing",
        "migrate-vs-writeback", {"mm.page_writeback:write_cache_pages": _only_for_integrity},
        idle=40, rounds=6, dirtied=2, without="fsync", migrations=1,
    ),
    _model(
        "free-lists", "wrong end of a list", "a block that will soon be half of a larger one is the next to be used",
        "tight-memory", {"mm.page_alloc:_merges_soon": _never_soon},
    ),
    _model(
        "slowpath", "reclaims though put off", "an allocation that must not disturb reclaims though compaction waits",
        "compaction-vs-writeback", {"mm.page_alloc:_gives_up_if_deferred": _goes_on},
        faults=6, held=2, pinned=1, dirtied=4, passes=5, without="compactor,fsync",
    ),
    _canary("pte-dirt-lost"),
    _canary("lost-put"),
    _canary("async-locks-after-thaw"),
    _model(
        "use-after-free", "", "buffers are freed while their journal heads are on a transaction",
        "four",
        {"fs.buffer:buffer_busy": _is_idle, "jbd.transaction_page:journal_try_to_free_buffers": _asks_no_journal},
        idle=20,
    ),
    _program("liveness", "", "a wake-up is forgotten", "forgotten_wake"),
    _program("lock-discipline", "", "a lock is released by another than its holder", "unlock_by_stranger"),
    _program("lock-order", "lock-order cycle", "two locks are taken in either order", "either_order"),
    _program("refcount", "put without reference", "a reference is put twice", "double_put"),
)  # fmt: skip


def register() -> None:
    """Make the variants known in this process."""
    for row in PLANTED:
        if row.bug.variant.startswith(PREFIX) and row.bug.variant not in history.own():
            history.register(Variant(row.bug.variant, row.title, dict(row.bind)), "stress/planted.py")


def of_model(judge: str) -> Planted:
    """Return the row of a judge of the kernel model."""
    return next(row for row in PLANTED if row.judge == judge and row.bug.maker != FUNCTION)
