"""Reference ledger: every reference has a named owner, and the count is the number of owners.

Replays each get, put, freeze and unfreeze of the counted objects. Rules: no put of a reference that nobody holds;
no negative count; nobody changes a frozen count; a freeze succeeds only over the references that its caller
accounts for; the plain store of an unfreeze leaves out nobody; at quiescence count and owners agree and nothing
transient is left. Invariant: an object whose count went wrong once is not judged again before it is reallocated, so
one bug is one finding. Not checked: that a name is apt.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.oracles.general.ledger import UNNAMED, Ledger
from mmrace.oracles.protocol.snapshot import Snapshot, snapshots, unfinished
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record

NAME = "refcount"
COUNTERS = (
    ("Page", "_count"),
    ("BufferHead", "b_count"),
)  # JournalHead.b_jcount is a plain number under a lock
TRANSIENT = frozenset(
    {"lookup", "migrate", "commit", "checkpoint", "journal", "writeback", "io", "isolation", "new", "ext3"}
)
STRUCTURAL = ("slot", "private", "pagevec", "jh", "lru")
"""References that something holds by pointing at the object: at rest there are as many as pointers."""
FOREIGN = ("lookup", "gup", "pte", "pagevec")
"""References that a freezer cannot account for when another task took them (I4)."""

NOTES = frozenset({"page-alloc", "page-free", "retire", "rename"})

_GET, _PUT, _GUZ = int(Kind.GET), int(Kind.PUT), int(Kind.GET_UNLESS_ZERO)
_FREEZE, _UNFREEZE = int(Kind.FREEZE), int(Kind.UNFREEZE)


class _Audit:
    """One pass over one record: the ledgers and what they caught."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.names = {lane: name for count in COUNTERS for lane, name in sorted(record.lanes(*count).items())}
        self.pages = {name: lane for lane, name in record.lanes("Page", "_count").items()}
        self.ledgers: dict[int, Ledger] = {}

    def ledger(self, lane: int) -> Ledger | None:
        """Return the ledger of the count at a lane, opened when something first concerns it."""
        found = self.ledgers.get(lane)
        if found is None and lane in self.names:
            found = self.ledgers[lane] = Ledger(self.names[lane])
        return found

    def caught(self, ledger: Ledger, rule: str, text: str, step: int, task: int, **facts: Fact) -> None:
        ledger.broken = True
        who = self.record.task_name(task)
        self.evidence.add(
            rule,
            f"{ledger.name}: {text} ({who})",
            (ledger.name, who),
            object=ledger.name,
            task=who,
            step=step,
            owners=ledger.owners(),
            **facts,
        )

    # -- ops -------------------------------------------------------------------------------------------------

    def begin(self, ledger: Ledger, kind: int, a: object, b: object) -> None:
        """At the first op on an object, enter the references that were there before the record began."""
        ledger.seen = True
        if ledger.total:
            return
        before = 0
        if kind == _FREEZE:
            before = a if b and isinstance(a, int) else 0
        elif kind != _UNFREEZE and isinstance(b, int):
            before = b + 1 if kind == _PUT else b - 1
        for _ in range(before):
            ledger.add(UNNAMED, -1)

    def got(self, ledger: Ledger, step: int, task: int, ref: str, new: int) -> None:
        if ledger.unborn and ref == "new" and new == 1:
            ledger.unborn = False
            return
        ledger.add(ref, task)
        if ledger.broken:
            return
        if ledger.freezer is not None:
            self.frozen(ledger, step, task, f"get of {ref!r} on a frozen count", ref)
        elif new != ledger.total:
            self.caught(ledger, "count is not owners", f"a get made the count {new}", step, task, ref=ref, count=new)

    def put(self, ledger: Ledger, step: int, task: int, ref: str, new: int) -> None:
        held = ledger.drop(ref, task)
        if ledger.broken:
            return
        if not held:
            rule = "put without reference"
            self.caught(ledger, rule, f"put of {ref!r}, which nobody holds", step, task, ref=ref, count=new)
        elif new < 0:
            self.caught(ledger, "negative count", f"a put made the count {new}", step, task, ref=ref, count=new)
        elif ledger.freezer is not None:
            self.frozen(ledger, step, task, f"put of {ref!r} on a frozen count", ref)
        elif new != ledger.total:
            self.caught(ledger, "count is not owners", f"a put made the count {new}", step, task, ref=ref, count=new)

    def frozen(self, ledger: Ledger, step: int, task: int, text: str, ref: str) -> None:
        assert ledger.freezer is not None
        freezer = self.record.task_name(ledger.freezer)
        self.caught(ledger, "change while frozen", f"{text} by {freezer}", step, task, ref=ref, freezer=freezer)

    def freeze(self, ledger: Ledger, step: int, task: int, n: int) -> None:
        ledger.freezer = task
        if ledger.broken:
            return
        foreign = [ref for ref in FOREIGN for holder in ledger.holders.get(ref, ()) if holder not in (task, -1)]
        if ledger.total != n:
            text = f"a freeze of {n} succeeded over {ledger.total} references"
            self.caught(ledger, "freeze over owners", text, step, task, count=n)
        elif foreign:
            text = f"a freeze of {n} succeeded over another task's {foreign[0]!r} reference"
            self.caught(ledger, "freeze over owners", text, step, task, count=n, foreign=foreign)

    def unfreeze(self, ledger: Ledger, step: int, task: int, n: int, dropped: str | None) -> None:
        ledger.freezer = None
        if not ledger.total and n == 1 and dropped is None:
            ledger.add("new", task)  # set_page_refcounted: a page from the allocator
        ledger.unborn = False
        held = dropped is None or ledger.drop(dropped, task)
        if ledger.broken:
            return
        if not held:
            text = f"unfreeze drops {dropped!r}, which nobody holds"
            self.caught(ledger, "put without reference", text, step, task, ref=dropped, count=n)
        elif n != ledger.total:
            text = f"unfreeze stores {n} where {ledger.total} references remain"
            self.caught(ledger, "lost get", text, step, task, count=n)

    # -- notes -----------------------------------------------------------------------------------------------

    def allocated(self, page: str, step: int, task: int) -> None:
        ledger = self.ledger(self.pages.get(page, -1))
        if ledger is None:
            return
        ledger.broken = False
        if ledger.total and ledger.owners() != ["new"]:
            self.caught(ledger, "allocated while referenced", "page allocated with references", step, task)
        elif not ledger.total:
            ledger.restart()
            ledger.add("new", task)
            ledger.unborn = True

    def freed(self, page: str, step: int, task: int) -> None:
        ledger = self.ledger(self.pages.get(page, -1))
        if ledger is None:
            return
        if ledger.total and not ledger.broken:
            self.caught(ledger, "freed while referenced", "page freed with references", step, task)
        ledger.restart()

    def retired(self, ledger: Ledger, step: int, task: int, refs: list[str]) -> None:
        for ref in refs:
            if not ledger.drop(ref, task) and not ledger.broken:
                text = f"{ref!r} retired, which nobody holds"
                self.caught(ledger, "put without reference", text, step, task, ref=ref)

    def renamed(self, ledger: Ledger, step: int, task: int, old: str, new: str) -> None:
        if ledger.drop(old, task):
            ledger.add(new, task)
        elif not ledger.broken:
            text = f"{old!r} becomes {new!r}, but nobody holds it"
            self.caught(ledger, "put without reference", text, step, task, ref=old)

    # -- the pass --------------------------------------------------------------------------------------------

    def note(self, step: int, task: int, kind: object, facts: tuple[object, ...]) -> None:
        if kind == "page-free":
            self.freed(str(self.record.name(facts[0])), step, task)
        elif kind == "page-alloc":
            self.allocated(str(self.record.name(facts[0])), step, task)
        elif kind == "retire" or kind == "rename":
            ledger = self.ledger(facts[0])  # type: ignore[arg-type]
            if ledger is None:
                return
            if kind == "retire":
                self.retired(ledger, step, task, list(facts[1]))  # type: ignore[call-overload]
            else:
                self.renamed(ledger, step, task, str(facts[1]), str(facts[2]))

    def at_rest(self) -> int:
        """Judge the last snapshot; return how many objects it has."""
        snaps = snapshots(self.record)
        if not snaps:
            return 0
        last = snaps[-1]
        known = last.pages.keys() | last.unused | last.buffers.keys()
        checked = sum(name in known for name in self.names.values())
        for lane in self.names:
            ledger = self.ledgers.get(lane)
            if ledger is None or ledger.broken or not ledger.seen:
                continue
            view = last.page(ledger.name) or last.buffers.get(ledger.name)
            owners = ledger.owners()
            leaked = sorted(TRANSIENT.intersection(owners))
            facts: dict[str, Fact] = {"object": ledger.name, "owners": owners, "when": last.label}
            for ref in leaked:
                takers = sorted({self.record.task_name(task) for task in ledger.holders[ref] if task >= 0})
                text = f"{ledger.name}: {ref!r} reference of {', '.join(takers)} is never dropped"
                self.evidence.add("leaked reference", text, (ledger.name, ref), ref=ref, tasks=takers, **facts)
            if view is not None and not leaked:
                leaked = self.unheld(ledger, last, facts)
            if view is not None and not leaked and view.count != len(owners):
                text = f"{ledger.name}: count {view.count} at rest, owners {', '.join(owners) or 'none'}"
                self.evidence.add("count is not owners", text, (ledger.name,), count=view.count, **facts)
        return checked

    def unheld(self, ledger: Ledger, last: Snapshot, facts: dict[str, Fact]) -> list[str]:
        """Compare the references that structures hold with the structures; return the names that differ."""
        pointers = _pointers(ledger.name, last)
        differing = []
        for ref in STRUCTURAL:
            entries, held = len(ledger.holders.get(ref, ())), pointers.get(ref, 0)
            if entries != held and UNNAMED not in ledger.holders:
                differing.append(ref)
                rule = "leaked reference" if entries > held else "pointer without reference"
                text = f"{ledger.name}: {entries} {ref!r} references, held by {held} pointers"
                self.evidence.add(rule, text, (ledger.name, ref), ref=ref, **facts)
        return differing


