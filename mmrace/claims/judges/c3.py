"""Claim C3: nobody else has a reference to the page while it is copied.

The reading judged is the narrowest that the words allow: counted references (`_count`) to the old page, from the first
data word read to the last one written.  The count is compared with what the migrator accounts for: what it stored at
the thaw, less the reference "private" that it dropped since.  A reference that came and went between thaw and copy
does not count, nor do b_count, journal heads or I/O, which no reading of "reference to the page" has to include.
What readers obtain through the slot meanwhile, the new page, is a part of its own: to its user it is that page.
"""

from __future__ import annotations

from mmrace.claims.judges.claim import Claim, Instances, Part
from mmrace.claims.judges.migration import Migration
from mmrace.claims.judges.scene import Scene, scene
from mmrace.oracles.general.ledger import Ledgers
from mmrace.runtime.kinds import FREEZE, GET, GET_UNLESS_ZERO, KIND_MASK, NOTE, PUT, SHIFT, UNFREEZE
from mmrace.runtime.record import Record


def check(record: Record) -> Instances:
    """Look for a counted reference to the old page, beside the migrator's, while data are copied."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.copied and "thaw" in migration.at):
            continue
        found.test()
        met = _foreign(seen, migration)
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


def _foreign(seen: Scene, migration: Migration) -> tuple[int, int, int, int] | None:
    """Return (step of the get, its task, count, accounted for) of a foreign reference that lasts into the copy."""
    events, lane = seen.record.events, seen.count.get(migration.page, -1)
    first, last = migration.copy
    accounted = migration.thawed
    held: list[tuple[int, int]] = []  # (step, task) of each get by somebody else that is not put yet
    for step in range(migration.at["thaw"] + 1, last + 1):
        task, op, _, new = events[step]
        kind = op & KIND_MASK
        if step == first and held:
            return *held[0], accounted + len(held), accounted
        if op == NOTE or op >> SHIFT != lane:
            continue
        got = kind == GET or (kind == GET_UNLESS_ZERO and new)
        if task == migration.task:
            accounted += got - (kind == PUT)
        elif got:
            held.append((step, task))
            if step > first:
                return step, task, new, accounted
        elif kind == PUT:
            held = [pair for pair in held if pair[1] != task] if any(pair[1] == task for pair in held) else held[1:]
    return None


def check_new(record: Record) -> Instances:
    """Look for a lookup that obtained the new page before its data were complete."""
    seen, found = scene(record), Instances()
    for migration in seen.migrations:
        if not (migration.copied and migration.newpage is not None):
            continue
        found.test()
        lane = seen.count.get(migration.newpage, -1)
        for step, task, op, ref, count in seen.others(migration.task, migration.at["replace"], migration.copy[1]):
            if op >> SHIFT == lane and op & KIND_MASK == GET_UNLESS_ZERO and count:
                who = seen.who(task)
                found.decide(
                    f"{who} obtains {migration.newpage} ({ref}) before {migration.page} is copied to it",
                    step, *migration.copy, task=who, reference=str(ref), **seen.facts(migration),
                )  # fmt: skip
                break
    return found


def check_freeze(record: Record) -> Instances:
    """Replay the names of the references to every page; at each freeze of a migration look at who there is."""
    seen, found = scene(record), Instances()
    freezes = {migration.at["freeze"]: migration for migration in seen.migrations if "freeze" in migration.at}
    ledgers = Ledgers(record, {lane: name for name, lane in seen.count.items()})
    for step in record.steps(NOTE, GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE):
        ledger, migration = ledgers.take(record.events[step]), freezes.get(step)
        if ledger is not None and migration is not None:
            found.test()
            owners = ledger.owners()
            allowed = ["isolation", "private", "slot"] if migration.ring else ["isolation", "slot"]
            if owners != allowed:
                who = seen.who(migration.task)
                title = f"{who} freezes {ledger.name} though it is held as {', '.join(owners)}"
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
), untested="that the page is unmapped: no actor maps pages yet")  # fmt: skip
