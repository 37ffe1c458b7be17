"""Lanes by name: which field of which object an op's lane is.

Two classes answer the same questions: `LiveLanes` from the objects of a run in this process, `TableLanes` from the
table in a file.  Invariant: a question costs what it asks for.  What all objects of a class share is worked out once a
class, and the table of every lane only on request.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Task

Lane = tuple[str, str, str, str]  # class, owner's name, field, sub-name ("" | bit | "[i]" | "BIT.queue")


def lane_name(lane: Lane) -> str:
    """Name a lane: "box:0.state.LOCKED"."""
    _, owner, field, sub = lane
    text = f"{owner}.{field}" if field else owner
    return text + (sub if sub.startswith("[") else f".{sub}" if sub else "")


class TableLanes:
    """Lanes as a record file lists them."""

    def __init__(self, table: dict[int, Lane]) -> None:
        self.table = table
        self._begins: dict[str, tuple[str, str]] = {}
        """Class -> (field, sub-name) of the first lane of its objects."""

    def lane(self, number: int) -> Lane | None:
        """Return a lane's entry, None if it is not known."""
        return self.table.get(number)

    def first(self, number: int) -> int:
        """Return the first lane of the object that a lane is of; of one that is not known, the lane itself."""
        if not self._begins:
            for lane in sorted(self.table):
                self._begins.setdefault(self.table[lane][0], self.table[lane][2:])
        here = self.table.get(number)
        while here is not None and here[2:] != self._begins[here[0]]:
            before = self.table.get(number - 1)
            if before is None or before[:2] != here[:2]:
                break
            number, here = number - 1, before
        return number

    def find(self, cls_name: str, field: str, sub: str) -> dict[int, str]:
        """Map the lanes of this name, in all objects of a class that are in use, to their owners' names."""
        wanted = (cls_name, field, sub)
        return {lane: owner for lane, (cls, owner, key, name) in self.table.items() if (cls, key, name) == wanted}

    def of(self, owners: Collection[str]) -> dict[int, Lane]:
        """Map the lanes of the objects of these names to their entries."""
        return {lane: entry for lane, entry in self.table.items() if entry[1] in owners}

    def words(self, cls_name: str, field: str) -> dict[int, tuple[str, int]]:
        """Map the lanes of an array of words to (owner's name, index)."""
        return {
            lane: (owner, int(sub[1:-1]))
            for lane, (cls, owner, key, sub) in self.table.items()
            if cls == cls_name and key == field and sub.startswith("[")
        }


