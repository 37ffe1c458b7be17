"""Reference ledger of the kernel model: at rest, owners are what points at an object.

Extends the general judge.  Rules at rest: the count is the number of owners; of the references that something holds by
pointing at the object (slot, private data, pagevec, journal head, LRU of buffers, pte) there are as many as pointers.
Invariant: an object of which a transient reference leaked is not compared further.  Not checked: JournalHead.b_jcount,
a plain number under a lock.
"""

from __future__ import annotations

from mmrace.oracles.general import refcount
from mmrace.oracles.general.judgement import Fact, Judgement
from mmrace.oracles.general.ledger import UNNAMED, Ledger
from mmrace.oracles.protocol.snapshot import Snapshot, snapshots, unfinished
from mmrace.runtime.record import Record

NAME = refcount.NAME
COUNTERS = (("Page", "_count"), ("BufferHead", "b_count"), ("AnonVma", "refcount"))
STRUCTURAL = ("slot", "private", "pagevec", "jh", "lru", "pte")
"""References that something holds by pointing at the object."""


class _Audit(refcount.Audit):
    """The general audit, and the state at rest."""

    def missing(self) -> str:
        return unfinished(self.record)

    def at_rest(self) -> int:
        """Judge the last snapshot; return how many counted objects it has."""
        last = snapshots(self.record)[-1]
        known = last.pages.keys() | last.buffers.keys()
        names = {lane: name for count in COUNTERS for lane, name in sorted(self.record.lanes(*count).items())}
        for lane in names:
            ledger = self.ledgers.get(lane)
            if ledger is not None and ledger.seen and not ledger.broken and not ledger.unborn:
                self.rests(ledger, last)
        return sum(name in known for name in names.values()) + len(last.unused)

    def rests(self, ledger: Ledger, last: Snapshot) -> None:
        view = last.page(ledger.name) or last.buffers.get(ledger.name)
        owners = ledger.owners()
        facts: dict[str, Fact] = {"object": ledger.name, "owners": owners, "when": last.label}
        leaked = self.leaked(ledger, when=last.label)
        if view is not None and not leaked:
            leaked = self.unheld(ledger, last, facts)
        if view is not None and not leaked and view.count != len(owners):
            text = f"{ledger.name}: count {view.count} at rest, owners {', '.join(owners) or 'none'}"
            self.evidence.add("count is not owners", text, (ledger.name,), count=view.count, **facts)

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
            "pte": sum(row.page == name and "present" in row.bits for row in snap.ptes),
        }
    return {"jh": int(bh is not None and bh.jh is not None), "lru": snap.bh_lrus.count(name)}


def judge(record: Record) -> Judgement:
    """Replay the ledger of every counted object, then compare with the state at rest."""
    return refcount.followed(_Audit(record))
