"""What two records differ in, up to equivalence: are they one class, and if not, which conflicts came the other way.

Runs that differ in the order of independent steps only are the same for every judge.  So what counts is: which steps
that conflict came in another order, which task first did something else because of it, and which objects have another
history.  Invariant: a *swap* is of two steps that both runs had before them, in either order.  Not seen: what
`conflicts.py` does not see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mmrace.runs.differences import Difference
from mmrace.runtime.kinds import CHOOSE
from mmrace.runtime.record import Record
from mmrace.story.conflicts import Key, Name, Ordering, Step, commute, differing_lanes, same_ways, window_of
from mmrace.story.parting import Parting, of_headers, parting_of

STEPS_MAX = 400
"""Steps on one lane that are compared with each other, from the first difference on: some lanes everybody polls."""
NEVER = 1 << 60  # the place of a step that a run did not come to

Pair: TypeAlias = tuple[int, int]
"""Events of the two records."""


@dataclass(frozen=True, slots=True)
class Swap:
    """Two conflicting steps in another order: `first` comes before `second` in the first record only.

    Attributes: first, second: the events of the two steps in the first record; None: it did not come to that one.
    then: the same in the other record.  lane: where they meet, in words.
    """

    lane: str
    first: int | None
    second: int | None
    then: tuple[int | None, int | None]

    @property
    def at(self) -> int:
        """Where it shows first: when the second of the two was done, in the record where that is earlier."""
        done = (self.first, self.second), self.then
        return min(max(NEVER if step is None else step for step in pair) for pair in done)


@dataclass(frozen=True, slots=True)
class Way:
    """A task that goes another way from some op on; `events`: of that op in both records, None: it did no more."""

    task: str
    events: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A value that a task drew otherwise; `events`: of both draws."""

    task: str
    events: Pair


