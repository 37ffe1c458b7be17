"""Era: a migration does what its era does, and neither what was mended before nor what came later.

Rules, by the table of eras (`eras.py`): a migration has a mode of its era; an isolation for MIGRATE_ASYNC took no page
that was under writeback, or dirty, all the while that it looked, if the era refuses such pages; ASYNC moved no page
that was dirty all the while, before the patch; since then it refused none for being dirty whose mapping has an op; no
buffer is locked between freeze and slot by who locks buffers after the slot; the old page leaves its mapping with the
copy, or in 3.4 after its buffers were unlocked.
Invariant: bits are compared with what they were throughout, so that what others did meanwhile excuses.  Not checked:
pages isolated by a reference, without a filter; that ASYNC locks the buffers before the slot since the patch: a move
that did it later is caught by what comes of it (`slot.py`), and is counted by claim C11.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.eras import ASYNC, rules_of
from mmrace.oracles.protocol.moments import KINDS, Moments
from mmrace.oracles.protocol.names import JOURNALLED, inode_of, is_anon_vma, mode_of_data, without_journal
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    FREEZE,
    GET,
    GET_UNLESS_ZERO,
    KIND_MASK,
    NOTE,
    SHIFT,
    TEST_AND_SET,
    UNFREEZE,
    WRITE,
)
from mmrace.runtime.record import Record

NAME = "era"
DIRTY, UNDER_WRITEBACK = "PG_dirty", "PG_writeback"
NOTES = frozenset({"migrate-begin", "migrate-end"})


@dataclass(slots=True)
class _Move:
    """An attempt that is going on.  Steps of what it did, -1: not yet."""

    page: str
    mode: str
    begin: int
    frozen: int = -1
    slot: int = -1
    thawed: bool = False
    dirty: bool = False  # the page was, from the beginning to the slot
    early: str = ""  # a buffer that was locked between freeze and slot
    emptied: int = -1  # the page's private data was last written: of a move with buffers, at the end of the copy
    left: int = -1  # the page left its mapping
    unlocked: int = -1  # the last of its buffers was
    buffers: set[str] = field(default_factory=set)


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.rules = rules_of(record)
        self.evidence = Evidence(NAME)
        self.pages = Moments(record, "Page", "flags", (DIRTY, UNDER_WRITEBACK))
        self.counts = record.lanes("Page", "_count")
        self.slots = record.lanes("Slot", "page")
        self.mappings = record.lanes("Page", "mapping")
        self.privates = record.lanes("Page", "private")
        self.buffers = record.bit_lane("BufferHead", "b_state", "BH_Lock")
        self.lru_locks = record.lanes("Zone", "lru_lock")
        self.mapping_of: dict[str, str] = {}
        self.looks: dict[int, int] = {}  # task -> when it took lru_lock
        self.isolated: dict[str, tuple[int, tuple[str, ...]]] = {}  # page -> by whom, and what it was all the while
        self.moves: dict[int, _Move] = {}
        self.plain = without_journal(record)
        self.file_has_op = mode_of_data(record) != JOURNALLED
        self.checked = 0

    def has_op(self, page: str) -> bool:
        """Say whether the mapping of a page has ->migratepage; of none, as private memory has, that it may move."""
        mapping = self.mapping_of.get(page, "None")
        ino = inode_of(mapping)
        own = is_anon_vma(mapping) or mapping == "None"
        return own or (ino != "" and ino not in self.plain and self.file_has_op)

    def caught(self, rule: str, text: str, step: int, task: int, page: str) -> None:
        who, era = self.record.task_name(task), self.record.header.get("era", "3.3")
        self.evidence.add(rule, f"{text} ({who}, era {era})", (page, who), step=step, task=who, page=page)

    # -- notes ----------

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "migrate-begin":
            self.begun(step, task, _Move(str(self.record.name(facts[0])), str(facts[1]), step))
            return
        move = self.moves.pop(task, None)
        if move is not None:
            self.checked += 1
            self.ended(step, task, move, str(facts[3]) == "0", str(facts[4]))

    def begun(self, step: int, task: int, move: _Move) -> None:
        self.moves[task] = move
        if move.mode not in self.rules.waits:
            self.caught("mode of another era", f"{move.page} is to be moved in {move.mode}", step, task, move.page)
        by, was = self.isolated.pop(move.page, (-1, ()))
        if by != task or move.mode != ASYNC or not self.rules.filters:
            return
        if UNDER_WRITEBACK in was:
            text = f"an isolation for ASYNC took {move.page} under writeback"
            self.caught("page under writeback isolated", text, step, task, move.page)
        if DIRTY in was and (self.rules.clean or not self.has_op(move.page)):
            text = f"an isolation for ASYNC took {move.page}, which was dirty"
            self.caught("dirty page isolated", text, step, task, move.page)

    def ended(self, step: int, task: int, move: _Move, moved: bool, reason: str) -> None:
        page, is_async, rules = move.page, move.mode == ASYNC, self.rules
        if move.early and not (is_async and rules.tries):
            text = f"{move.early} was locked before the slot of {page} was replaced"
            self.caught("buffer locked before the slot", text, step, task, page)
        if is_async and moved and move.dirty and not rules.moves_dirty:
            self.caught("dirty page moved", f"{page} was moved dirty in {move.mode}", step, task, page)
        if reason == "dirty" and rules.moves_dirty and self.has_op(page):
            self.caught("dirty page refused", f"{page} was refused for being dirty, and has an op", step, task, page)
        if moved and move.left >= 0 and rules.late and move.left < move.unlocked:
            self.caught("mapping left too soon", f"{page} left its mapping with its buffers locked", step, task, page)
        if moved and move.left >= 0 and not rules.late and move.emptied < move.unlocked < move.left:
            text = f"{page} was in its mapping still when its buffers were unlocked, after the copy"
            self.caught("mapping left too late", text, step, task, page)

    # -- ops ----------

    def op(self, step: int, task: int, op: int, a: object, b: object) -> None:
        lane, kind = op >> SHIFT, op & KIND_MASK
        move = self.moves.get(task)
        if kind == ACQUIRE:
            if lane in self.lru_locks:
                self.looks[task] = step
        elif lane in self.counts:
            self.counted(step, task, self.counts[lane], kind, a, b)
        elif lane in self.mappings:
            page = self.mappings[lane]
            if kind == WRITE:
                if b is not None:
                    self.mapping_of[page] = str(self.record.name(b))
                elif move is not None and move.page == page:
                    move.left = step
        elif lane in self.privates:
            if kind == WRITE and move is not None and move.page == self.privates[lane]:
                move.emptied = step
        elif lane in self.slots:
            if kind == WRITE and move is not None and move.frozen >= 0 and move.slot < 0:
                move.slot = step
                move.dirty = self.pages.throughout(move.page, DIRTY, True, move.begin)
        elif lane in self.buffers and move is not None:
            self.buffer(step, move, self.buffers[lane], kind, bool(a))

    def counted(self, step: int, task: int, page: str, kind: int, a: object, b: object) -> None:
        move = self.moves.get(task)
        if kind == GET_UNLESS_ZERO and a == "isolation" and b:
            since = self.looks.get(task, -1)
            was = tuple(bit for bit in self.pages.bits if self.pages.throughout(page, bit, True, since))
            self.isolated[page] = (task, was)
        elif kind == GET and a == "isolation":
            self.isolated.pop(page, None)
        elif move is not None and move.page == page:
            if kind == FREEZE and b:
                move.frozen, move.thawed = step, False
            elif kind == UNFREEZE:
                move.thawed = True

    def buffer(self, step: int, move: _Move, bh: str, kind: int, was: bool) -> None:
        if kind == TEST_AND_SET and not was:
            move.buffers.add(bh)
            if move.frozen >= 0 and not move.thawed and move.slot < 0:
                move.early = bh
        elif kind == CLEAR and bh in move.buffers:
            move.unlocked = step


def judge(record: Record) -> Judgement:
    """Follow isolations and attempts, and compare them with the table of the record's era."""
    audit = _Audit(record)
    events = record.events
    if not record.steps_on((), notes=NOTES):
        return audit.evidence.judgement(0)
    lanes = {*audit.counts, *audit.mappings, *audit.privates, *audit.slots, *audit.buffers, *audit.lru_locks}
    kinds = (WRITE, ACQUIRE, GET, GET_UNLESS_ZERO, FREEZE, UNFREEZE, *KINDS)
    for step in record.steps_on(lanes | audit.pages.watched, *kinds, notes=NOTES):
        task, op, a, b = events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
            continue
        if op >> SHIFT in audit.pages.watched:
            audit.pages.take(step)
        else:
            audit.op(step, task, op, a, b)
    return audit.evidence.judgement(audit.checked)
