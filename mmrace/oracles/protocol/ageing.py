"""Ageing: what the kernel learns of a page's use reaches the lists by which reclaim goes.

Rules.  A page that was used (read, written, or its buffer was looked up and changed) is referenced at some moment of
that use; one that was referenced before, on the inactive list all the while, is queued for the active one, and that
takes the reference.  A shrink of the inactive list tries a page, if the last one is cached and waits there clean; it
takes the reference of a page that it keeps; a dirty page that it leaves to the flusher bears PG_reclaim, and was not
dirty yet when zone_reclaim took it, in an era in which that looks; a mark set for a write of its own does not outlive
that.  Who reads ahead takes his marker when he reads the page that he set it on, unless that is under writeback.  The
end of a page's writeback takes the mark, and queues a page that only waits on the inactive list for its tail.  A
migration takes the page's flags along (`COPIED`), and which list it was on, and makes none up.  A drain leaves no page
in a pagevec of its CPU; nor does the begin of a compaction, and none in any CPU's if it is of the whole zone.
Invariant: each is asked of what held all the while, so that what others did meanwhile excuses.  Not checked: the order
on a list, and which page is reclaimed first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.eras import rules_of
from mmrace.oracles.protocol.moments import KINDS, Moments
from mmrace.runtime.kinds import GET, KIND_MASK, NOTE, PUT, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "ageing"
COPIED = ("PG_error", "PG_referenced", "PG_uptodate", "PG_active", "PG_checked", "PG_mappedtodisk")
"""What newpage has if the old page had it; of PG_dirty and PG_writeback others may think otherwise."""
BITS = ("PG_lru", "PG_unevictable", "PG_reclaim", "PG_writeback", "PG_locked", "PG_dirty")
PAGEVECS = ("lru_add_inactive", "lru_add_active", "lru_rotate", "activate")
USES = {"read-begin": "read-end", "write-begin": "write-end"}
NOTES = frozenset({
    *USES, *USES.values(), "read-failed", "write-failed", "change-end", "page-alloc", "reclaim", "scan-begin",
    "scan-end", "drain-begin", "drain-end", "migrate-begin", "migrate-end", "compact-begin", "compact-scan", "round",
})  # fmt: skip
SCANNED = frozenset({"dirty", "deferred", "releasepage", "refcount"})
"""Why reclaim keeps a page whose reference it has looked at."""
WHOLE_ZONE = -1
"""The order of a compaction that was asked for, and is for no allocation."""
ZEROED = 0
"""No version: a write that fails beyond the end of the file zeroes the rest of the last page, and that is no use."""
WAITS_AT_REST = (("PG_lru", True), ("PG_active", False), ("PG_unevictable", False))
"""What the bits of a page say that is on the inactive list."""


@dataclass(slots=True)
class _Use:
    """What a task does between two notes.  `pages`: those of the file that it wrote to; `put`: the last it let go."""

    begin: int
    mapping: str
    pages: set[str] = field(default_factory=set)
    put: str = ""


@dataclass(slots=True)
class _Pagevec:
    """A pagevec of a CPU.  `since`: the step since when it is not empty."""

    pages: tuple[str, ...] = ()
    since: int = -1


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.bits = Moments(record, "Page", "flags", (*BITS, *COPIED))
        self.words = record.word_lanes("Page", "words")
        self.fields = {**record.lanes("Page", "mapping"), **record.lanes("BufferHead", "b_page")}
        self.slots = record.lanes("Slot", "page")
        self.vec_lanes = {
            lane: (owner, key)
            for key in PAGEVECS
            for cls in ("PerCpuState", "PerCpuAnon")
            for lane, owner in record.lanes(cls, key).items()
        }
        self.counts = record.lanes("Page", "_count")
        self.b_counts = record.lanes("BufferHead", "b_count")
        self.of: dict[str, str] = {}  # page -> its mapping, buffer -> its page
        self.vecs: dict[tuple[str, str], _Pagevec] = {}
        self.queued: dict[tuple[str, str], tuple[int, int]] = {}  # (page, pagevec) -> last step and task
        self.uses: dict[int, _Use] = {}
        self.looked_up: dict[int, tuple[int, str]] = {}  # task -> step and buffer
        self.scans: dict[tuple[int, str], int] = {}  # (task, page) -> when it first locked it
        self.ahead: dict[str, int] = {}  # page that had no mapping when it got its marker -> who set it
        self.marked: dict[tuple[int, str], int] = {}  # (task, page) -> when it last set PG_reclaim in this scan
        self.drains: dict[int, int] = {}
        self.compactions: dict[int, int] = {}  # task -> when it began to compact, until it first looks for pages
        self.rounds: dict[int, int] = {}  # task -> when it was done with what it did before
        self.inactive = record.lanes("Zone", "inactive_list")
        self.tail: tuple[str, int] = ("", -1)  # the last page of the inactive list, and since when it is
        self.shrinks: dict[int, int] = {}  # task -> when it began to shrink the list
        self.tried: set[int] = set()  # tasks that tried a page since
        self.no_writes = bool(record.header.get("params", {}).get("zone_reclaim")) and rules_of(record).filters
        self.written_to = {*self.words, *self.vec_lanes, *self.inactive, *self.slots, *self.fields}
        self.moves: dict[int, int] = {}
        self.moved: dict[int, str] = {}  # task -> newpage that it put into a slot
        self.checked = 0

    def add(self, rule: str, text: str, page: str, step: int, task: int) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{page} {text} ({who})", (page, who), page=page, task=who, step=step)

    # -- ops ----------

    def write(self, step: int, task: int, lane: int, new: object) -> None:
        """A field or a word was written."""
        if lane in self.words:
            use = self.uses.get(task)
            page = self.words[lane][0]
            if use is not None and self.of.get(page) == use.mapping and new != ZEROED:
                use.pages.add(page)
        elif lane in self.vec_lanes:
            self.filled(step, task, self.vec_lanes[lane], tuple(self.record.name(new)))
        elif lane in self.inactive:
            last = str(self.record.name(new[-1])) if isinstance(new, tuple | list) and new else ""
            if last != self.tail[0]:
                self.tail = last, step
        elif lane in self.slots:
            self.moved[task] = str(self.record.name(new))
        else:
            self.of[self.fields[lane]] = str(self.record.name(new))

    def filled(self, step: int, task: int, key: tuple[str, str], pages: tuple[str, ...]) -> None:
        """A pagevec holds other pages now."""
        vec = self.vecs.setdefault(key, _Pagevec())
        if bool(pages) != bool(vec.pages):
            vec.since = step
        for page in pages[len(vec.pages) :]:
            self.queued[page, key[1]] = step, task
        vec.pages = pages

    def bit(self, step: int, task: int, page: str, bit: str, value: bool) -> None:
        """A bit changed."""
        if bit == "PG_locked" and value:
            self.scans.setdefault((task, page), step)
        elif bit == "PG_reclaim" and value:
            self.marked[task, page] = step
            if not self.of.get(page, "").startswith("mapping:"):
                self.ahead[page] = task
        elif bit == "PG_writeback" and not value:
            self.written(step, task, page)

    def written(self, step: int, task: int, page: str) -> None:
        """The writeback of a page ended."""
        mark = self.bits.bit(page, "PG_reclaim")
        if mark.value:
            self.checked += 1
            self.add("mark outlived the writeback", "has PG_reclaim still when its writeback ends", page, step, task)
        elif mark.by == task and mark.changed > self.bits.bit(page, "PG_writeback").before:
            self.checked += 1
            waits = (*WAITS_AT_REST, ("PG_locked", False), ("PG_dirty", False))
            waited = all(self.bits.throughout(page, bit, value, mark.changed) for bit, value in waits)
            if waited and self.queued.get((page, "lru_rotate"), (-1, -1))[0] < mark.changed:
                text = "bore PG_reclaim, and was not queued for the tail when its writeback ended"
                self.add("marked page not rotated", text, page, step, task)

    # -- notes ----------

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind in USES:
            self.uses[task] = _Use(step, f"mapping:{facts[0]}")
        elif kind in USES.values():
            use = self.uses.pop(task, None)
            if use is not None:
                for page in sorted(use.pages if kind == "write-end" else {use.put} - {""}):
                    self.used(step, task, page, use.begin)
                if kind == "read-end" and self.ahead.get(use.put) == task:
                    self.reads_on(step, task, use)
        elif kind in ("read-failed", "write-failed"):
            self.uses.pop(task, None)
        elif kind == "change-end" and task in self.looked_up:
            begin, bh = self.looked_up.pop(task)
            if bh in self.of:
                self.used(step, task, self.of[bh], begin)
        elif kind == "page-alloc":
            self.bits.forget(str(self.record.name(facts[0])), step)
            self.ahead.pop(str(self.record.name(facts[0])), None)
        elif kind == "reclaim":
            self.scanned(step, task, str(self.record.name(facts[0])), facts[1] == "kept", str(facts[2]))
        elif kind == "scan-begin":
            self.shrinks[task] = step
            self.tried.discard(task)
        elif kind == "scan-end":
            self.shrunk(step, task)
        elif kind == "drain-begin":
            self.drains[task] = step
        elif kind == "drain-end":
            self.drained(step, task, self.drains.pop(task, step), "a drain")
        elif kind == "compact-begin":
            self.compactions[task] = step
            if facts[0] == WHOLE_ZONE:
                self.drained_all(step, task)
        elif kind == "compact-scan":
            self.drained(step, task, self.compactions.pop(task, -1), "the begin of a compaction")
        elif kind == "round":
            self.rounds[task] = step
        elif kind == "migrate-begin":
            self.moves[task] = step
            self.moved.pop(task, None)
        elif kind == "migrate-end":
            self.migrated(step, task, str(self.record.name(facts[0])), str(self.record.name(facts[1])), str(facts[3]))

    def used(self, step: int, task: int, page: str, begin: int) -> None:
        """A use of a page ended that began at a step."""
        self.checked += 1
        bits, referenced = self.bits, self.bits.bit(page, "PG_referenced")
        queued, by = self.queued.get((page, "activate"), (-1, -1))
        if bits.throughout(page, "PG_referenced", False, begin):
            self.add("use forgotten", "was used, and at no moment of that referenced", page, step, task)
        elif queued < begin:
            given = not referenced.value and referenced.by == task and referenced.before < begin
            before = bits.throughout(page, "PG_referenced", True, begin) or given
            if before and all(bits.throughout(page, bit, value, begin) for bit, value in WAITS_AT_REST):
                text = "was referenced and used again, and not queued for the active list"
                self.add("second use forgotten", text, page, step, task)
        elif by == task and bits.throughout(page, "PG_referenced", True, queued):
            self.add(
                "activated page referenced", "was queued for the active list and stays referenced", page, step, task
            )

    def reads_on(self, step: int, task: int, use: _Use) -> None:
        """A task has read a page on which it had set a marker: to read on from there."""
        self.checked += 1
        bits, page = self.bits, use.put
        if bits.throughout(page, "PG_reclaim", True, use.begin):
            if bits.throughout(page, "PG_writeback", False, use.begin):
                text = "bears the marker of who reads ahead still, and he has read it"
                self.add("marker not taken", text, page, step, task)
        else:
            del self.ahead[page]

    def scanned(self, step: int, task: int, page: str, kept: bool, reason: str) -> None:
        """A scan of reclaim is done with a page."""
        self.tried.add(task)
        begin, marked = self.scans.get((task, page), step), self.marked.get((task, page), -1)
        self.scans = {key: when for key, when in self.scans.items() if key[0] != task}
        if not kept or reason not in SCANNED:
            return
        self.checked += 1
        if self.bits.throughout(page, "PG_referenced", True, begin):
            self.add("scan without ageing", "was scanned and is referenced still", page, step, task)
        if reason == "deferred":
            if self.bits.throughout(page, "PG_reclaim", False, begin):
                text = "was left to the flusher without PG_reclaim"
                self.add("dirty page not marked", text, page, step, task)
            if self.no_writes and self.bits.throughout(page, "PG_dirty", True, self.shrinks.get(task, 0)):
                self.add("dirty page isolated", "was dirty, and isolated by who may not write", page, step, task)
        elif (
            marked >= begin
            and self.bits.throughout(page, "PG_reclaim", True, marked + 1)
            and self.bits.throughout(page, "PG_writeback", False, marked)
        ):
            text = "bears the mark of a write that is over, or was none"
            self.add("mark without a write", text, page, step, task)

    def shrunk(self, step: int, task: int) -> None:
        """A task has shrunk the inactive list."""
        begin = self.shrinks.pop(task, None)
        page, since = self.tail
        if (
            begin is None
            or task in self.tried
            or not page
            or since >= begin
            or not self.of.get(page, "").startswith("mapping:")
        ):
            return
        self.checked += 1
        clean = (*WAITS_AT_REST, ("PG_dirty", False), ("PG_writeback", False))
        if all(self.bits.throughout(page, bit, value, begin) for bit, value in clean):
            text = "was the last of the inactive list, clean, and reclaim tried no page at all"
            self.add("shrink of nothing", text, page, step, task)

    def drained(self, step: int, task: int, begin: int, what: str, cpus: Iterable[str] = ()) -> None:
        """A task has flushed the pagevecs of its CPU, or of several, since a step."""
        for cpu in cpus or (f"percpu:{self.record.tasks[task]['cpu']}",):
            for key in PAGEVECS:
                vec = self.vecs.get((cpu, key))
                if vec is None:
                    continue
                self.checked += 1
                if vec.pages and vec.since < begin:
                    text = f"is in {key} still, after {what}"
                    self.add("page left in a pagevec", text, vec.pages[0], step, task)

    def drained_all(self, step: int, task: int) -> None:
        """A task begins to compact the whole zone: since its last round it has had all pagevecs flushed."""
        begin = self.rounds.get(task)
        if begin is None:
            begin = self.record.who.index(task)
        cpus = sorted({cpu for cpu, _ in self.vecs})
        self.drained(step, task, begin, "all CPUs' drain for a compaction of the whole zone", cpus)

    def migrated(self, step: int, task: int, page: str, newpage: str, rc: str) -> None:
        """An attempt at a page ended."""
        begin = self.moves.pop(task, step)
        if rc != "0" or self.moved.pop(task, "") != newpage:
            return
        self.checked += 1
        for bit in COPIED:
            old, new = self.bits.bit(page, bit), self.bits.bit(newpage, bit)
            moved = not old.value and old.by == task and old.before < begin < old.changed
            had = moved or self.bits.throughout(page, bit, True, begin)
            if had and self.bits.throughout(newpage, bit, False, begin):
                self.add("flag lost in a move", f"had {bit}, and {newpage}, where it moved, has not", page, step, task)
            elif new.value and new.by == task and self.bits.throughout(page, bit, False, begin):
                self.add("flag out of a move", f"lacked {bit}, and {newpage}, where it moved, has it", page, step, task)


def judge(record: Record) -> Judgement:
    """Follow pages from use to use, from scan to scan, and from list to list."""
    audit = _Audit(record)
    events, watched = record.events, audit.bits.watched
    changes = record.steps_on({*audit.written_to, *watched}, WRITE, *KINDS, notes=NOTES)
    for step in sorted([*changes, *record.steps_on(audit.b_counts, GET), *record.steps_on(audit.counts, PUT)]):
        task, op, a, b = events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            audit.note(step, task, a, b)
        elif kind == WRITE:
            audit.write(step, task, lane, b)
        elif kind == GET:
            if a == "ext3":
                audit.looked_up[task] = step, audit.b_counts[lane]
        elif kind == PUT:
            if a == "lookup" and task in audit.uses:
                audit.uses[task].put = audit.counts[lane]
        else:
            changed = audit.bits.take(step)
            if changed is not None:
                audit.bit(step, task, *changed)
    return audit.evidence.judgement(audit.checked)