class LiveLanes:
    """Lanes of the objects of a run: (first lane, struct, task or name of a CPU)."""

    def __init__(self, objects: Sequence[tuple[int, object]]) -> None:
        self._objects = sorted(objects, key=itemgetter(0))
        self._bases = [base for base, _ in self._objects]
        self._by_type: dict[type, list[tuple[int, object]]] = {}
        self._by_owner: dict[str, list[tuple[int, object]]] = {}
        self._named: dict[str, list[tuple[_Plan, list[int], list[str]]]] = {}
        self._table: dict[int, Lane] | None = None
        self._asked: dict[int, Lane | None] = {}

    @property
    def table(self) -> dict[int, Lane]:
        """Every lane's entry."""
        if self._table is None:
            self._table = dict(chain.from_iterable(_entries(base, obj) for base, obj in self._objects))
        return self._table

    def of(self, owners: Collection[str]) -> dict[int, Lane]:
        """Map the lanes of the objects of these names that are in use to their entries."""
        if not self._by_owner:
            for row in chain.from_iterable(self._in_use().values()):
                self._by_owner.setdefault(_owner(row[1]), []).append(row)
        rows = sorted(chain.from_iterable(self._by_owner.get(owner, ()) for owner in owners), key=itemgetter(0))
        return dict(chain.from_iterable(_entries(base, obj) for base, obj in rows))

    def lane(self, number: int) -> Lane | None:
        """Return a lane's entry, None if it is not known."""
        if number not in self._asked:
            self._asked[number] = self._entry(number)
        return self._asked[number]

    def _entry(self, number: int) -> Lane | None:
        i = bisect_right(self._bases, number) - 1
        if i < 0:
            return None
        base, obj = self._objects[i]
        plan, offset = _plan(type(obj)), number - base
        places = plan.places if offset < len(plan.places) else (*plan.places, *_words(obj))
        return (plan.cls_name, _owner(obj), *places[offset]) if offset < len(places) else None

    def first(self, number: int) -> int:
        """Return the first lane of the object that a lane is of; of one that is not known, the lane itself."""
        i = bisect_right(self._bases, number) - 1
        return number if i < 0 else self._bases[i]

    def find(self, cls_name: str, field: str, sub: str) -> dict[int, str]:
        """Map the lanes of this name, in all objects of a class that are in use, to their owners' names."""
        if cls_name not in self._named:
            self._named[cls_name] = [
                (plan, [base for base, _ in objects], [_owner(obj) for _, obj in objects])
                for plan, objects in self._of_class(cls_name)
            ]
        found: dict[int, str] = {}
        for plan, bases, owners in self._named[cls_name]:
            offset = plan.offsets.get((field, sub))
            if offset is not None:
                found.update(zip(map(offset.__add__, bases), owners, strict=True))
        return found

    def words(self, cls_name: str, field: str) -> dict[int, tuple[str, int]]:
        """Map the lanes of an array of words to (owner's name, index)."""
        return {
            base + len(plan.places) + i: (_owner(obj), i)
            for plan, objects in self._of_class(cls_name)
            for base, obj in objects
            for i, (key, _) in enumerate(_words(obj))
            if key == field
        }

    def _of_class(self, cls_name: str) -> list[tuple[_Plan, list[tuple[int, object]]]]:
        """Return the objects of a class, those of one Python class (a variant's, a freed struct's) together."""
        planned = [(_plan(kind), objects) for kind, objects in self._in_use().items()]
        return [(plan, objects) for plan, objects in planned if plan.cls_name == cls_name]

    def _in_use(self) -> dict[type, list[tuple[int, object]]]:
        """Return the objects by their Python class.

        Not those that nobody touched, nine pages of ten: no event is on their lanes, and a file does not list them.
        """
        if not self._by_type:
            for row in self._objects:
                if getattr(row[1], "touched", True):
                    self._by_type.setdefault(type(row[1]), []).append(row)
        return self._by_type


@dataclass(slots=True, frozen=True)
class _Plan:
    """What all objects of a class have in common: its name in records, (field, sub-name) of each lane, the reverse."""

    cls_name: str
    places: tuple[tuple[str, str], ...]
    offsets: dict[tuple[str, str], int]


_plans: dict[type, _Plan] = {}


def _plan(kind: type) -> _Plan:
    plan = _plans.get(kind)
    if plan is None:
        name, places = "Task" if issubclass(kind, Task) else "Cpu", [("", "")]
        if issubclass(kind, Struct):  # named as the class nearest to Struct: what the kernel model declares
            name = kind.__mro__[kind.__mro__.index(Struct) - 1].__name__
            parts = [(row.field, [""] if row.part is None else row.part.lane_names(0)) for row in kind.plan]
            places = [(field, sub) for field, names in parts for sub in names]
        plan = _plans[kind] = _Plan(name, tuple(places), {place: i for i, place in enumerate(places)})
    return plan


def _words(obj: object) -> list[tuple[str, str]]:
    """Return (field, sub-name) of each word of an object that has an array of them."""
    sized = type(obj).sized_part if isinstance(obj, Struct) else None
    if sized is None or not isinstance(obj, Struct):
        return []
    return [(sized[0], name) for name in sized[1].lane_names(obj.size)]


def _entries(base: int, obj: object) -> Iterator[tuple[int, Lane]]:
    """Yield each lane of an object with its entry."""
    plan, owner = _plan(type(obj)), _owner(obj)
    for i, place in enumerate((*plan.places, *_words(obj))):
        yield base + i, (plan.cls_name, owner, *place)


def _owner(obj: object) -> str:
    return obj.name if isinstance(obj, (Struct, Task)) else str(obj)
