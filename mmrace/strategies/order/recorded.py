"""The order of a recorded run, as something to follow: each task's steps, and which of them may come next.

A record of engine `free` is a linear extension of task order and object order (`runtime/RECORD.md`).  A step may be
done as soon as those before it in its task, and those before it on its object that it conflicts with, are done: who has
to wait holds up only what needs it.  Ops are known by kind and by the name of their object: lanes are numbered anew in
each run.

Turns of a retry that did and saw what the turn before did and saw are left out: under control a turn waits for a
change.  So is what was done after a violation, which ends the run.  Invariant: a step is taken once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mmrace.runtime.kinds import CHOOSE, KIND_MASK, LOAD, NOTE, RETRY, SHIFT, STORE
from mmrace.runtime.lanes import Lane
from mmrace.runtime.record import Event, Record
from mmrace.runtime.task import Task

ANY = -2
"""Kind of the step that broke a rule: the op was refused and is in no record, so nobody knows which it was."""
BEHIND_MAX = 400  # steps of a task that waits, by which it can hold up others; whoever is further behind has parted

TaskName = tuple[str, int]
"""A name, and which of the tasks of that name, in the order of their spawns."""


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded op.  Attributes: number: its place in the order.  lane: by name; None for any.  value: of a choice.

    event: its number in the record.
    """

    number: int
    event: int
    kind: int
    lane: Lane | None
    value: int = 0

    def conflicts(self, other: Step) -> bool:
        """Say whether the order of two steps of different tasks matters."""
        if self.lane is None or other.lane is None or not (self.kind | other.kind) & 1:
            return False
        if self.lane == other.lane:
            return True
        whole = self.kind in (LOAD, STORE) or other.kind in (LOAD, STORE)  # every bit of a flag word
        return whole and self.lane[:3] == other.lane[:3]


def names_of(names: Iterable[str]) -> Iterator[TaskName]:
    """Yield which task each is, of names in the order of their spawns."""
    seen: Counter[str] = Counter()
    for name in names:
        yield name, seen[name]
        seen[name] += 1


class Recorded:
    """The steps of one record, by task, each task's in order.  Attributes: total: ops among them."""

    def __init__(self, record: Record) -> None:
        rows: list[list[tuple[int, Event]]] = [[] for _ in record.tasks]
        broken: tuple[int, int] | None = None  # where, and by whom
        for number, event in enumerate(record.events):
            if event[1] != NOTE:
                rows[event[0]].append((number, event))
            elif event[2] == "violation":
                broken = number, event[0]
                break
        kept = sorted(entry for row in rows for entry in folded(row))
        names = list(names_of(str(task["name"]) for task in record.tasks))
        self.steps: dict[TaskName, list[Step]] = {name: [] for name in names}
        for place, (number, (task, op, _, b)) in enumerate(kept):
            value = int(b) if op & KIND_MASK == CHOOSE else 0
            self.steps[names[task]].append(Step(place, number, op & KIND_MASK, record.lane(op >> SHIFT), value))
        if broken is not None:
            self.steps[names[broken[1]]].append(Step(len(kept), broken[0], ANY, None))
        self.total = len(kept)


def folded(row: Sequence[tuple[int, Event]]) -> list[tuple[int, Event]]:
    """Return a task's events, with their numbers, without turns of a retry that are as the turn before."""
    starts = [place for place, (_, event) in enumerate(row) if event[1] & KIND_MASK == RETRY]
    if not starts:
        return list(row)
    kept = list(row[: starts[0]])
    before = _deeds(kept)
    for start, end in zip(starts, [*starts[1:], len(row)], strict=True):
        turn = row[start:end]
        now = _deeds(turn[1:])
        if now != before[len(before) - len(now) :]:
            kept += turn
        before = now
    return kept


def _deeds(rows: Sequence[tuple[int, Event]]) -> list[tuple[object, ...]]:
    return [event[1:] for _, event in rows]


class Road:
    """What one task still has to do, in order.  Attributes: astray: ops that it did beside it since its last step."""

    __slots__ = ("astray", "steps")

    def __init__(self, steps: Iterable[Step]) -> None:
        self.steps = deque(steps)
        self.astray = 0


class Roads:
    """What is left of a record for one run that follows it."""

    def __init__(self, recorded: Recorded) -> None:
        self._roads = {name: Road(steps) for name, steps in recorded.steps.items() if steps}
        self._tasks: Mapping[TaskName, Task] = {}
        self._seen = 0

    def in_order(self, tasks: Sequence[Task]) -> list[tuple[Road, Task]]:
        """Return those of a run's tasks that have steps left, each with them, the earliest step first."""
        if self._seen != len(tasks):
            self._seen = len(tasks)
            self._tasks = dict(zip(names_of(task.name for task in tasks), tasks, strict=True))
        rows = []
        for name, road in list(self._roads.items()):
            task = self._tasks.get(name)
            if not road.steps or (task is not None and task.done):
                del self._roads[name]
            elif task is not None:
                rows.append((road, task))
        rows.sort(key=_first_number)
        return rows

    def waits(self, road: Road) -> bool:
        """Say whether a step of another task, still to come, has to come before the next one of this road."""
        step = road.steps[0]
        for other in self._roads.values():
            if other is not road:
                for behind, before in enumerate(other.steps):
                    if before.number > step.number or behind >= BEHIND_MAX:
                        break
                    if step.conflicts(before):
                        return True
        return False


def _first_number(row: tuple[Road, Task]) -> int:
    return row[0].steps[0].number
