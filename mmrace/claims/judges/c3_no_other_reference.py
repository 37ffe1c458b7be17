"""Claim C3: nobody else has a reference to the page while it is copied.

"C3" is judged in the narrowest reading that the words allow: counted references (`_count`) to the old page, from the
first data word read to the last one written.  The count is compared with what the migrator accounts for: what it stored
at the thaw, less the reference "private" that it dropped since.  A reference that came and went between thaw and copy
does not count, nor do b_count, journal heads or I/O, which no reading of "reference to the page" has to include.
"C3n" asks for the new page: who looks the page up meanwhile gets that one.  "C3+" is what is true instead.  "C3u" is
the example that the claim gives: the page is unmapped.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration, Stage
from mmrace.claims.judges.ops import Op, Watched
from mmrace.claims.judges.scene import Scene, scene
from mmrace.oracles.general.ledger import Ledgers
from mmrace.runtime.kinds import FREEZE, GET, GET_UNLESS_ZERO, NOTE, PUT, UNFREEZE, WRITE
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look for a counted reference to the old page, beside the migrator's, while data are copied."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.copied and Stage.THAW in migration.at):
            continue
        found.test()
        met = _foreign_reference(seen, migration)
        if met is None:
            continue
        step, task, count, accounted = met
        first, last = migration.copy
        who, migrator = seen.who(task), seen.who(migration.task)
        found.decide(
            f"{who} holds a reference to {migration.page} while {migrator} copies it: count {count}, of which "
            f"{accounted} {'is' if accounted == 1 else 'are'} accounted for",
            step, first, last, task=who, count=count, accounted=accounted, **seen.facts(migration),
        )  # fmt: skip
    return found


def _foreign_reference(seen: Scene, migration: Migration) -> tuple[int, int, int, int] | None:
    """Return (step of the get, its task, count, accounted for) of a foreign reference that lasts into the copy."""
    lane = seen.count.get(migration.page, -1)
    first, last = migration.copy
    accounted = migration.thawed
    held: list[tuple[int, int]] = []  # (step, task) of each get by somebody else that is not put yet
    for op in seen.on(lane, migration.at[Stage.THAW] + 1, first):
        if op.task == migration.task:
            accounted += op.gets - (op.kind == PUT)
        elif op.gets:
            held.append((op.step, op.task))
        elif op.kind == PUT:
            others = [pair for pair in held if pair[1] != op.task]
            held = others if len(others) < len(held) else held[1:]
    if held:
        return *held[0], accounted + len(held), accounted
    for op in seen.on(lane, max(first, migration.at[Stage.THAW] + 1), last):
        if op.task == migration.task:
            accounted += op.gets - (op.kind == PUT)
        elif op.gets:
            return op.step, op.task, op.new_count, accounted
    return None


def check_new(record: Record) -> Instances:
    """Look for a lookup that obtained the new page before its data were complete."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.copied and migration.newpage is not None):
            continue
        found.test()
        lane = seen.count.get(migration.newpage, -1)
        for op in seen.on(lane, migration.at[Stage.REPLACE], migration.copy[1]):
            if op.task != migration.task and op.kind == GET_UNLESS_ZERO and op.gets:
                who = seen.who(op.task)
                title = f"{who} obtains {migration.newpage} ({op.reference}) before {migration.page} is copied to it"
                steps = (op.step, *migration.copy)
                found.decide(title, *steps, task=who, reference=op.reference, **seen.facts(migration))
                break
    return found


def check_unmapped(record: Record) -> Instances:
    """Look at each page that was unmapped to be moved: is it mapped again before its data are copied?"""
    seen, found = scene(record), Instances()
    lanes = {page: lane for lane, page in record.bit_lane(*Watched.page_mapcount.value).items()}
    for migration in seen.migrations:
        if not (migration.copied and migration.was_mapped):
            continue
        found.test()
        first, last = migration.at.get(Stage.MAPCOUNT_SEEN, migration.begin), migration.copy[1]
        for op in seen.on(lanes.get(migration.page, -1), first, last):
            if _maps(op):
                who = seen.who(op.task)
                title = f"{who} has {migration.page} mapped, which {seen.who(migration.task)} is about to copy"
                found.decide(title, op.step, *migration.copy, task=who, **seen.facts(migration))
                break
    return found


def _maps(op: Op) -> bool:
    """Say whether a map count shows a pte, by what was read or written: it is -1 without any."""
    count = op.new if op.kind == WRITE else op.value
    return isinstance(count, int) and count >= 0


def check_freeze(record: Record) -> Instances:
    """Replay the names of the references to every page; at each freeze of a migration look at who there is."""
    seen, found = scene(record), Instances()
    frozen = {migration.at[Stage.FREEZE]: migration for migration in seen.migrations if Stage.FREEZE in migration.at}
    ledgers = Ledgers(record, {lane: name for name, lane in seen.count.items()})
    for step in record.steps(NOTE, GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE) if frozen else ():
        ledger, migration = ledgers.take(record.events[step]), frozen.get(step)
        if ledger is not None and migration is not None:
            found.test()
            owners = ledger.owners()
            if owners != (["isolation", "private", "slot"] if migration.ring else ["isolation", "slot"]):
                title = f"{seen.who(migration.task)} freezes {migration.page} though it is held as {', '.join(owners)}"
                found.decide(title, step, owners=list(owners), **seen.facts(migration))
    return found


CLAIM = Claim("C3", (
    Part(
        "C3", "while the page is copied nobody else has a reference to it",
        "no counted reference of another task to the old page exists between the first word read and the last written; "
        "instance: a copy", check, expected="false",
    ),
    Part(
        "C3n", "... nor to the page that stands in its place",
        "no lookup obtains the new page before the last word is written; instance: a copy", check_new,
        expected="false",
    ),
    Part(
        "C3+", "true at the freeze: slot, isolation and private data are the only counted references",
        "the names of all references at each freeze by a migration; instance: a freeze", check_freeze,
    ),
    Part(
        "C3u", "the page is unmapped",
        "no map count of the old page shows a pte, from the migrator's last look at it to the last word written; "
        "instance: a copy of a page from which the migrator took ptes", check_unmapped,
    ),
))  # fmt: skip