@dataclass(frozen=True, slots=True)
class History:
    """An object with another history: the first steps on it that differ, None: it has no more of them."""

    name: str
    cls: str
    events: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two records, compared.

    Attributes: program, choice: what their headers differ in.  parting: where they part; None: they are the same.
    swaps, ways, drawn, objects: see there; in the order in which they show.  same_class: they differ in the order of
    steps that commute only.  moved: steps that stand elsewhere in a run of the same class.
    """

    program: list[Difference]
    choice: list[Difference]
    parting: Parting | None
    swaps: list[Swap]
    ways: list[Way]
    drawn: list[Drawn]
    objects: list[History]
    same_class: bool
    moved: int


def compare(one: Record, other: Record) -> Comparison:
    """Compare two records."""
    program, choice = of_headers(one, other)
    parting = parting_of(one, other)
    if parting is None:
        return Comparison(program, choice, None, [], [], [], [], same_class=True, moved=0)
    windows = window_of(one, other)
    sides = Ordering(one, windows[0]), Ordering(other, windows[1])
    ways, shared = _ways(*sides)
    lanes = differing_lanes(*sides)
    swaps = sorted((swap for key in lanes if (swap := _swap(key, sides, shared))), key=lambda swap: swap.at)
    objects = sorted(_objects(sides), key=lambda found: min(NEVER if at is None else at for at in found.events))
    same = not lanes and same_ways(*sides)
    moved = _moved(*sides) if same else 0
    return Comparison(program, choice, parting, swaps, ways, _drawn(*sides), objects, same, moved)


# -- tasks -------------------------------------------------------------------------------------------------------------


def _ways(one: Ordering, other: Ordering) -> tuple[list[Way], dict[str, int]]:
    """Return who goes another way, and how many steps of each task are in both runs.

    The step at which it parts is one of them if it is the same op, with another outcome.  Of a task that one run did
    not let go on, all steps are: there they would have come later.
    """
    ways: list[Way] = []
    shared: dict[str, int] = {}
    for task in dict.fromkeys([*one.deeds, *other.deeds]):
        left, right = one.deeds.get(task, []), other.deeds.get(task, [])
        at = next(
            (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if (a.op, a.outcome) != (b.op, b.outcome)),
            min(len(left), len(right)),
        )
        steps = [side[at] if at < len(side) else None for side in (left, right)]
        cut = None in steps
        shared[task] = max(len(left), len(right)) if cut else at + _same_op(*steps)
        if any(step is not None for step in steps):
            ways.append(Way(task, (_event(steps[0]), _event(steps[1]))))
    ways.sort(key=lambda way: min(NEVER if event is None else event for event in way.events))
    return ways, shared


def _drawn(one: Ordering, other: Ordering) -> list[Drawn]:
    """Return the values that a task drew otherwise, of as many as it drew in both runs."""
    found = [
        Drawn(task, (left.event, right.event))
        for task in one.of_task
        for left, right in zip(_draws(one, task), _draws(other, task), strict=False)
        if left.outcome != right.outcome
    ]
    return sorted(found, key=lambda drawn: min(drawn.events))


def _draws(side: Ordering, task: str) -> list[Step]:
    return [step for step in side.of_task.get(task, ()) if step.op[0] == CHOOSE]


def _same_op(one: Step | None, other: Step | None) -> bool:
    return one is not None and other is not None and one.op == other.op


def _event(step: Step | None) -> int | None:
    return None if step is None else step.event


# -- lanes -------------------------------------------------------------------------------------------------------------


def _swap(key: Key, sides: tuple[Ordering, Ordering], shared: Mapping[str, int]) -> Swap | None:
    """Return the first two conflicting steps on a lane that come in another order; None if no two do."""
    places = [_places(side.lanes.get(key, ()), side, shared) for side in sides]
    orders = [sorted(steps.values(), key=lambda step: step.event) for steps in places]
    same = next(
        (i for i, pair in enumerate(zip(*orders, strict=False)) if pair[0].name != pair[1].name),
        min(map(len, orders)),
    )
    left, right = (order[same : same + STEPS_MAX] for order in orders)
    for first, second in _before(left, key):
        then = places[1].get(first.name), places[1].get(second.name)
        if _is_later(*then):
            return Swap(_words(key), first.event, second.event, (_event(then[0]), _event(then[1])))
    for second, first in _before(right, key):
        now = places[0].get(first.name), places[0].get(second.name)
        if now[1] is None and now[0] is not None:
            return Swap(_words(key), now[0].event, None, (first.event, second.event))
    return None


def _places(steps: Sequence[Step], side: Ordering, shared: Mapping[str, int]) -> dict[Name, Step]:
    """Return the steps of a lane that both runs had before them."""
    return {step.name: step for step in steps if step.name[1] < shared.get(step.name[0], 0)}


def _is_later(first: Step | None, second: Step | None) -> bool:
    """Say whether the first of two steps comes after the second in the other record, which came to that one."""
    return second is not None and (first is None or first.event > second.event)


def _before(steps: Sequence[Step], key: Key) -> Iterator[tuple[Step, Step]]:
    """Yield the pairs of conflicting steps of two tasks, those that are complete first first."""
    for i, second in enumerate(steps):
        for first in reversed(steps[:i]):
            if first.name[0] != second.name[0] and not commute(first, second, key):
                yield first, second


def _words(key: Key) -> str:
    """Name a lane, or what is none: where steps meet without an op on it."""
    match key:
        case str():
            return key
        case ("noted", *names):
            return f"what is noted of {' '.join(map(str, names))}"
        case ("pointed", name):
            return f"pointers to {name}"
        case ("interrupts", cpu):
            return f"interrupts of cpu {cpu}"
        case (str(lane), ref):
            return f"{lane}, reference {ref}"
    return "who is alive"


def _moved(one: Ordering, other: Ordering) -> int:
    """Return how many steps of a run have another step before them in the other one of its class."""
    before = [
        {step.name: last.name if last else None for last, step in zip([None, *side.steps], side.steps, strict=False)}
        for side in (one, other)
    ]
    return sum(before[1].get(name) != last for name, last in before[0].items())


# -- objects -----------------------------------------------------------------------------------------------------------


def _objects(sides: tuple[Ordering, Ordering]) -> Iterator[History]:
    """Yield each object on whose lanes something else was done, or in another order."""
    found: dict[str, History] = {}
    for key in dict.fromkeys([*sides[0].lanes, *sides[1].lanes]):
        if not isinstance(key, str):
            continue
        events = _first(key, sides)
        if events is None:
            continue
        cls, owner = _owner(key, sides)
        last = found.get(owner)
        if last is None or _earliest(events) < _earliest(last.events):
            found[owner] = History(owner, cls, events)
    yield from found.values()


def _earliest(events: tuple[int | None, int | None]) -> int:
    return min(NEVER if event is None else event for event in events)


def _first(key: str, sides: tuple[Ordering, Ordering]) -> tuple[int | None, int | None] | None:
    """Return the first events on a lane that differ, up to the order of what commutes; None if there are none."""
    lists = [list(_deeds(key, side)) for side in sides]
    at = next((i for i, pair in enumerate(zip(*lists, strict=False)) if pair[0][0] != pair[1][0]), None)
    if at is None:
        if len(lists[0]) == len(lists[1]):
            return None
        at = min(map(len, lists))
    groups = [side[at][1] if at < len(side) else [] for side in lists]
    events: list[int | None] = []
    for i, own in enumerate(groups):
        theirs = {deed for deed, _ in groups[1 - i]}
        after = lists[i][at + 1][1] if at + 1 < len(lists[i]) else []
        left = [event for deed, event in own if deed not in theirs] or [event for _, event in after]
        events.append(next(iter(left), None))
    return events[0], events[1]


def _deeds(key: str, side: Ordering) -> Iterator[tuple[list[str], list[tuple[str, int]]]]:
    """Yield the groups of steps on a lane as what was done: sorted, and in order with the events."""
    by_name = {step.name: step for step in side.lanes.get(key, ())}
    for _, names in side.groups(key):
        steps = sorted((by_name[name] for name in names), key=lambda step: step.event)
        done = [(f"{step.name[0]} {step.op} {step.outcome}", step.event) for step in steps]
        yield sorted(deed for deed, _ in done), done


def _owner(key: str, sides: tuple[Ordering, Ordering]) -> tuple[str, str]:
    """Return the class and the name of the object that a lane is of."""
    for side in sides:
        step = next(iter(side.lanes.get(key, ())), None)
        if step is not None:
            for entry in (side.record.lane(number) for number in side.numbers(key)):
                if entry is not None:
                    return entry[0], entry[1]
    return "", key
