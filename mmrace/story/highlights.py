"""The few events of a record that tell its story: what the finding names, and back from there what led to it.

From the events that are given, the steps that each of them met last on its lanes, and so on backwards: who wrote what
was read, who held what was tried.  A minimal file says more: its causal orderings, and its turning points, if they are
few.  Invariant: never more than `most`, in the order of the record; what was given comes first, then what is nearest to
the end.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mmrace.runs.minimal import Minimal
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.places import Place, places_of
from mmrace.runtime.record import Record
from mmrace.runtime.selection import last_explored
from mmrace.story.conflicts import Key, Ordering, Step, commute, window_of

MOST = 40
"""Events of a sketch: what fits into a mail."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two events that met: the second found what the first had done.  `causal`: they must not be swapped."""

    first: int
    second: int
    lane: str
    causal: bool


@dataclass(frozen=True, slots=True)
class Highlights:
    """The events to be shown, and which of them met; `named`: those of the finding."""

    steps: list[int]
    named: frozenset[int]
    meetings: list[Meeting]


def highlights(record: Record, named: Iterable[int], minimal: Minimal | None = None, most: int = MOST) -> Highlights:
    """Return the events that tell a record's story.

    Args: named: the events of the finding.  minimal: of this record, if there is one.
    """
    own = [step for step in named if step < len(record.events)]
    causal = _causal(minimal)
    given = [*own, *(step for pair in causal for step in pair)]
    turns = [*dict.fromkeys(_turns(record, minimal))] if minimal else []
    if len(turns) <= most // 2:  # of a schedule that is not that small yet they would leave no room for what came of it
        given += turns
    met = _Met(record)
    chosen = _fill(given, met.back_from(given or _last(record), most), most)
    return Highlights(chosen, frozenset(own), list(_meetings(met, chosen, causal)))


def of_steps(
    record: Record, steps: Iterable[int], named: Iterable[int], minimal: Minimal | None = None, most: int = MOST
) -> Highlights:
    """Return these events, the last ones if they are too many, and which of them met.  Args: see `highlights`."""
    chosen = sorted(steps)[-most:]
    return Highlights(chosen, frozenset(named), list(_meetings(_Met(record), chosen, _causal(minimal))))


def _causal(minimal: Minimal | None) -> dict[tuple[int, int], str]:
    """Return the causal orderings of a minimal file: its two events, and the object."""
    return {(pair.first.event, pair.second.event): pair.object for pair in minimal.causal} if minimal else {}


def _fill(given: Iterable[int], steps: Iterable[int], most: int) -> list[int]:
    """Return what was given, and of the others as many of the last ones as there is room for."""
    kept = [*dict.fromkeys(given)][:most]
    others = [step for step in sorted(steps, reverse=True) if step not in kept]
    return sorted([*kept, *others[: most - len(kept)]])


def _turns(record: Record, minimal: Minimal) -> Iterator[int]:
    """Yield the turning points and choices of a minimal schedule, each turn with the op that comes next."""
    named: dict[Place, int] = {place: step for step, place in places_of(record)}
    for turn in minimal.schedule.turns:
        step = named.get(Place(turn.task, turn.site, turn.visit))
        if step is not None:
            yield step
            after = next((i for i in range(step + 1, len(record.events)) if record.events[i][1] != NOTE), None)
            if after is not None:
                yield after
    for value in minimal.schedule.choices:
        step = named.get(Place(value.task, value.site, value.visit))
        if step is not None:
            yield step


def _last(record: Record) -> Iterator[int]:
    """Yield the last op of each task that a strategy could choose, the latest first."""
    end = last_explored(record)
    seen: set[int] = set()
    for step in range(len(record.events) - 1 if end is None else end, -1, -1):
        task, op = record.events[step][:2]
        if op != NOTE and task not in seen:
            seen.add(task)
            yield step


class _Met:
    """What each event of a record met."""

    def __init__(self, record: Record) -> None:
        self.record = record
        ordering = Ordering(record, window_of(record)[0])  # set-up led to everything
        self.steps: dict[int, Step] = {step.event: step for step in ordering.steps}
        self.before: Mapping[Key, list[Step]] = ordering.lanes
        self._place = {key: {step.event: i for i, step in enumerate(steps)} for key, steps in ordering.lanes.items()}

    def of(self, event: int) -> Iterator[tuple[Key, Step]]:
        """Yield the step that an event met last on each of its lanes; of a remark, of the op before it."""
        step = self.steps.get(event) or self._op_before(event)
        if step is None:
            return
        for key in step.footprint:
            steps = self.before[key]
            for i in range(self._place[key][step.event] - 1, -1, -1):
                if not commute(steps[i], step, key):
                    yield key, steps[i]
                    break

    def _op_before(self, event: int) -> Step | None:
        task = self.record.events[event][0]
        return next(
            (self.steps[i] for i in range(event, -1, -1) if i in self.steps and self.record.events[i][0] == task), None
        )

    def back_from(self, events: Iterable[int], most: int) -> list[int]:
        """Return what led to some events, nearest first, them included."""
        left = [-event for event in events]
        heapq.heapify(left)
        found: dict[int, None] = {}
        while left and len(found) < most:
            event = -heapq.heappop(left)
            if event in found:
                continue
            found[event] = None
            before = [] if event in self.steps else [self._op_before(event)]
            for step in (*before, *(step for _, step in self.of(event))):
                if step is not None and step.event not in found:
                    heapq.heappush(left, -step.event)
        return list(found)


def _meetings(met: _Met, chosen: list[int], causal: Mapping[tuple[int, int], str]) -> Iterator[Meeting]:
    """Yield for each chosen event which chosen ones of other tasks it met.  Args: causal: orderings, with what on."""
    inside = {*chosen}
    for second in chosen:
        told: set[object] = set()
        for (first, later), lane in causal.items():
            if later == second and first in inside:
                told |= {first, lane}
                yield Meeting(first, second, lane, causal=True)
        if second not in met.steps:
            continue
        for key, step in met.of(second):
            other = step.event in inside and step.name[0] != met.steps[second].name[0]
            if other and isinstance(key, str) and not {step.event, key} & told:
                told.add(step.event)
                yield Meeting(step.event, second, key, causal=False)
