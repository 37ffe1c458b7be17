"""Compaction: its scanners do not cross, and what it takes it moves or gives back.

Rules, of each compaction.  Scanners: a free frame is taken from above all that the migrate scanner has looked at; a
page is isolated from below where the free scanner last found frames.  Targets: a frame comes from a pageblock that is
movable, or was free as a whole.  Asynchronous: it isolates no page of a pageblock
that was not movable all the while since it began to look at it.  Isolated: it takes no pages while more than half of
the LRU was isolated all the while since its last migration.  Keeping: when it ends, it has no reference to a page that
it isolated, to a free frame that it took, or to a target of a migration.  Counting: pages that it counted as moved or
as failed are as many as it isolated.  Looking: a page that waits on the LRU all the while that its pageblock is looked
at is isolated; a migration has no target only if no free block was in reach since the compaction began.  Ranges: each
look ends where a pageblock of the zone does.  Kinds: what it counts as isolated then is as many pages of files, and as
many anonymous ones, as it isolated.  Mode: it migrates with MIGRATE_ASYNC if and only if it may not wait.
Invariant: each is asked of what held all the while, so that what others did meanwhile excuses; positions are those of
frames that were taken, not what the scanners say of themselves.  Not checked: a compaction that did not end, and what a
migration does with a page (other judges do).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.general.ledger import NEW, Ledgers
from mmrace.oracles.protocol.moments import KINDS, Moments
from mmrace.runtime.kinds import ADD, FREEZE, GET, GET_UNLESS_ZERO, KIND_MASK, NOTE, PUT, SHIFT, UNFREEZE, WRITE
from mmrace.runtime.record import Record

NAME = "compaction"
MOVABLE = "MIGRATE_MOVABLE"
ISOLATION = "isolation"
ASYNC = "MIGRATE_ASYNC"
COUNTED = ("COMPACTPAGES", "COMPACTPAGEFAILED")
LISTED = ("nr_inactive", "nr_active", "nr_inactive_anon", "nr_active_anon")
ISOLATED = ("nr_isolated", "nr_isolated_anon")
COUNTERS = (*LISTED, *ISOLATED, "nr_free_pages")
ON_LRU = (("PG_lru", True), ("PG_unevictable", False))
ANON = "PG_swapbacked"
IDLE = (("PG_dirty", False), ("PG_writeback", False))
"""What an asynchronous compaction asks for besides."""
BUDDY = -128
"""The map count of the first frame of a free block."""
NOTES = frozenset({
    "compact-begin", "compact-scan", "compact-isolate", "compact-end", "page-alloc", "page-free", "migrate-begin",
    "migrate-end", "rename", "retire", "vm-event", "zone",
})  # fmt: skip
REFERENCES = (GET, GET_UNLESS_ZERO, PUT, UNFREEZE, FREEZE)
NONE = -1  # no frame


@dataclass(slots=True)
class _Looked:
    """What the counters were since a step: the most that was on the LRU, the least that was isolated."""

    listed: dict[str, int]
    isolated: int


@dataclass(slots=True)
class _Scan:
    """A look at a range of frames.  `isolated`, `refused`: pages that were, or could not be; `counted`: as what."""

    begin: int
    low: int
    end: int
    isolated: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    counted: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Run:
    """A compaction that is going on.  `block`: frames of a pageblock.

    `unfit`: frames that were taken from pageblocks that are not movable, with when; the others of it come after it.
    `end`: of what the migrate scanner has looked at.  `scan`: its last look, while it goes on; `scanned`: no frame was
    taken since.  `top`: the highest frame that was taken between the last two of these.  `free`: the fewest that were.
    """

    begin: int
    sync: bool
    block: int
    looked: _Looked
    free: int
    end: int = NONE
    top: int = NONE
    scan: _Scan | None = None
    scanned: bool = False
    isolated: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
    unfit: list[tuple[int, str]] = field(default_factory=list)
    nr_isolated: int = 0
    counted: int = 0


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.counts = record.lanes("Page", "_count")
        self.lane_of = {page: lane for lane, page in self.counts.items()}
        self.ledgers = Ledgers(record, self.counts)
        self.types = record.lanes("Pageblock", "migratetype")
        self.counters = {
            lane: name for name in COUNTERS for cls in ("Zone", "AnonLru") for lane in record.lanes(cls, name)
        }
        self.bits = Moments(record, "Page", "flags", (*(name for name, _ in (*ON_LRU, *IDLE)), ANON))
        self.mapcounts = record.lanes("Page", "_mapcount")
        self.kept = bool(record.header.get("params", {}).get("kept"))
        self.now = dict.fromkeys(COUNTERS, 0)
        self.other: dict[int, int] = {}  # pageblock that is not movable -> since when
        self.typed_at: dict[int, int] = {}  # pageblock -> when its type was written last
        self.heads: dict[int, int] = {}  # first frame of a free block -> since when
        self.runs: dict[int, _Run] = {}
        self.block = 0  # frames of a pageblock, if the zone says so
        self.checked = 0

    def add(self, rule: str, text: str, step: int, task: int, *pages: str) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (*pages, who), objects=list(pages), task=who, step=step)

    def event(self, step: int) -> None:
        """Take one event."""
        task, op, a, b = self.record.events[step]
        if op == NOTE:
            self.ledgers.take((task, op, a, b))
            self.note(step, task, a, b)
        elif op & KIND_MASK == ADD:
            self.counter(task, self.counters[op >> SHIFT], b)
        elif op & KIND_MASK == WRITE:
            if op >> SHIFT in self.types:
                self.typed(step, self.types[op >> SHIFT], b)
            else:
                self.buddy(step, self.mapcounts[op >> SHIFT], b)
        elif op >> SHIFT in self.counts:
            self.ledgers.take((task, op, a, b))
            run = self.runs.get(task)
            if run is not None and run.scan is not None and op & KIND_MASK == GET_UNLESS_ZERO and not b:
                run.scan.refused.add(self.counts[op >> SHIFT])
        else:
            self.bits.take(step)

    # -- state ----------

    def counter(self, task: int, name: str, value: int) -> None:
        """A counter of the LRU changed."""
        mine = self.runs.get(task)
        if mine is not None and mine.scan is not None and name in ISOLATED:
            counted = mine.scan.counted
            counted[name] = counted.get(name, 0) + value - self.now[name]
        self.now[name] = value
        for run in self.runs.values():
            if name == "nr_free_pages":
                run.free = min(run.free, value)
            elif name in ISOLATED:
                run.looked.isolated = min(run.looked.isolated, self.isolated)
            else:
                run.looked.listed[name] = max(run.looked.listed[name], value)

    def typed(self, step: int, pageblock: str, migratetype: object) -> None:
        """A pageblock is used for something else from now on."""
        number = _number(pageblock)
        self.typed_at[number] = step
        if self.record.name(migratetype) == MOVABLE:
            self.other.pop(number, None)
        else:
            self.other.setdefault(number, step)

    def buddy(self, step: int, page: str, value: object) -> None:
        """A frame is the first of a free block from now on, or is none."""
        if value == BUDDY:
            self.heads[_number(page)] = step
        else:
            self.heads.pop(_number(page), None)

    def movable_since(self, pageblock: int, step: int) -> bool:
        """Say whether a pageblock has been movable all the while since a step."""
        return pageblock not in self.other and self.typed_at.get(pageblock, NONE) < step

    @property
    def isolated(self) -> int:
        """How many pages are isolated, of files and anonymous ones."""
        return sum(self.now[name] for name in ISOLATED)

    def looks(self) -> _Looked:
        return _Looked({name: self.now[name] for name in LISTED}, self.isolated)

    # -- notes ----------

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "zone":
            assert isinstance(facts[1], int)
            self.block = 1 << facts[1]
            return
        if kind == "compact-begin":
            _, sync, block = facts
            assert isinstance(block, int)
            block = self.block or block
            self.runs[task] = _Run(step, bool(sync), block, self.looks(), self.now["nr_free_pages"])
            return
        run = self.runs.get(task)
        if run is None:
            return
        if kind in ("compact-scan", "migrate-begin", "compact-end"):
            self.scanned(step, task, run)
        if kind in ("migrate-begin", "migrate-end", "compact-end"):
            self.targets_fit(task, run)
        if kind == "compact-scan":
            self.scans(step, task, run, facts)
        elif kind == "compact-isolate":
            self.isolates(step, task, run, str(self.record.name(facts[0])))
        elif kind == "migrate-begin" and (facts[1] == ASYNC) == run.sync:
            how = "may wait" if run.sync else "may not wait"
            self.add("wrong mode", f"a compaction that {how} migrates with {facts[1]}", step, task)
        elif kind == "page-alloc":
            self.takes(step, task, run, str(self.record.name(facts[0])))
        elif kind == "migrate-end":
            run.looked = self.looks()
            if facts[4] == "nomem":
                self.has_no_target(step, task, run)
        elif kind == "vm-event" and facts[0] in COUNTED:
            assert isinstance(facts[1], int)
            run.counted += facts[1]
        elif kind == "compact-end":
            del self.runs[task]
            self.ends(step, task, run)

    def scans(self, step: int, task: int, run: _Run, facts: tuple[object, ...]) -> None:
        """The migrate scanner begins with a range."""
        low, end = facts
        assert isinstance(low, int) and isinstance(end, int)
        run.scan = _Scan(step, low, end)
        run.scanned = True
        run.end = max(run.end, end)
        listed = sum(run.looked.listed.values())
        self.checked += 1
        if self.block and end != (low + 2 * run.block - 1) // run.block * run.block:
            text = f"looks at frames {low} to {end - 1}, and a pageblock has {run.block}"
            self.add("range of no pageblock", text, step, task)
        if run.looked.isolated > listed // 2:
            text = f"takes more pages, though {run.looked.isolated} are isolated and {listed} on the LRU, at least"
            self.add("too many isolated", text, step, task)

    def isolates(self, step: int, task: int, run: _Run, page: str) -> None:
        """The migrate scanner isolated a page."""
        pfn = _number(page)
        self.checked += 1
        run.isolated.add(page)
        run.nr_isolated += 1
        if run.scan is not None:
            run.scan.isolated.add(page)
        if NONE < run.top <= pfn:
            text = f"{page} is isolated, and the free scanner found frame {run.top} last"
            self.add("scanners crossed", text, step, task, page)
        since = self.other.get(pfn // run.block)
        if not run.sync and since is not None and run.scan is not None and since < run.scan.begin:
            text = f"{page} is isolated asynchronously, and its pageblock is not movable"
            self.add("pageblock not movable", text, step, task, page)

    def takes(self, step: int, task: int, run: _Run, page: str) -> None:
        """The free scanner took a frame."""
        pfn = _number(page)
        self.checked += 1
        run.taken.add(page)
        if pfn // run.block in self.other:
            run.unfit.append((step, page))
        run.top = pfn if run.scanned else max(run.top, pfn)
        run.scanned = False
        if pfn < run.end:
            text = f"frame {page} is taken as a target, and the migrate scanner is at {run.end}"
            self.add("scanners crossed", text, step, task, page)

    def targets_fit(self, task: int, run: _Run) -> None:
        """The free scanner is done with a pageblock: what it took of one that is not movable it should have left."""
        for step, page in run.unfit:
            first = _number(page) // run.block * run.block
            if any(f"page:{pfn}" not in run.taken for pfn in range(first, first + run.block)):
                text = f"frame {page} is taken as a target, and its pageblock is not movable"
                self.add("target from another type", text, step, task, page)
        run.unfit.clear()

    def scanned(self, step: int, task: int, run: _Run) -> None:
        """The migrate scanner is done with a range; after a page it may have stopped, with as many as it takes."""
        scan, run.scan = run.scan, None
        if scan is None:
            return
        anon = sum(self.bits.bit(page, ANON).value for page in scan.isolated)
        for name, pages in zip(ISOLATED, (len(scan.isolated) - anon, anon), strict=True):
            if scan.counted and scan.counted.get(name, 0) != pages:
                text = f"counts {scan.counted.get(name, 0)} pages in {name}, and isolated {pages} of them"
                self.add("isolated of another kind", text, step, task)
        last = max((_number(page) + 1 for page in scan.isolated), default=scan.end)
        wanted = ON_LRU if run.sync else (*ON_LRU, *IDLE)
        for pfn in range(scan.low, last):
            page = f"page:{pfn}"
            if page in scan.isolated | scan.refused:
                continue
            if not run.sync and not self.movable_since(pfn // run.block, scan.begin):
                continue
            if all(self.bits.throughout(page, bit, value, scan.begin) for bit, value in wanted):
                self.add("page passed over", f"{page} waited on the LRU, and is not isolated", step, task, page)

    def has_no_target(self, step: int, task: int, run: _Run) -> None:
        """A migration found no target: no free block may have been in reach since the compaction began."""
        self.checked += 1
        if self.kept or run.free <= run.block:
            return  # what is left is for others
        for pfn, since in self.heads.items():
            pageblock = pfn // run.block
            first = pageblock * run.block
            in_reach = first > run.end + run.block and (run.top == NONE or first <= run.top)
            if since < run.begin and in_reach and self.movable_since(pageblock, run.begin):
                page = f"page:{pfn}"
                self.add("free frame passed over", f"no target is found, and {page} is free", step, task, page)

    def ends(self, step: int, task: int, run: _Run) -> None:
        """A compaction ended."""
        self.checked += 1
        for page in sorted(run.isolated | run.taken):
            holders = self.ledgers.by_lane[self.lane_of[page]].holders if page in self.lane_of else {}
            if page in run.taken and task in holders.get(NEW, ()):
                self.add("free frame kept", f"{page}, taken as a target, was not given back", step, task, page)
            elif task in holders.get(ISOLATION, ()):
                rule = "isolated page kept" if page in run.isolated else "target kept"
                self.add(rule, f"{page} is isolated still when the compaction ends", step, task, page)
        if run.counted != run.nr_isolated:
            text = f"counts {run.counted} pages as moved or failed, and isolated {run.nr_isolated}"
            self.add("miscounted", text, step, task)


def _number(name: str) -> int:
    """Return the number of a frame or a pageblock."""
    return int(name.partition(":")[2])


def judge(record: Record) -> Judgement:
    """Follow each compaction from its begin to its end."""
    if not record.steps_on((), notes=("compact-begin",)):
        return Evidence(NAME).judgement(0)
    audit = _Audit(record)
    lanes = {*audit.counts, *audit.types, *audit.counters, *audit.mapcounts, *audit.bits.watched}
    for step in record.steps_on(lanes, *REFERENCES, *KINDS, ADD, WRITE, notes=NOTES):
        audit.event(step)
    return audit.evidence.judgement(audit.checked)
