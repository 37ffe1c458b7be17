"""Back-out: a migration that was refused leaves the old page and its buffers as they were (I12 in kernel/PROTOCOL.md).

Of each attempt that did not move its page, what the migrator itself did between its notes is summed up: bits set less
bits cleared, references taken less those dropped, by name, and each pointer that it wrote against what had stood there.
Rule: nothing is left over, and no word of the page's data was written.
Invariant: what others do to the page meanwhile counts for nothing.  Excused: bits that the dirt and the age of a pte
become when it is unmapped (`OF_PTES`, the dirt of buffers, and reclaim's mark, which dirt takes away); pages of a
mapping without ->migratepage (the device's, and a file's with data=journal), which are written and stripped first, and
those that were truncated, before or meanwhile.  Of a file on a file system without a journal only those are that were
written, or whose move was refused after their buffers went (`OF_FALLBACK`): one that is dirty and may not be written
stays as it was.  Not checked:
newpage.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.names import JOURNALLED, inode_of, is_anon_vma, mode_of_data, without_journal
from mmrace.oracles.protocol.pte import pte
from mmrace.runtime.kinds import (
    CLEAR,
    CLEARS,
    FREEZE,
    GET,
    GET_UNLESS_ZERO,
    KIND_MASK,
    NOTE,
    PUT,
    SET,
    SETS,
    SHIFT,
    STORE,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    UNFREEZE,
    WRITE,
)
from mmrace.runtime.record import Record

NAME = "back-out"
OF_PTES = frozenset({"PG_dirty", "PG_referenced"})
PTE = "pte"
MAPCOUNT = "_mapcount"
"""Others may have zapped the entries that the page's ptes had become: the `ptes` oracle compares it with them."""
OF_FALLBACK = frozenset({"writeout", "refcount", "freeze"})
"""Reasons of a refusal before which a page without ->migratepage was written, or stripped of its buffers."""
OPS = frozenset({
    WRITE, SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR, STORE, GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE,
})  # fmt: skip
"""Kinds of ops that change something."""


