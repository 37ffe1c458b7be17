"""A bench for journal tests: one small machine with an ext3, run under `gate` with a seeded random strategy.

Invariant: a test body runs as the first task of a fresh model; what it returns is kept with the engine's record.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.fs import block_dev, buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.fs.ext3 import Ext3
from mmrace.kernel.fs.fs import Inode
from mmrace.kernel.jbd import commit, jbd
from mmrace.kernel.jbd.jbd import JList, Journal, JournalHead, Transaction
from mmrace.kernel.mm import filemap, mmzone, page_flags, swap
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task

FILE_BLOCKS = 8
LOG_BLOCKS = 80
INODE_BLOCKS = 1
POLLS = 4000
"""Turns that `until` waits before it gives up: more ops than any of these runs needs for one step."""


class Shuffle(BaseStrategy):
    """A strategy that picks at random; values come from `values`, 0 when they run out."""

    def __init__(self, seed: int, values: Iterator[int]) -> None:
        self.random = random.Random(seed)
        self.values = values

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return any enabled task."""
        return self.random.choice(enabled)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the next value that was asked for."""
        return min(next(self.values, 0), n - 1)


class Bench:
    """What a test body works on.  Ghost looks (`on_disk`, `list_of`, ...) are no ops."""

    def __init__(self, **options: Any) -> None:
        errors = options.pop("errors", False)
        machine = {key: options.pop(key) for key in ("nr_pages", "buffers_per_page") if key in options}
        self.machine = mmzone.Machine(ncpus=2, **machine)
        self.device = device.new_block_device("disk", self.machine, errors=errors)
        block_dev.bdget(self.device)
        options = {"inodes": INODE_BLOCKS, "log_blocks": LOG_BLOCKS, **options}
        self.fs: Ext3 = ext3.Ext3(self.machine, self.device, **options)
        self.journal: Journal = self.fs.journal
        self.inode: Inode = ext3.ext3_iget(self.fs, 1, FILE_BLOCKS)
        self.other: Inode = ext3.ext3_iget(self.fs, 2, FILE_BLOCKS)

    def write(self, block: int, value: int, inode: Inode | None = None) -> None:
        """Write one block of a file: every word becomes `value`."""
        inode = inode or self.inode
        words = self.machine.words_per_buffer
        rt.mutex_lock(inode.i_mutex)
        written = filemap.generic_perform_write(inode.i_mapping, block * words, [value] * words)
        rt.mutex_unlock(inode.i_mutex)
        assert written == words

    def commit(self) -> int:
        """Commit the running transaction, if there is one; returns its tid or 0."""
        if rt.peek(self.journal, "j_running_transaction") is None:
            return 0
        return commit.journal_commit_transaction(self.journal)

    def page(self, index: int) -> Page:
        """Return a page of the file, without a reference: for pages that nothing removes."""
        page = filemap.find_get_page(self.inode.i_mapping, index)
        assert page is not None
        swap.put_page(page, "lookup")
        return page

    def bh(self, block: int) -> BufferHead:
        """Return the buffer of a block of the file."""
        index, position = divmod(block, self.machine.buffers_per_page)
        return list(buffer.ring(buffer.page_buffers(self.page(index))))[position]

    def bh_of_new_page(self, block: int) -> BufferHead:
        """Write a block and return its buffer."""
        self.write(block, 1)
        return self.bh(block)

    def on_disk(self, block: int) -> list[int]:
        """Return the words of a block of the file as the device has them."""
        return self.disk_block(self.inode.i_data + block)

    def log_block(self, block: int) -> list[int]:
        """Return the words of a block of the log as the device has them."""
        return self.disk_block(self.journal.j_first + block)

    def disk_block(self, blocknr: int) -> list[int]:
        """Return the words of a block of the device."""
        return list(self.device.block(blocknr).words.values)

    def running(self) -> Transaction | None:
        """Return the running transaction."""
        running: Transaction | None = rt.peek(self.journal, "j_running_transaction")
        return running

    def spawn(self, fn: Callable[..., object], *args: object, name: str, cpu: int = 1) -> Task:
        """Start a task."""
        return rt.spawn(fn, *args, name=name, cpu=cpu)


def list_of(owner: Transaction | None, jlist: JList) -> list[BufferHead]:
    """Return the buffers on a list of a transaction."""
    jhs: tuple[JournalHead, ...] = rt.peek(owner, jbd.LIST_FIELDS[jlist]) if owner else ()
    return [rt.peek(jh, "b_bh") for jh in jhs]


def until(cond: Callable[[], bool]) -> None:
    """Give way until a ghost condition holds."""
    for _ in range(POLLS):
        if cond():
            return
        rt.schedule()
    raise AssertionError("what the test waits for did not happen")


def marked(name: str) -> bool:
    """Say whether a mark was reached in this run."""
    from mmrace.runtime import live  # noqa: PLC0415  the marks of the live engine

    return bool(live.engine.marks.get(name))


class Outcome:
    """A finished run: marks, end, record, and what the body returned."""

    def __init__(self, gate: GateEngine, bench: Bench, value: Any) -> None:
        self.gate, self.bench, self.value = gate, bench, value
        self.marks = gate.marks
        self.how = gate.end["how"]
        self.detail = gate.end["detail"]

    @property
    def record(self) -> Record:
        """The record."""
        return Record.of_run(self.gate, {}, {})


def run(
    body: Callable[[Bench], Any],
    *,
    seed: int = 0,
    values: Sequence[int] = (),
    ends: str = "finished",
    **options: Any,
) -> Outcome:
    """Run `body` on a fresh bench; asserts how the run ended.  Options: those of `Bench` and of `ext3_fill_super`."""
    kept: list[Any] = [None, None]

    def main() -> None:
        kept[0] = bench = Bench(**options)
        kept[1] = body(bench)

    gate = GateEngine(Shuffle(seed, iter(values)), seed=seed, ncpus=2, steps_max=120_000, sites=True)
    gate.run(main)
    if gate.error is not None:
        raise gate.error
    assert gate.end["how"] == ends, gate.end
    return Outcome(gate, kept[0], kept[1])


def assert_at_rest(bench: Bench) -> None:
    """Assert that journal and buffers are idle: no transaction, no lock, and only counts that are explained."""
    journal = bench.journal
    assert rt.peek(journal, "j_running_transaction") is None
    assert rt.peek(journal, "j_committing_transaction") is None
    lru = [bh for cpu in bench.machine.percpu for bh in rt.peek(cpu, "bh_lru")]
    for page in bench.machine.pages:
        if page.dead is not None or not page.flags.peek(page_flags.PG_private):
            continue
        head = rt.peek(page, "private")
        bh = head
        while True:
            jh = rt.peek(bh, "b_private") if bh.b_state.peek(BufferState.BH_JBD) else None
            assert bh.b_count.value == lru.count(bh) + (jh is not None), bh
            for bit in (BufferState.BH_Lock, BufferState.BH_State, BufferState.BH_JournalHead, BufferState.BH_JBDDirty):
                assert not bh.b_state.peek(bit), (bh, bit)
            if jh is not None:
                assert rt.peek(jh, "b_jcount") == 1, jh
                assert rt.peek(jh, "b_cp_transaction") in rt.peek(journal, "j_checkpoint_transactions")
            bh = rt.peek(bh, "b_this_page")
            if bh is head:
                break