def _pointers(name: str, snap: Snapshot) -> dict[str, int]:
    """Count what points at an object at rest, by the name of the reference that it holds."""
    page, bh = snap.page(name), snap.buffers.get(name)
    if page is not None:
        return {
            "slot": sum(slot.page == name for slot in snap.slots),
            "private": int(page.private is not None),
            "pagevec": snap.pagevecs.count(name),
        }
    return {"jh": int(bh is not None and bh.jh is not None), "lru": snap.bh_lrus.count(name)}


def judge(record: Record) -> Judgement:
    """Replay the ledger of every counted object, then compare with the state at rest."""
    audit = _Audit(record)
    checked = 0
    for step in record.steps(NOTE, _GET, _PUT, _GUZ, _FREEZE, _UNFREEZE):
        task, op, a, b = record.events[step]
        if op == NOTE:
            if a in NOTES:
                audit.note(step, task, a, b)
            continue
        ledger = audit.ledger(op >> SHIFT)
        if ledger is None:
            continue
        kind = op & KIND_MASK
        checked += 1
        if not ledger.seen:
            audit.begin(ledger, kind, a, b)
        if kind == _GET:
            audit.got(ledger, step, task, a, b)
        elif kind == _PUT:
            audit.put(ledger, step, task, a, b)
        elif kind == _GUZ:
            if b:
                audit.got(ledger, step, task, a, b)
        elif kind == _FREEZE:
            if b:
                audit.freeze(ledger, step, task, a)
        else:
            audit.unfreeze(ledger, step, task, a, b)
    checked += audit.at_rest()
    return audit.evidence.judgement(checked, unfinished(record))
