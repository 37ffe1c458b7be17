"""Steps: where in the events of a record is what a judge watches, by kind of op, by lane, and by kind of note.

Most judges watch a few lanes and a few notes, one event in ten or less; a judge that goes through all events of some
kinds pays for the others too.  So each asks for the steps of what it watches, and walks these alone:
``record.steps_on(record.lanes("Box", "count"), WRITE, notes=("opened",))``.
Invariant: a question has the answer that a look at each event would have, in order.  Events are sorted out once a
record, when the first judge asks.
Not here: what is asked of an event beyond kind and lane; a judge that watches other lanes for other kinds gets all of
these kinds on all of these lanes, and tells them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT
from mmrace.runtime.record_file import Event

_NUMBERS = list(range(1 << 14))
"""The steps of most records, for all: to make each number anew for each record is a seventh of sorting.

No more than these, since what outlives a long record holds the memory that lay around it.
"""


class Steps:
    """The steps of a record's events, sorted out.  Args: events: all there will be."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        by_op: defaultdict[int, list[int]] = defaultdict(list)
        for step, event in zip(chain(_NUMBERS, range(len(_NUMBERS), len(events))), events, strict=False):
            by_op[event[1]].append(step)
        self._by_lane: list[dict[int, list[int]]] = [{} for _ in range(KIND_MASK + 1)]
        for op, steps in by_op.items():
            self._by_lane[op & KIND_MASK][op >> SHIFT] = steps
        self._by_kind: dict[int, list[int]] = {}
        self._by_note: dict[str, list[int]] = {}

    def of(self, kinds: Collection[int]) -> list[int]:
        """Return the steps of all events of these kinds (NOTE for notes), in order."""
        return sorted(chain.from_iterable(self._of(kind & KIND_MASK) for kind in kinds))

    def on(self, lanes: Collection[int], kinds: Collection[int], notes: Collection[str] = ()) -> list[int]:
        """Return the steps of all events of these kinds on these lanes, and of these notes, in order."""
        watched, found = set(lanes), []
        for kind in kinds:
            by_lane = self._by_lane[kind]
            found += [by_lane[lane] for lane in by_lane.keys() & watched]
        if notes:
            by_note = self._notes()
            found += [by_note[name] for name in by_note.keys() & set(notes)]
        return sorted(chain.from_iterable(found))

    def by_lane(self, kind: int) -> Mapping[int, list[int]]:
        """Map each lane that an op of a kind is on to the steps of these."""
        return self._by_lane[kind]

    def _of(self, kind: int) -> list[int]:
        found = self._by_kind.get(kind)
        if found is None:
            found = self._by_kind[kind] = sorted(chain.from_iterable(self._by_lane[kind].values()))
        return found

    def _notes(self) -> dict[str, list[int]]:
        """Map each kind of note to the steps of its notes."""
        if not self._by_note:
            for step in self._of(NOTE & KIND_MASK):
                self._by_note.setdefault(self._events[step][2], []).append(step)
        return self._by_note
