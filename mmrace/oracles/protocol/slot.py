"""Slot: slot, page, ring and buffers point at each other, whenever no migration of theirs is under way.

Replays the writes of Page.mapping and private, of the tree's slots, of b_page and b_this_page. Rules: a page enters
a slot locked; a page that is freed is shown by no slot, owns no ring, and no buffer of a live ring points at it; a
migration that says it moved the page left the new page in the slot with every b_page on it, and the old page with
neither mapping nor ring; one that failed left the slot with the old page and a new page without mapping; a truncation
emptied its slots (`truncated.py`). At rest `pointers.py` compares everything with everything. Invariant: what a page
points at is judged only while nobody else holds its lock, for whoever does may be moving or truncating it. Not checked:
the order of the stores in between.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.oracles.protocol import pointers
from mmrace.oracles.protocol.names import is_anon_vma
from mmrace.oracles.protocol.ring import ring_of
from mmrace.oracles.protocol.snapshot import snapshots, unfinished
from mmrace.oracles.protocol.truncated import left_behind
from mmrace.runtime.kinds import CLEAR, KIND_MASK, NOTE, SET, SHIFT, STORE, TEST_AND_CLEAR, TEST_AND_SET, WRITE
from mmrace.runtime.record import Record

NAME = "slot"
NOTES = frozenset({"page-free", "migrate-begin", "migrate-end"})
_MAPPING, _PRIVATE, _SLOT, _B_PAGE, _B_NEXT, _LOCKED = range(6)
FIELDS = (
    (_MAPPING, "Page", "mapping"),
    (_PRIVATE, "Page", "private"),
    (_SLOT, "Slot", "page"),
    (_B_PAGE, "BufferHead", "b_page"),
    (_B_NEXT, "BufferHead", "b_this_page"),
)
KINDS = (WRITE, TEST_AND_SET, SET, CLEAR, TEST_AND_CLEAR, STORE)


class _Move:
    """A migration that is going on."""

    __slots__ = ("begin", "cleared", "page", "slot")

    def __init__(self, page: str, begin: int) -> None:
        self.page = page
        self.begin = begin
        self.slot: str | None = None  # the slot in which this task replaced the page
        self.cleared = False  # this task cleared the page's mapping


class _Audit:
    """The pointers as the writes so far left them; every table is by name."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.watch = {
            lane: (table, name) for table, cls, field in FIELDS for lane, name in record.lanes(cls, field).items()
        }
        self.locks = record.bit_lane("Page", "flags", "PG_locked") | record.lanes("Page", "flags")
        self.tables: tuple[dict[str, object], ...] = tuple({} for _ in range(6))
        self.shown: dict[str, str] = {}  # page -> the slot that shows it
        self.buffers: dict[str, set[str]] = {}  # page -> buffers whose b_page it is
        self.freed: dict[str, int] = {}  # page -> step of its last free
        self.moves: dict[int, _Move] = {}
        self.checked = 0

    def caught(self, rule: str, text: str, step: int, task: int, names: tuple[str, ...], **facts: Fact) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (*names, who), step=step, task=who, objects=list(names), **facts)

    # -- replay ----------------------------------------------------------------------------------------------

    def write(self, step: int, task: int, table: int, owner: str, value: object) -> None:
        """Replay the write of one pointer."""
        name = self.record.name(value)
        values = self.tables[table]
        old = values.get(owner)
        values[owner] = name
        move = self.moves.get(task)
        if table == _SLOT:
            if isinstance(old, str) and self.shown.get(old) == owner:
                del self.shown[old]
            if isinstance(name, str):
                self.shown[name] = owner
                self.checked += 1
                if name not in self.tables[_LOCKED]:
                    text = f"{owner} shows {name}, which is not locked"
                    self.caught("unlocked page in a slot", text, step, task, (owner, name))
                if move is not None and move.page == old:
                    move.slot = owner
        elif table == _B_PAGE:
            if isinstance(old, str):
                self.buffers.get(old, set()).discard(owner)
            if isinstance(name, str):
                self.buffers.setdefault(name, set()).add(owner)
        elif table == _MAPPING and name is None and move is not None and move.page == owner:
            move.cleared = True

    def ring(self, page: str) -> tuple[str, ...]:
        """Return the buffers on the page's ring."""
        return ring_of(page, self.tables[_PRIVATE], self.tables[_B_NEXT])

    def rests(self, page: str, task: int, since: int) -> bool:
        """Say whether a page may be judged: not freed since that step, and in nobody else's hands."""
        return self.freed.get(page, -1) < since and self.tables[_LOCKED].get(page, task) == task

    def lost(self, mapping: object, page: str) -> bool:
        """Say whether a page is in a mapping, and in no slot: an anonymous one has none."""
        return mapping is not None and page not in self.shown and not is_anon_vma(mapping)

    # -- notes -----------------------------------------------------------------------------------------------

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        page = str(self.record.name(facts[0]))
        if kind == "migrate-begin":
            self.moves[task] = _Move(page, step)
            return
        self.checked += 1
        if kind == "page-free":
            self.page_freed(step, task, page)
            return
        move = self.moves.pop(task, None) or _Move(page, step)
        new = self.record.name(facts[1])
        if str(facts[3]) == "0":
            if isinstance(new, str):
                self.moved(step, task, move, new, str(facts[4]))
        else:
            self.not_moved(step, task, move, new if isinstance(new, str) else None, str(facts[4]))

    def page_freed(self, step: int, task: int, page: str) -> None:
        self.freed[page] = step
        slot = self.shown.get(page)
        if slot is not None:
            self.caught("slot shows a free page", f"{page} freed while {slot} shows it", step, task, (page, slot))
        if self.tables[_PRIVATE].get(page) is not None:
            self.caught("freed with buffers", f"{page} freed with its ring", step, task, (page,))
            return
        strays = self.buffers.get(page)
        if strays:
            live = {name for other, head in self.tables[_PRIVATE].items() if head for name in self.ring(other)}
            for name in sorted(strays & live):
                text = f"{page} freed while {name}, on a live ring, points at it"
                self.caught("buffer of a free page", text, step, task, (page, name))

    def moved(self, step: int, task: int, move: _Move, new: str, reason: str) -> None:
        mapping = self.tables[_MAPPING]
        old = move.page
        if self.rests(old, task, move.begin):
            freed = reason == "freed" and is_anon_vma(mapping.get(old))  # an anonymous page has it until it is free
            if mapping.get(old) is not None and not freed:
                text = f"{old} was moved to {new} but has mapping {mapping[old]}"
                self.caught("old page keeps its mapping", text, step, task, (old,))
            if self.tables[_PRIVATE].get(old) is not None:
                text = f"{old} was moved to {new} but keeps its ring"
                self.caught("old page keeps its ring", text, step, task, (old,))
        if move.slot is None or mapping.get(new) is None or not self.rests(new, task, move.begin):
            return  # without a slot from the start, or truncated, reclaimed or moved on since
        shown = self.tables[_SLOT].get(move.slot)
        if shown != new:
            text = f"{old} was moved to {new} but {move.slot} shows {shown}"
            self.caught("slot after a move", text, step, task, (move.slot, new), shown=str(shown))
        for name in self.ring(new):
            b_page = self.tables[_B_PAGE].get(name)
            if b_page != new:
                text = f"{old} was moved to {new} but {name} has b_page {b_page}"
                self.caught("b_page after a move", text, step, task, (new, name), b_page=str(b_page))

    def not_moved(self, step: int, task: int, move: _Move, new: str | None, reason: str) -> None:
        mapping = self.tables[_MAPPING]
        old = move.page
        if move.cleared:
            text = f"{old} was not moved ({reason}) but the migrator cleared its mapping"
            self.caught("mapping lost in a failed move", text, step, task, (old,))
        elif move.slot is not None and new is not None and self.tables[_SLOT].get(move.slot) == new:
            text = f"{old} was not moved ({reason}) but {move.slot} shows {new}"
            self.caught("slot after a failed move", text, step, task, (move.slot, new))
        elif self.lost(mapping.get(old), old) and self.rests(old, task, move.begin):
            text = f"{old} was not moved ({reason}) but no slot shows it"
            self.caught("slot after a failed move", text, step, task, (old,))
        if new is not None and mapping.get(new) is not None and self.freed.get(new, -1) < move.begin:
            text = f"{old} was not moved ({reason}) but {new} has mapping {mapping[new]}"
            self.caught("new page keeps its mapping", text, step, task, (new,))


def judge(record: Record) -> Judgement:
    """Replay the pointers, judge them at each free and at the end of each migration, then at rest."""
    audit = _Audit(record)
    watch, locks = audit.watch, audit.locks
    locked = audit.tables[_LOCKED]
    for step in record.steps_on({*watch, *locks}, *KINDS, notes=NOTES):
        task, op, a, b = record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            audit.note(step, task, a, b)
        elif kind == WRITE:
            if lane in watch:
                audit.write(step, task, *watch[lane], b)
        elif lane in locks:
            if kind == TEST_AND_SET:
                if not a:
                    locked[locks[lane]] = task
            elif kind != STORE or not b:  # a page is freed with a plain store of 0
                locked.pop(locks[lane], None)
    emptied, left = left_behind(record)
    audit.checked += emptied
    for one in left:
        text = f"{one.slot} showed {one.page} all the while that it was truncated"
        audit.caught("page left by a truncation", text, one.step, one.task, (one.slot, one.page), since=one.since)
    for snap in snapshots(record):
        audit.checked += pointers.check(snap, audit.evidence)
    return audit.evidence.judgement(audit.checked, unfinished(record))
