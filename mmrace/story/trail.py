"""The life of one object, from birth to end: every event that concerns it, who held it then, its count with its owners.

An event concerns an object if it is an op on a lane of it, a note that names it, or an op that stores, finds or tells
of it elsewhere (a pointer to it, the spawn of a task).  Of a field there are its own ops, and where its object's lives
begin and end.  A life begins with the note of an allocation, or with the first event on an object of that name, and
ends with the note that it was given back.  Invariant: works from the record alone, and knows no program but by its
tables.  Not judged: whether a count is right; `oracles/general/refcount.py` does that, with the same ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mmrace.oracles.general.locks import lock_bits
from mmrace.oracles.general.refcount import KINDS, Audit
from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    EXIT,
    KIND_MASK,
    NOTE,
    RELEASE,
    SHIFT,
    SPAWN,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
)
from mmrace.runtime.lanes import Lane
from mmrace.runtime.record import Event, Record
from mmrace.runtime.record_file import NOTES_ON_LANES
from mmrace.runtime.wording import plain

_HAND_OVER = "hand-over"
TRY_SHOW = "a name that `mmrace show FILE` prints, or one with its part: account.balance"
PARTS_MAX = 8  # of the names with a given part, those that are listed


@dataclass(frozen=True, slots=True)
class Deed:
    """One event of a life.

    Attributes: step: of the record.  times: how often it came one after the other, with nothing else on the object in
    between and the same outcome.  held: lock or bit -> who has it after the event.  owners: reference -> who took it,
    one entry each, after an event that tells of references; None after others.  own: it is an op on the object itself.
    """

    step: int
    held: Mapping[str, str]
    owners: tuple[tuple[str, str], ...] | None
    own: bool
    times: int = 1


@dataclass(slots=True)
class Life:
    """One life of an object.  `begun`, `ended`: the steps of the notes that say so; None: no note does."""

    begun: int | None = None
    ended: int | None = None
    deeds: list[Deed] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trail:
    """What became of one object.  `lanes`: those that were asked for, by number."""

    name: str
    lanes: Mapping[int, Lane]
    lives: tuple[Life, ...]

    @property
    def deeds(self) -> list[Deed]:
        """The events of all lives, in order."""
        return [deed for life in self.lives for deed in life.deeds]


def trail_of(record: Record, name: str) -> Trail:
    """Return the life of the object, or of the field, of this name.  Raises UsageError for one that is not known."""
    lanes = _lanes(record, name)
    objects = _objects(lanes)
    watch = _Watch(record, lanes, next(iter(lanes.values()))[1])
    lives = [Life()]
    now = 0  # which of the objects of this name
    for step, event in enumerate(record.events):
        deed = watch.take(step, event)
        if deed is None:
            continue
        kind = event[2] if event[1] == NOTE else ""
        life, before = lives[-1], now
        now = objects.get(event[1] >> SHIFT, now) if event[1] != NOTE else now
        if life.deeds and (kind in record.tables.allocates or life.ended is not None or now != before):
            lives.append(life := Life())
        if kind in record.tables.allocates:
            life.begun = step
        elif kind in record.tables.frees:
            life.ended = step
        _enter(life, deed, record)
    return Trail(name, lanes, tuple(lives))


def _objects(lanes: Mapping[int, Lane]) -> dict[int, int]:
    """Number the objects of one name: each has the same parts, on lanes that follow each other."""
    found: dict[int, int] = {}
    seen: set[Lane] = set()
    number = 0
    for lane in sorted(lanes):
        if lanes[lane] in seen:
            seen, number = set(), number + 1
        seen.add(lanes[lane])
        found[lane] = number
    return found


def _enter(life: Life, deed: Deed, record: Record) -> None:
    """Add an event to a life, or count it with the one before it if that is the same."""
    last = life.deeds[-1] if life.deeds else None
    if last is not None and _same(record.events[last.step], record.events[deed.step]):
        life.deeds[-1] = Deed(last.step, deed.held, deed.owners, deed.own, last.times + 1)
    else:
        life.deeds.append(deed)


def _same(one: Event, other: Event) -> bool:
    return one[:2] == other[:2] and (plain(one[2]), plain(one[3])) == (plain(other[2]), plain(other[3]))


# -- names -------------------------------------------------------------------------------------------------------------


def _lanes(record: Record, name: str) -> dict[int, Lane]:
    """Return the lanes of an object, or of a field or a bit of one."""
    found = record.lanes_of((name,))
    if not found:
        found = {
            lane: entry
            for lane, entry in record.table.items()
            if name.startswith(entry[1]) and _is_part(record.lane_name(lane), name)
        }
    if not found:
        used = {event[1] >> SHIFT for event in record.events if event[1] != NOTE}
        known = dict.fromkeys(record.table[lane][1] for lane in sorted(used) if lane in record.table)
        parts = [record.lane_name(lane) for lane in sorted(used) if lane in record.table] if "." in name else ()
        _check_ambiguous(name, known)
        raise unknown("an object of the record", name, [*known, *parts], where="OBJECT", try_=TRY_SHOW)
    return found


def _check_ambiguous(name: str, known: Iterable[str]) -> None:
    """Raise UsageError for a part of the names of several objects; it lists them."""
    having = [other for other in known if name and name in other]
    if len(having) < 2:
        return
    more = f" and {len(having) - PARTS_MAX} more" if len(having) > PARTS_MAX else ""
    raise UsageError(
        expected="the whole name of one object of the record",
        got=f"{name}, which is in the name of {', '.join(having[:PARTS_MAX])}{more}",
        where="OBJECT",
        try_=f"one of them: mmrace trail {having[0]}",
    )


def _is_part(lane: str, name: str) -> bool:
    return lane == name or lane.startswith((f"{name}.", f"{name}["))


# -- events ------------------------------------------------------------------------------------------------------------


class _Watch:
    """Who holds the locks of one object, and its references, event by event."""

    def __init__(self, record: Record, lanes: Mapping[int, Lane], owner: str) -> None:
        self.record, self.lanes, self.owner = record, lanes, owner
        self.bits = lock_bits(record).lanes
        self.audit = Audit(record)
        self.tells = self.audit.notes()
        self.whole = lanes.keys() == record.lanes_of((owner,)).keys()
        self.held: dict[str, str] = {}
        self.task = next((int(row["id"]) for row in record.tasks if row["name"] == owner), None) if self.whole else None

    def take(self, step: int, event: Event) -> Deed | None:
        """Take in an event; return what it is in the life of the object, None if it does not concern it."""
        op = event[1]
        if op == NOTE:
            own, about = self._noted(event), False
        else:
            own = op >> SHIFT in self.lanes
            about = not own and self.whole and self._tells(event)
        if not (own or about):
            return None
        owners = None
        if own:
            self._holds(event)
            owners = self._owners(step, event)
        return Deed(step, dict(self.held), owners, own)

    def _noted(self, event: Event) -> bool:
        """Say whether a note is of the object."""
        _, _, kind, facts = event
        if kind in NOTES_ON_LANES:
            return bool(facts) and facts[0] in self.lanes
        if kind in self.tells:
            return bool(facts and plain(facts[0]) == self.owner)
        return self.whole and any(fact == self.owner for fact in _names_in(facts))

    def _tells(self, event: Event) -> bool:
        """Say whether an op on something else stores, finds or tells of the object."""
        _, op, a, b = event
        kind = op & KIND_MASK
        if self.task is not None:
            return bool(kind == SPAWN and a == self.task)
        return kind not in (SPAWN, EXIT) and self.owner in (plain(a), plain(b))

    def _holds(self, event: Event) -> None:
        """Keep who has a lock."""
        task, op, a, b = event
        if op == NOTE:
            if a == _HAND_OVER:
                self.held[self._part(b[0])] = str(plain(b[1])) if len(b) > 1 else "its I/O"
            return
        kind, lane = op & KIND_MASK, op >> SHIFT
        part = self._part(lane)
        if kind == ACQUIRE or (kind == TRY and a) or (kind == TEST_AND_SET and not a and lane in self.bits):
            self.held[part] = self.record.task_name(task)
        elif kind == RELEASE or kind in (CLEAR, TEST_AND_CLEAR):
            self.held.pop(part, None)

    def _part(self, lane: int) -> str:
        entry = self.lanes.get(lane)
        return entry[3] or entry[2] if entry else f"lane:{lane}"

    def _owners(self, step: int, event: Event) -> tuple[tuple[str, str], ...] | None:
        """Return who holds references after an event that tells of them."""
        op = event[1]
        if not (event[2] in self.tells if op == NOTE else op & KIND_MASK in KINDS):
            return None
        self.audit.take(step)
        ledgers = [ledger for lane, ledger in self.audit.ledgers.items() if lane in self.lanes]
        found = ((ref, task) for ledger in ledgers for ref, tasks in ledger.holders.items() for task in tasks)
        return tuple((ref, self.record.task_name(task) if task >= 0 else "") for ref, task in found)


def _names_in(value: object) -> Iterator[object]:
    """Yield what the facts of a note name, however deep."""
    named = plain(value)
    if isinstance(named, dict):
        for part in named.values():
            yield from _names_in(part)
    elif isinstance(named, list):
        for part in named:
            yield from _names_in(part)
    else:
        yield named
