"""Reference ledger: every reference has a named owner, and the count is the number of owners.

Replays each get, put, freeze and unfreeze of every counted object.  Rules: no put of a reference that nobody holds;
no negative count; nobody changes a frozen count; a freeze succeeds only over the references that its caller
accounts for; the plain store of an unfreeze leaves out nobody; at rest no transient reference is left, and none but the
lasting ones (the program's tables say which are).  Invariant: an object whose count went wrong once is not judged again
before it is reallocated, so one bug is one finding.  Not checked: that a name is apt.
"""

from __future__ import annotations

from typing import Any

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement, kind_of
from mmrace.oracles.general.ledger import NEW, UNNAMED, Ledger
from mmrace.runtime.kinds import FREEZE, GET, GET_UNLESS_ZERO, KIND_MASK, NOTE, PUT, SHIFT, UNFREEZE
from mmrace.runtime.record import Record

NAME = "refcount"

KINDS = (GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE)


class Audit:
    """One pass over one record: the ledgers and what they caught.

    A judge that knows more of a program overrides `at_rest` and `missing`.
    """

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.tables = record.tables
        counted = {lane for kind in KINDS for lane in record.steps_by_lane(kind)}
        owners = {lane: (record.lane(lane) or ("", "", "", ""))[1] for lane in sorted(counted)}
        self.ledgers = {lane: Ledger(name) for lane, name in owners.items()}
        self.by_owner: dict[str, list[Ledger]] = {}
        for ledger in self.ledgers.values():
            self.by_owner.setdefault(ledger.name, []).append(ledger)

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
        if kind == FREEZE:
            before = a if b and isinstance(a, int) else 0
        elif kind != UNFREEZE and isinstance(b, int):
            before = b + 1 if kind == PUT else b - 1
        for _ in range(before):
            ledger.add(UNNAMED, -1)

    def got(self, ledger: Ledger, step: int, task: int, ref: str, new: int) -> None:
        if ledger.unborn and ref == NEW and new == 1:
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
        holders = ledger.holders
        foreign = [ref for ref in self.tables.foreign for who in holders.get(ref, ()) if who not in (task, -1)]
        if ledger.total != n:
            text = f"a freeze of {n} succeeded over {ledger.total} references"
            self.caught(ledger, "freeze over owners", text, step, task, count=n)
        elif foreign:
            text = f"a freeze of {n} succeeded over another task's {foreign[0]!r} reference"
            self.caught(ledger, "freeze over owners", text, step, task, count=n, foreign=foreign)

    def unfreeze(self, ledger: Ledger, step: int, task: int, n: int, dropped: str | None) -> None:
        ledger.freezer = None
        if not ledger.total and n == 1 and dropped is None:
            ledger.add(NEW, task)  # the allocator hands it out
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

    def allocated(self, ledger: Ledger, step: int, task: int) -> None:
        ledger.broken = False
        if ledger.total and ledger.owners() != [NEW]:
            what = kind_of(ledger.name)
            self.caught(ledger, "allocated while referenced", f"{what} allocated with references", step, task)
        elif not ledger.total:
            ledger.restart()
            ledger.add(NEW, task)
            ledger.unborn = True

    def freed(self, ledger: Ledger, step: int, task: int) -> None:
        # what was never counted has no holder, such as all but the first of pages that were allocated as one block
        if ledger.total and not ledger.broken and not ledger.unborn:
            what = kind_of(ledger.name)
            self.caught(ledger, "freed while referenced", f"{what} freed with references", step, task)
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

    def note(self, step: int, task: int, kind: str, facts: tuple[Any, ...]) -> None:
        if kind == "retire" or kind == "rename":
            ledger = self.ledgers.get(facts[0])
            if ledger is None:
                return
            if kind == "retire":
                self.retired(ledger, step, task, list(facts[1]))
            else:
                self.renamed(ledger, step, task, str(facts[1]), str(facts[2]))
            return
        act = self.freed if kind in self.tables.frees else self.allocated
        for ledger in self.by_owner.get(str(self.record.name(facts[0])), ()):
            act(ledger, step, task)

    def notes(self) -> frozenset[str]:
        """Return the kinds of notes that tell of references."""
        return frozenset({"retire", "rename", *self.tables.allocates, *self.tables.frees})

    def take(self, step: int) -> None:
        """Enter what an event says of references: an op on a count, or one of `notes`."""
        task, op, a, b = self.record.events[step]
        if op == NOTE:
            self.note(step, task, a, b)
            return
        ledger = self.ledgers[op >> SHIFT]
        kind = op & KIND_MASK
        if not ledger.seen:
            self.begin(ledger, kind, a, b)
        if kind == GET:
            self.got(ledger, step, task, a, b)
        elif kind == PUT:
            self.put(ledger, step, task, a, b)
        elif kind == GET_UNLESS_ZERO:
            if b:
                self.got(ledger, step, task, a, b)
        elif kind == FREEZE:
            if b:
                self.freeze(ledger, step, task, a)
        else:
            self.unfreeze(ledger, step, task, a, b)

    def missing(self) -> str:
        """Say why the state at rest cannot be judged, "" if it can."""
        how = self.record.end.get("how", "unknown")
        return "" if how == "finished" or not self.ledgers else f"the run ended as {how}"

    def at_rest(self) -> int:
        """Judge what is left in the ledgers; return how many objects were compared with something else."""
        for ledger in self.ledgers.values():
            if ledger.seen and not ledger.broken and not ledger.unborn:
                self.leaked(ledger)
        return 0

    def leaked(self, ledger: Ledger, **facts: Fact) -> list[str]:
        """Report the references that may not be held at rest and were never dropped; return their names."""
        owners = ledger.owners()
        leaked = {ref for ref in owners if ref in self.tables.transient}
        if self.tables.lasting:
            leaked |= set(owners) - {*self.tables.lasting, UNNAMED}
        for ref in sorted(leaked):
            takers = sorted({self.record.task_name(task) for task in ledger.holders[ref] if task >= 0})
            text = f"{ledger.name}: {ref!r} reference of {', '.join(takers)} is never dropped"
            said: dict[str, Fact] = {"ref": ref, "tasks": takers, "object": ledger.name, "owners": owners}
            self.evidence.add("leaked reference", text, (ledger.name, ref), **said, **facts)
        return sorted(leaked)


def judge(record: Record) -> Judgement:
    """Replay the ledger of every counted object, then look at what is left."""
    return followed(Audit(record))


def followed(audit: Audit) -> Judgement:
    """Take an audit through its record."""
    notes = audit.notes()
    checked = 0
    for step in audit.record.steps(NOTE, *KINDS):
        _, op, a, _ = audit.record.events[step]
        if op != NOTE:
            checked += 1
        elif a not in notes:
            continue
        audit.take(step)
    missing = audit.missing()
    if not missing:
        checked += audit.at_rest()
    return audit.evidence.judgement(checked, missing)
