"""Busy waits: a task that does the same over and over, to see the same again, until somebody else gets on.

Whoever waits in the kernel sleeps, gives way, or looks at a lock-free structure until it changes, and the record says
so; who does none of it burns its CPU, and with it, on a kernel without preemption, the one that it waits for.
Invariant: of a round every op, what it found and what it left are as in the round before; what gives way, or tells that
it got something done, begins anew: an actor may find nothing to do in many of its own rounds.
Not checked: waits of fewer than `ROUNDS_MIN` rounds, rounds of more than `ROUND_OPS_MAX` ops or without a look that
comes once, and those in which somebody else's writes show.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.standstill import PROGRESS

ROUNDS_MIN = 15
"""Rounds that are no accident: loops of the model that end by themselves do fewer alike; a pagevec that has one page in
all its fourteen places is gone through place by place."""
ROUND_OPS_MAX = 64
"""Ops of one round: more than any loop of the model takes that looks for something to come true."""
_GIVES_WAY = frozenset(
    map(int, (Kind.YIELD, Kind.SLEEP, Kind.QUEUE, Kind.RETRY, Kind.BEGIN, Kind.EXIT, Kind.CHOOSE, Kind.JOIN))
)
_LOOKS = frozenset(
    map(int, (Kind.READ, Kind.TEST, Kind.LOAD, Kind.COUNT, Kind.TRY, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR))
)
"""Kinds: a task gave way, and it learnt something."""
_ALIKE = re.compile(f"(.{{1,{ROUND_OPS_MAX}}}?)\\1{{{ROUNDS_MIN - 1},}}", re.DOTALL)


class BusyWait(NamedTuple):
    """Rounds alike of one task, from step `first` to step `last`."""

    task: int
    first: int
    last: int
    rounds: int
    ops: tuple[int, ...]


def busy_waits(record: Record) -> Iterator[BusyWait]:
    """Yield each."""
    for task, steps in _stretches(record):
        events = [record.events[step] for step in steps]
        letters: dict[tuple[Any, ...], str] = {}
        text = "".join(letters.setdefault(_key(record, event), chr(len(letters))) for event in events)
        for found in _ALIKE.finditer(text):
            first, length = found.start(), len(found[1])
            rounds = (found.end() - first) // length
            ops = tuple(event[1] for event in events[first : first + length])
            yield BusyWait(task, steps[first], steps[found.end() - 1], rounds, ops)


def _stretches(record: Record) -> Iterator[tuple[int, list[int]]]:
    """Yield what each task did between two times that it gave way, where some look came back steadily."""
    events = record.events
    for before, task, after in sorted(_suspects(record)):
        steps = [step for step in range(after + 1, before) if events[step][0] == task and events[step][1] != NOTE]
        if _steady([events[step][1] for step in steps]):
            yield task, steps


def _suspects(record: Record) -> set[tuple[int, int, int]]:
    """Return (when it gave way next, task, when it did last) where a task looked at one thing `ROUNDS_MIN` times.

    Few looks come back that often at all, so only these are compared with when their task gave way.
    """
    who = record.who
    gave_way: list[list[int]] = [[-1] for _ in record.tasks]
    for step in sorted([*record.steps(*_GIVES_WAY), *record.steps_on((), notes=(PROGRESS,))]):
        gave_way[who[step]].append(step)
    for times in gave_way:
        times.append(len(who))
    found: set[tuple[int, int, int]] = set()
    for steps in chain.from_iterable(record.steps_by_lane(kind).values() for kind in _LOOKS):
        if len(steps) >= ROUNDS_MIN:
            whose = itemgetter(*steps)(who)
            for task in (task for task in set(whose) if whose.count(task) >= ROUNDS_MIN):
                mine = [step for step, other in zip(steps, whose, strict=True) if other == task]
                found.update((before, task, after) for after, before in _often(mine, gave_way[task]))
    return found


def _often(looks: list[int], gave_way: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the times of giving way, one after the other, between which there are `ROUNDS_MIN` looks."""
    at = 0
    while at + ROUNDS_MIN <= len(looks):
        i = bisect(gave_way, looks[at])
        if looks[at + ROUNDS_MIN - 1] < gave_way[i]:
            yield gave_way[i - 1], gave_way[i]
        at = bisect(looks, gave_way[i], at)


def _steady(ops: list[int]) -> bool:
    """Say whether a look came back at the same distance so often that it may be a round."""
    often = {op for op, times in Counter(ops).items() if times >= ROUNDS_MIN and op & KIND_MASK in _LOOKS}
    seen: dict[int, tuple[int, int, int]] = {}  # op -> where it was last, how far from the time before, how often so
    for at, op in enumerate(ops) if often else ():
        if op in often:
            before, gap, times = seen.get(op, (at, 0, -1))
            times = times + 1 if at - before == gap else 1
            seen[op] = at, at - before, times
            if times >= ROUNDS_MIN - 1 and at - before <= ROUND_OPS_MAX:
                return True
    return False


def _key(record: Record, event: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an event without its task, comparable: what an op found and left by name."""
    _, op, old, new = event
    return op, _plain(record, old), _plain(record, new)


def _plain(record: Record, value: object) -> object:
    return value if value is None or type(value) in (int, bool, str) else str(record.name(value))
