"""A bench for tests of mm, buffers and the device: one machine, one disk, one file of a plain file system, no journal.

The file system is the smallest that uses the buffer layer: a file's blocks are mapped one to one, pages are written and
migrated with their buffers.  Invariant: a test body runs as the first task of a fresh model.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.fs import block_dev, buffer, buffer_page
from mmrace.kernel.fs import inode as inode_
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.fs.fs import AddressSpace, AddressSpaceOperations, Inode
from mmrace.kernel.mm import filemap, migrate, mmzone, page_alloc, page_flags, swap, vmscan
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.page_writeback import WritebackControl
from mmrace.runtime import live
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task

FILE_BLOCKS = 8
POLLS = 4000
"""Turns that `until` waits before it gives up: more ops than any of these runs needs for one step."""


def get_block(inode: Inode, iblock: int, bh: BufferHead, create: bool) -> int:
    """Map block b of a file to block i_data + b of its disk."""
    assert isinstance(inode.i_sb, device.BlockDevice)
    buffer.map_bh(bh, inode.i_sb, inode.i_data + iblock)
    return 0


def readpage(page: Page) -> int:
    return buffer_page.block_read_full_page(page, get_block)


def writepage(page: Page, wbc: WritebackControl) -> int:
    return buffer_page.block_write_full_page(page, get_block, wbc)


def write_begin(mapping: AddressSpace, pos: int, count: int) -> tuple[int, Page | None]:
    return buffer_page.block_write_begin(mapping, pos, count, get_block)


PLAIN = AddressSpaceOperations(
    readpage=readpage,
    writepage=writepage,
    write_begin=write_begin,
    write_end=buffer_page.generic_write_end,
    migratepage=migrate.buffer_migrate_page,
    is_partially_uptodate=buffer_page.block_is_partially_uptodate,
)
NO_MIGRATEPAGE = replace(PLAIN, migratepage=None)


def isolate_lru_page_for(page: Page, mode: vmscan.IsolateMode) -> int:
    """Call __isolate_lru_page, whose name a method could not spell (it would be mangled)."""
    return vmscan.__isolate_lru_page(page, mode)


class Bench:
    """What a test body works on."""

    def __init__(self, a_ops: AddressSpaceOperations = PLAIN, **options: Any) -> None:
        blocks = options.pop("blocks", FILE_BLOCKS)
        disk = {key: options.pop(key) for key in ("errors", "irq_cpu", "ticks", "nr_requests") if key in options}
        self.machine = mmzone.Machine(ncpus=2, **options)
        self.zone = self.machine.zone
        self.disk = device.new_block_device("disk", self.machine, [("meta", 8), (1, blocks)], **disk)
        block_dev.bdget(self.disk)
        self.inode = inode_.new_inode(self.disk, 1, self.machine, a_ops, blocks)
        self.inode.i_data = self.disk.regions[1].first
        self.mapping = self.inode.i_mapping

    def write(self, pos: int, values: Sequence[int]) -> int:
        """Write words of the file."""
        rt.mutex_lock(self.inode.i_mutex)
        written = filemap.generic_perform_write(self.mapping, pos, values)
        rt.mutex_unlock(self.inode.i_mutex)
        return written

    def read(self, pos: int, count: int) -> list[int] | int:
        """Read words of the file."""
        return filemap.do_generic_file_read(self.mapping, pos, count)

    def cached(self, index: int = 0) -> Page | None:
        """Return what the slot shows, without an op."""
        page: Page | None = rt.peek(self.mapping.page_tree.slots[index], "page")
        return page

    def page(self, index: int = 0) -> Page:
        """Return the page that the slot shows, without an op."""
        page = self.cached(index)
        assert page is not None
        return page

    def ring(self, index: int = 0) -> list[BufferHead]:
        """Return the ring of a cached page."""
        return list(buffer.ring(buffer.page_buffers(self.page(index))))

    def fill(self, index: int = 0, values: Sequence[int] | None = None) -> Page:
        """Write a whole page, bring it to the disk and onto the LRU; returns it: idle, clean, count 2."""
        words = self.machine.words_per_page
        self.write(index * words, values or [100 + i for i in range(words)])
        assert filemap.filemap_write_and_wait(self.mapping) == 0
        swap.lru_add_drain_all(self.machine)
        return self.page(index)

    def dirty(self, index: int, values: Sequence[int]) -> None:
        """Change a cached page without touching it as a user does: it stays inactive and unreferenced."""
        page = self.page(index)
        filemap.lock_page(page)
        for i, value in enumerate(values):
            page.words.write(i, value)
        for bh in self.ring(index):
            buffer.mark_buffer_dirty(bh)
        page_flags.ClearPageReferenced(page)
        filemap.unlock_page(page)

    def on_disk(self, block: int) -> list[int]:
        """Return the words of a block of the file as the disk has them."""
        return list(self.disk.block(self.inode.i_data + block).words.values)

    def isolate(self, page: Page, mode: vmscan.IsolateMode | None = None) -> int:
        """Isolate a page as a compactor does."""
        rt.spin_lock_irq(self.zone.lru_lock)
        ret = isolate_lru_page_for(page, mode or vmscan.ISOLATE_ACTIVE | vmscan.ISOLATE_INACTIVE)
        if ret == 0:
            swap.del_page_from_lru_list(self.zone, page, swap.page_lru(page))
            self.zone.account("NR_ISOLATED", 1)
        rt.spin_unlock_irq(self.zone.lru_lock)
        return ret

    def migrate(self, page: Page, mode: MigrateMode, passes: int = migrate.PASSES) -> int:
        """Isolate and migrate one page, putting it back on failure; then drain all pagevecs."""
        assert self.isolate(page) == 0
        pages = [page]
        rc = migrate.migrate_pages(pages, self.new_page, None, False, mode, passes)
        if rc:
            migrate.putback_lru_pages(pages)
        assert pages == []
        swap.lru_add_drain_all(self.machine)
        return rc

    def new_page(self, page: Page, private: object) -> Page | None:
        """The target of a migration."""
        return page_alloc.alloc_page(self.machine)


def assert_idle(bench: Bench, index: int = 0) -> Page:
    """Assert that a cached page is at rest: on the LRU, unlocked, counted by slot and ring only; returns it."""
    page = bench.page(index)
    assert page.flags.peek(page_flags.PG_lru) and not page.flags.peek(page_flags.PG_locked)
    assert not page.flags.peek(page_flags.PG_writeback)
    private = page.flags.peek(page_flags.PG_private)
    assert page._count.value == 1 + private
    assert rt.peek(page, "mapping") is bench.mapping and rt.peek(page, "index") == index
    if private:
        for bh in bench.ring(index):
            assert rt.peek(bh, "b_page") is page
            assert bh.b_count.value == 0
            assert not bh.b_state.peek(BufferState.BH_Lock)
    return page


def assert_memory(bench: Bench) -> None:
    """Assert that every page is either free, with count 0, or in a mapping, and that nothing is left in between."""
    cached = {rt.peek(slot, "page") for mapping in bench.machine.mappings for slot in mapping.page_tree.slots}
    free = mmzone.free_pages(bench.zone)
    for page in bench.machine.pages:
        assert (page in cached) != (page in free), page
        assert (page.dead is not None) == (page in free), page
        if page in free:
            assert page._count.value == 0 and page.flags.value == 0, page
    stat = bench.zone.vm_stat
    assert stat["NR_ISOLATED"] == 0 and stat["NR_WRITEBACK"] == 0
    assert stat["NR_FILE_DIRTY"] == sum(page is not None and page.flags.peek(page_flags.PG_dirty) for page in cached)
    assert stat["NR_FILE_PAGES"] == len(cached - {None})


def until(cond: Callable[[], object]) -> None:
    """Give way until a ghost condition holds."""
    for _ in range(POLLS):
        if cond():
            return
        rt.schedule()
    raise AssertionError("what the test waits for did not happen")


def marked(name: str) -> bool:
    """Say whether a mark was reached in this run so far."""
    return bool(live.engine.marks.get(name))


class Shuffle(BaseStrategy):
    """A strategy that picks at random; values come from `values`, 0 when they run out.

    Args: stay: how likely the running task goes on, over a fair pick.
    """

    def __init__(self, seed: int, values: Sequence[int], stay: float) -> None:
        self.random = random.Random(seed)
        self.values = iter(values)
        self.stay = stay

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return any enabled task."""
        if running.on and self.random.random() < self.stay:
            return running
        return self.random.choice(enabled)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the next value that was asked for."""
        return min(next(self.values, 0), n - 1)


class Outcome:
    """A finished run: bench, marks, end, record."""

    def __init__(self, gate: GateEngine, bench: Bench) -> None:
        self.gate, self.bench = gate, bench
        self.marks = gate.marks
        self.detail = gate.end["detail"]

    def notes(self, kind: str) -> list[tuple[Any, ...]]:
        """Return the facts of each note of a kind, by name."""
        return [tuple(Record.name(list(facts))) for _, op, a, facts in self.gate.events if op < 0 and a == kind]


def run(
    body: Callable[[Bench], object],
    *,
    seed: int = 0,
    values: Sequence[int] = (),
    stay: float = 0.0,
    ends: str = "finished",
    **options: Any,
) -> Outcome:
    """Run `body` on a fresh bench under `gate`; asserts how the run ended.  Options: those of `Bench`."""
    kept: list[Bench] = []

    def main() -> None:
        kept.append(Bench(**options))
        body(kept[0])

    gate = GateEngine(Shuffle(seed, values, stay), seed=seed, ncpus=2, steps_max=60_000, sites=True)
    gate.run(main)
    if gate.error is not None:
        raise gate.error
    assert gate.end["how"] == ends, gate.end
    return Outcome(gate, kept[0])