class _Attempt:
    """What one migrator did to the page that it wants to move, and to its buffers.

    `excused`: whatever became of it; `excuses`: if it was refused for one of these reasons.
    """

    __slots__ = ("begin", "excused", "excuses", "objects", "page", "pointers", "sums", "unmapped_dirt", "words")

    def __init__(self, page: str, objects: set[str], excused: bool, excuses: frozenset[str], begin: int) -> None:
        self.excuses = excuses
        self.page = page
        self.objects = objects
        self.excused = excused
        self.begin = begin
        self.sums: dict[str, int] = {}  # bit or reference, by name -> set or taken less cleared or dropped
        self.pointers: dict[str, tuple[object, object]] = {}  # field -> what stood there at first, what stands there
        self.words: set[str] = set()
        self.unmapped_dirt = False  # a dirty pte was taken away: buffers get dirty, too, and reclaim's mark goes

    def add(self, what: str, n: int) -> None:
        self.sums[what] = self.sums.get(what, 0) + n

    def left(self) -> list[str]:
        """Say what is left over."""
        found = [
            f"{what} {'+' if n > 0 else ''}{n}"
            for what, n in sorted(self.sums.items())
            if n and not (self.unmapped_dirt and what.endswith(".BH_Dirty" if n > 0 else ".PG_reclaim"))
        ]
        found += [f"{name} is {new}, was {old}" for name, (old, new) in sorted(self.pointers.items()) if new != old]
        return found + [f"{word} written" for word in sorted(self.words)]


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.running: dict[int, _Attempt] = {}
        self.b_page = record.lanes("BufferHead", "b_page")
        self.mappings = record.lanes("Page", "mapping")
        self.ptes = record.word_lanes("MmStruct", "ptes")
        self.page_of: dict[str, object] = {}  # buffer -> its page
        self.mapping_of: dict[str, object] = {}
        self.lanes: dict[int, tuple[str, str, str]] = {}  # lane -> owner, part of its field, name
        self.has_op = mode_of_data(record) != JOURNALLED
        self.plain = without_journal(record)
        self.checked = 0

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "migrate-begin":
            page = str(self.record.name(facts[0]))
            ring = {bh for bh, of in self.page_of.items() if of == page}
            mapping = self.mapping_of.get(page)
            ino = inode_of(mapping)
            plain = ino in self.plain
            excused = not (is_anon_vma(mapping) or plain or (ino != "" and self.has_op))
            self.running[task] = _Attempt(page, {page, *ring}, excused, OF_FALLBACK if plain else frozenset(), step)
        elif kind == "migrate-end":
            attempt = self.running.pop(task, None)
            if attempt is None or attempt.excused or str(facts[3]) == "0" or str(facts[4]) in attempt.excuses:
                return
            self.sum_up(attempt, task, step)
            if self.truncated(attempt):
                return
            self.checked += 1
            left = attempt.left()
            if left:
                who, reason = self.record.task_name(task), str(facts[4])
                text = f"{attempt.page} was not moved ({reason}), yet {who} left {', '.join(left)}"
                self.evidence.add(
                    "refused page changed", text, (attempt.page, who, *(part.split()[0] for part in left)), step=step,
                    since=attempt.begin, task=who, page=attempt.page, left=list(left), reason=reason,
                )  # fmt: skip

    def sum_up(self, attempt: _Attempt, task: int, end: int) -> None:
        """Take what a migrator did: of an attempt that moved its page, that is nobody's business."""
        for who, op, a, b in self.record.events[attempt.begin : end]:
            if who == task and op & KIND_MASK in OPS:
                self.op(attempt, op >> SHIFT, op & KIND_MASK, a, b)

    def truncated(self, attempt: _Attempt) -> bool:
        """Say whether somebody else took the page from its mapping while the migrator was at it."""
        return self.mapping_of.get(attempt.page) is None and f"{attempt.page}.mapping" not in attempt.pointers

    def pointer(self, lane: int, value: object) -> None:
        """Keep up with what every task says of pages and buffers."""
        if lane in self.b_page:
            self.page_of[self.b_page[lane]] = self.record.name(value)
        elif lane in self.mappings:
            self.mapping_of[self.mappings[lane]] = self.record.name(value)

    def op(self, attempt: _Attempt, lane: int, kind: int, a: object, b: object) -> None:
        """Take an op of the migrator."""
        found = self.lanes.get(lane)
        if found is None:
            _, of, field, part = self.record.lane(lane) or ("", "", "", "")
            found = self.lanes[lane] = of, part, f"{of}.{part or field}"
        owner, sub, name = found
        if lane in self.ptes and kind == WRITE and pte(a).dirty:
            attempt.unmapped_dirt = True
        if owner not in attempt.objects or name == f"{attempt.page}.{MAPCOUNT}":
            return
        if kind == WRITE:
            if sub:
                attempt.words.add(name)
            else:
                first = attempt.pointers[name][0] if name in attempt.pointers else self.record.name(a)
                attempt.pointers[name] = first, self.record.name(b)
        elif kind in SETS:
            if not a and sub not in OF_PTES:
                attempt.add(name, 1)
        elif kind in CLEARS:
            if a:
                attempt.add(name, -1)
        elif kind == STORE:
            attempt.pointers[name] = attempt.pointers.get(name, (a, a))[0], b
        elif kind in (GET, PUT, GET_UNLESS_ZERO):
            if a != PTE and not (kind == GET_UNLESS_ZERO and not b):
                attempt.add(f"{name} {a!r}", -1 if kind == PUT else 1)
        elif kind == UNFREEZE:
            attempt.add(f"{owner} frozen", -1)
            if b is not None:
                attempt.add(f"{name} {b!r}", -1)
        elif b:  # FREEZE
            attempt.add(f"{owner} frozen", 1)


def judge(record: Record) -> Judgement:
    """Sum up what each migrator did to a page that it did not move."""
    audit = _Audit(record)
    pointers, events = {*audit.b_page, *audit.mappings}, record.events
    for step in record.steps_on(pointers, WRITE, notes=("migrate-begin", "migrate-end")):
        task, op, a, b = events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
        else:
            audit.pointer(op >> SHIFT, b)
    return audit.evidence.judgement(audit.checked)
