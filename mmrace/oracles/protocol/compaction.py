"""Compaction: its scanners do not cross, and what it takes it moves or gives back.

Rules, of each compaction.  Scanners: a free frame is taken from above all that the migrate scanner has looked at; a
page is isolated from below where the free scanner last found frames.  Asynchronous: it isolates no page of a pageblock
that was not movable all the while since it began to look at it.  Isolated: it takes no pages while more than half of
the LRU was isolated all the while since its last migration.  Keeping: when it ends, it has no reference to a page that
it isolated, to a free frame that it took, or to a target of a migration.  Counting: pages that it counted as moved or
as failed are as many as it isolated.
Invariant: each is asked of what held all the while, so that what others did meanwhile excuses; positions are those of
frames that were taken, not what the scanners say of themselves.  Not checked: a compaction that did not end, and what a
migration does with a page (other judges do).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.general.ledger import NEW, Ledgers
from mmrace.runtime.kinds import ADD, FREEZE, GET, GET_UNLESS_ZERO, KIND_MASK, NOTE, PUT, SHIFT, UNFREEZE, WRITE
from mmrace.runtime.record import Record

NAME = "compaction"
MOVABLE = "MIGRATE_MOVABLE"
ISOLATION = "isolation"
COUNTED = ("COMPACTPAGES", "COMPACTPAGEFAILED")
COUNTERS = ("nr_inactive", "nr_active", "nr_isolated")
NOTES = frozenset({
    "compact-begin", "compact-scan", "compact-isolate", "compact-end", "page-alloc", "page-free", "migrate-end",
    "rename", "retire", "vm-event",
})  # fmt: skip
REFERENCES = (GET, GET_UNLESS_ZERO, PUT, UNFREEZE, FREEZE)
NONE = -1  # no frame


@dataclass(slots=True)
class _Looked:
    """What the counters of the LRU were since a step: the most that was on it, the least that was isolated."""

    listed: dict[str, int]
    isolated: int


@dataclass(slots=True)
class _Run:
    """A compaction that is going on.  `block`: frames of a pageblock.

    `end`: of what the migrate scanner has looked at.  `scan`: where it last began, `scanned`: and no frame was taken
    since.  `top`: the highest frame that was taken between the last two of these.
    """

    begin: int
    sync: bool
    block: int
    looked: _Looked
    end: int = NONE
    top: int = NONE
    scan: int = NONE
    scanned: bool = False
    isolated: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)
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
        self.counters = {lane: name for name in COUNTERS for lane in record.lanes("Zone", name)}
        self.now = dict.fromkeys(COUNTERS, 0)
        self.other: dict[int, int] = {}  # pageblock that is not movable -> since when
        self.runs: dict[int, _Run] = {}
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
            self.counter(self.counters[op >> SHIFT], b)
        elif op & KIND_MASK == WRITE:
            self.typed(step, self.types[op >> SHIFT], b)
        else:
            self.ledgers.take((task, op, a, b))

    # -- state ----------

    def counter(self, name: str, value: int) -> None:
        """A counter of the LRU changed."""
        self.now[name] = value
        for run in self.runs.values():
            if name == "nr_isolated":
                run.looked.isolated = min(run.looked.isolated, value)
            else:
                run.looked.listed[name] = max(run.looked.listed[name], value)

    def typed(self, step: int, pageblock: str, migratetype: object) -> None:
        """A pageblock is used for something else from now on."""
        number = _number(pageblock)
        if self.record.name(migratetype) == MOVABLE:
            self.other.pop(number, None)
        else:
            self.other.setdefault(number, step)

    def looks(self) -> _Looked:
        return _Looked({name: self.now[name] for name in COUNTERS[:2]}, self.now["nr_isolated"])

    # -- notes ----------

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "compact-begin":
            _, sync, block = facts
            assert isinstance(block, int)
            self.runs[task] = _Run(step, bool(sync), block, self.looks())
            return
        run = self.runs.get(task)
        if run is None:
            return
        if kind == "compact-scan":
            self.scans(step, task, run, facts)
        elif kind == "compact-isolate":
            self.isolates(step, task, run, str(self.record.name(facts[0])))
        elif kind == "page-alloc":
            self.takes(step, task, run, str(self.record.name(facts[0])))
        elif kind == "migrate-end":
            run.looked = self.looks()
        elif kind == "vm-event" and facts[0] in COUNTED:
            assert isinstance(facts[1], int)
            run.counted += facts[1]
        elif kind == "compact-end":
            del self.runs[task]
            self.ends(step, task, run)

    def scans(self, step: int, task: int, run: _Run, facts: tuple[object, ...]) -> None:
        """The migrate scanner begins with a range."""
        end = facts[1]
        assert isinstance(end, int)
        run.scan = step
        run.scanned = True
        run.end = max(run.end, end)
        listed = sum(run.looked.listed.values())
        self.checked += 1
        if run.looked.isolated > listed // 2:
            text = f"takes more pages, though {run.looked.isolated} are isolated and {listed} on the LRU, at least"
            self.add("too many isolated", text, step, task)

    def isolates(self, step: int, task: int, run: _Run, page: str) -> None:
        """The migrate scanner isolated a page."""
        pfn = _number(page)
        self.checked += 1
        run.isolated.add(page)
        run.nr_isolated += 1
        if NONE < run.top <= pfn:
            text = f"{page} is isolated, and the free scanner found frame {run.top} last"
            self.add("scanners crossed", text, step, task, page)
        since = self.other.get(pfn // run.block)
        if not run.sync and since is not None and since < run.scan:
            text = f"{page} is isolated asynchronously, and its pageblock is not movable"
            self.add("pageblock not movable", text, step, task, page)

    def takes(self, step: int, task: int, run: _Run, page: str) -> None:
        """The free scanner took a frame."""
        pfn = _number(page)
        self.checked += 1
        run.taken.add(page)
        run.top = pfn if run.scanned else max(run.top, pfn)
        run.scanned = False
        if pfn < run.end:
            text = f"frame {page} is taken as a target, and the migrate scanner is at {run.end}"
            self.add("scanners crossed", text, step, task, page)

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
    audit = _Audit(record)
    if not record.steps_on((), notes=("compact-begin",)):
        return audit.evidence.judgement(0)
    lanes = {*audit.counts, *audit.types, *audit.counters}
    for step in record.steps_on(lanes, *REFERENCES, ADD, WRITE, notes=NOTES):
        audit.event(step)
    return audit.evidence.judgement(audit.checked)
