"""A record, sorted out for whoever tells its story: what each task and each lane did, who held which lock when.

One pass over the events makes the lists; every question is then a look into one of them, so that a record of a hundred
thousand events takes a second.  Invariant: all that is said comes from the record.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from mmrace.oracles.general.locks import lock_bits
from mmrace.runtime.kinds import (
    ACQUIRE,
    ADD,
    CLEAR,
    COUNT,
    DEQUEUE,
    FREEZE,
    GET,
    GET_UNLESS_ZERO,
    KIND_MASK,
    LOAD,
    NOTE,
    PUT,
    QUEUE,
    READ,
    RELEASE,
    SET,
    SHIFT,
    SLEEP,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    UNFREEZE,
    WAKE,
    WRITE,
)
from mmrace.runtime.record import Record
from mmrace.story.tenures import Tenure, tenures_of

WRITES = frozenset({
    WRITE, STORE, SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR, GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE,
    ADD,
})  # fmt: skip
"""Kinds that change what a later look sees; one that failed does not."""
LOOKS = frozenset({READ, TEST, LOAD, COUNT})
_FAILS_IF = {TEST_AND_SET: True, FREEZE: False, GET_UNLESS_ZERO: 0, TRY: False}
HELPER_OPS = 2  # of a function, in a record: one with more does something of its own
HELPER_CALLERS = 4  # of a function: one with so many is everybody's
TAKES = frozenset({ACQUIRE, TRY, TEST_AND_SET})
_QUEUES = frozenset({QUEUE, SLEEP, DEQUEUE})
DROPS = frozenset({RELEASE, CLEAR, TEST_AND_CLEAR})

Words: TypeAlias = Callable[[Sequence[Any]], str]
"""Says what a note says, from its facts, objects by name."""


class Scene:
    """The events of a record by task and by lane, and the locks.

    Args: roles: what a task plays, by the first part of its name, for sentences.  notes: what a kind of note says.
    """

    def __init__(
        self, record: Record, roles: Mapping[str, str] | None = None, notes: Mapping[str, Words] | None = None
    ) -> None:
        self.record = record
        self.events = record.events
        self.sites = record.sites
        self.roles = roles or {}
        self.notes = notes or {}
        self.of_task: list[list[int]] = [[] for _ in record.tasks]
        self.of_lane: defaultdict[int, list[int]] = defaultdict(list)
        for step, (task, op, _, _) in enumerate(record.events):
            if op != NOTE:
                self.of_task[task].append(step)
                self.of_lane[op >> SHIFT].append(step)
        self.end = len(record.events)
        self.begins = self._set_up()
        self.ids = {str(task["name"]): int(task["id"]) for task in record.tasks}

    # -- names ---------------------------------------------------------------------------------------------------

    def who(self, step: int) -> str:
        """Name the task of an event."""
        return self.record.task_name(self.events[step][0])

    def short(self, lane: int) -> str:
        """Name a lane without the field of a bit: "box:0.LOCKED"."""
        found = self.record.lane(lane)
        if found is None:
            return f"lane:{lane}"
        _, owner, field, sub = found
        if sub.startswith("["):
            return f"{owner}.{field}{sub}"
        return ".".join(part for part in (owner, sub or field) if part)

    def owner(self, lane: int) -> str:
        """Name the object of a lane."""
        found = self.record.lane(lane)
        return found[1] if found else f"lane:{lane}"

    def functions(self, step: int) -> list[str]:
        """Return the functions of an event's site, the outer one first; empty if sites were not kept."""
        site = self.sites[step] if step < len(self.sites) else None
        return [part.partition(":")[0] for part in site.split(" > ")] if site else []

    def function(self, step: int) -> str:
        """Return the function that an op stands in, of a helper's its caller's; "" if nobody knows."""
        functions = self.functions(step)
        if len(functions) > 1 and functions[-1] in self._helpers:
            return functions[-2]
        return functions[-1] if functions else ""

    def call(self, step: int) -> str:
        """Return the functions around an op, without helpers: "caller > function"."""
        functions = self.functions(step)
        return " > ".join(functions[:-1] if len(functions) > 1 and functions[-1] in self._helpers else functions)

    def inside(self, step: int) -> str:
        """Say where, after a comma: ", in update"; "" if nobody knows."""
        function = self.function(step) if step < self.end else ""
        return f", in {function}" if function else ""

    def at(self, step: int) -> str:
        """Say when and where: "step 12, in update"."""
        return f"step {step}{self.inside(step)}"

    @cached_property
    def _helpers(self) -> frozenset[str]:
        """Functions that do one or two ops for whoever calls them, such as a lock's own: what counts is the caller."""
        places: dict[str, set[str]] = {}
        callers: dict[str, set[str]] = {}
        for site in {*self.sites}:
            caller, called, place = (site or "").rpartition(" > ")
            if called:
                name = place.partition(":")[0]
                places.setdefault(name, set()).add(place)
                callers.setdefault(name, set()).add(caller)
        above = frozenset().union(*callers.values()) if callers else frozenset()
        return frozenset(
            name
            for name, found in places.items()
            if (len(found) <= HELPER_OPS and name not in above) or len(callers[name]) >= HELPER_CALLERS
        )

    def _set_up(self) -> int:
        """Return the step at which a strategy was asked first: before it the program sets the stage."""
        explored = self.record.header.get("explored")
        if not isinstance(explored, list | tuple) or not explored:
            return 0
        first, ops = int(explored[0]), 0
        for step, event in enumerate(self.events):
            if ops >= first:
                return step
            ops += event[1] != NOTE
        return 0

    # -- neighbours ----------------------------------------------------------------------------------------------

    def kind(self, step: int) -> int:
        """Return the kind of an op; NOTE for a note."""
        op: int = self.events[step][1]
        return op if op == NOTE else op & KIND_MASK

    def lane(self, step: int) -> int:
        """Return the lane of an op; -1 of a note."""
        op = self.events[step][1]
        return -1 if op == NOTE else op >> SHIFT

    def before(self, task: int, step: int) -> int | None:
        """Return the last op of a task before a step."""
        mine = self.of_task[task]
        i = bisect_left(mine, step)
        return mine[i - 1] if i else None

    def after(self, task: int, step: int) -> int | None:
        """Return the next op of a task after a step."""
        mine = self.of_task[task]
        i = bisect_right(mine, step)
        return mine[i] if i < len(mine) else None

    def on(self, lane: int, first: int = 0, end: int | None = None) -> list[int]:
        """Return the ops on a lane from step `first` on, before `end`; on a bit, plain stores of its word too."""
        steps = self.of_lane.get(lane, [])
        word = self._words.get(lane)
        if word is not None:
            stores = [step for step in self.of_lane.get(word, ()) if self.kind(step) == STORE]
            steps = sorted([*steps, *stores]) if stores else steps
        return steps[bisect_left(steps, first) : bisect_left(steps, self.end if end is None else end)]

    def done(self, step: int) -> bool:
        """Say whether an op that may fail succeeded."""
        kind = self.kind(step)
        if kind not in _FAILS_IF:
            return True
        _, _, a, b = self.events[step]
        outcome: object = b if kind in (FREEZE, GET_UNLESS_ZERO) else a
        return outcome != _FAILS_IF[kind]

    def changes(self, step: int) -> bool:
        """Say whether an op changed what its lane holds."""
        kind, (_, _, a, b) = self.kind(step), self.events[step]
        if kind in (SET, TEST_AND_SET):
            return not a
        if kind in (CLEAR, TEST_AND_CLEAR):
            return bool(a)
        if kind in (WRITE, STORE):
            return bool(self.record.name(a) != self.record.name(b))
        return kind in WRITES and self.done(step)

    def last_write(self, lane: int, step: int) -> int | None:
        """Return the last op before a step that wrote a lane."""
        return next((at for at in reversed(self.on(lane, 0, step)) if self.kind(at) in WRITES and self.done(at)), None)

    def find(self, name: str) -> int | None:
        """Return the lane of a full name; None if no op was on it."""
        return self._by_name.get(name)

    def lanes_named(self, owner: str) -> list[int]:
        """Return the lanes of an object that were touched, in order."""
        return sorted(lane for lane in self.record.lanes_of([owner]) if lane in self.of_lane)

    # -- locks and wakes -----------------------------------------------------------------------------------------

    @cached_property
    def locks(self) -> frozenset[int]:
        """The lanes of all locks of the record."""
        return lock_bits(self.record).lanes | {*self.record.steps_by_lane(ACQUIRE), *self.record.steps_by_lane(TRY)}

    @cached_property
    def tenures(self) -> dict[int, list[Tenure]]:
        """By lane of a lock: who held it from when to when, in order."""
        return tenures_of(self.record, self.locks)

    def holder(self, lane: int, step: int) -> Tenure | None:
        """Return who holds a lock just before a step."""
        found = self.tenures.get(lane, [])
        i = bisect_left(found, step, key=lambda tenure: tenure.taken)
        if not i:
            return None
        last = found[i - 1]
        return last if last.released is None or last.released >= step else None

    def held(self, task: int, step: int) -> list[Tenure]:
        """Return what a task took before a step and holds there, in the order of taking."""
        found = [tenure for tenure in self._by_task[task] if tenure.taken < step and tenure.held_at(step)]
        return sorted(found)

    @cached_property
    def woken_by(self) -> dict[int, int]:
        """By step of a sleep's end: the step of the wake that ended it."""
        found: dict[int, int] = {}
        last: dict[int, int] = {}
        for step in self.record.steps(SLEEP, WAKE):
            task, op, _, woken = self.events[step]
            if op & KIND_MASK == WAKE:
                last.update(dict.fromkeys(woken or (), step))
            elif task in last:
                found[step] = last.pop(task)
        return found

    @cached_property
    def _by_task(self) -> list[list[Tenure]]:
        found: list[list[Tenure]] = [[] for _ in self.record.tasks]
        for tenures in self.tenures.values():
            for tenure in tenures:
                found[tenure.task].append(tenure)
        return found

    @cached_property
    def _by_name(self) -> dict[str, int]:
        return {self.record.lane_name(lane): lane for lane in self.of_lane}

    @cached_property
    def _words(self) -> dict[int, int]:
        """By lane of a bit: that of its whole word, if somebody stored it."""
        stored = self.record.steps_by_lane(STORE)
        of_word = {self.record.lane(lane): lane for lane in stored}
        found = {}
        for lane in self.of_lane if stored else ():
            entry = self.record.lane(lane)
            if entry is not None and entry[3] and (word := of_word.get((*entry[:3], ""))) is not None:
                found[lane] = word
        return found

    def asleep(self, task: int) -> tuple[int, int] | None:
        """Return on which queue a task is at the end, and since which step; None if on none, or woken already."""
        since = next((step for step in reversed(self.of_task[task]) if self.kind(step) in _QUEUES), None)
        if since is None or self.kind(since) != QUEUE:
            return None
        lane = self.lane(since)
        wakes = (step for step in self.on(lane, since) if self.kind(step) == WAKE)
        return None if any(task in (self.events[step][3] or ()) for step in wakes) else (lane, since)

    # -- order ---------------------------------------------------------------------------------------------------

    @cached_property
    def _ops(self) -> list[int]:
        """By event: how many ops there are before it."""
        counted, found = 0, []
        for event in self.events:
            found.append(counted)
            counted += event[1] != NOTE
        return found

    def enabled(self, step: int) -> int | None:
        """Return the set of tasks that were enabled when an op was picked; None if nobody can tell."""
        at = next((i for i in range(step, self.end) if self.events[i][1] != NOTE), None)
        number = self._ops[at] if at is not None else len(self._ops and self.record.masks)
        masks = self.record.masks
        return masks[number] if number < len(masks) else None
