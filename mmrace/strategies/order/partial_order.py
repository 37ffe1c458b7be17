"""One run as a partial order: happens-before over its steps, and the races that could be taken the other way round.

`PartialOrder` grows step by step and can be cut back to a prefix, so that a depth-first search analyses only what is
new.  A clock is a number with one bit for each step that happens before (and the step's own), so that joining is `|`
and asking is a shift.

Edges that no schedule can turn (spawn to begin, exit to join, a wake to the sleep that it ends, a release to the
acquire that waited) are no races.  A waiting acquire races with the acquire before it, whichever task released, and is
judged on its clock without the edge from the release; the pair release and acquire does not race.

Invariant: `clock[i]` has bit k exactly if k = i or step k happens before step i.  Source: Abdulla et al., Optimal
dynamic partial order reduction, POPL 2014 (source sets).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, NamedTuple

from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.strategies.order.dependence import ALONE, BIRTH, DROP, GRAB, TAKE, TOUCH, WRITE, Footprint, commute

_BEGIN, _JOIN, _SLEEP = int(Kind.BEGIN), int(Kind.JOIN), int(Kind.SLEEP)
_SPAWN, _EXIT, _WAKE = int(Kind.SPAWN), int(Kind.EXIT), int(Kind.WAKE)


class Race(NamedTuple):
    """Step `first` and a later dependent one of another task; `initials`: ids of who could begin the other order."""

    first: int
    second: int
    task: int  # of the second step
    initials: tuple[int, ...]


class PartialOrder:
    """The steps of one run, in order."""

    def __init__(self) -> None:
        self.task: list[int] = []
        self.footprint: list[Footprint] = []
        self.clock: list[int] = []
        self.of_task: dict[int, list[int]] = {}
        self.lanes: dict[int, list[tuple[int, int, int]]] = {}
        """lane -> (step, mode, task), in order."""
        self.daemons: set[int] = set()
        """Ids of tasks whose end nobody waits for."""
        self.born: set[int] = set()
        """Ids of tasks that are waited for, but were spawned by a daemon or by a task of one."""
        self._edges: dict[tuple[int, int, int], list[int]] = {}
        """(kind, task id, lane) -> steps that let that task go on, or its end; source of edges that are no races."""
        self._undo: list[list[tuple[int, int, int]]] = []

    def __len__(self) -> int:
        return len(self.task)

    def cut(self, length: int) -> None:
        """Forget all steps from `length` on."""
        while len(self.task) > length:
            number = self.task.pop()
            self.of_task[number].pop()
            for lane, _ in self.footprint.pop():
                self.lanes[lane].pop()
            for key in self._undo.pop():
                self._edges[key].pop()
            self.clock.pop()

    def add(self, event: tuple[Any, ...], footprint: Footprint) -> list[Race]:
        """Append a step; return its races with earlier ones, latest first."""
        number, op, a, _ = event
        before = self._before(number, op, a)
        edges = self._ends(self.born) if op & KIND_MASK == _JOIN and a is None and self.born else []
        clock, races = self._look(number, footprint, before, edges)
        self._keep(event, footprint, clock)
        return races

    def would_race(self, number: int, footprint: Footprint) -> list[Race]:
        """Return the races of an op that was announced and not done."""
        return self._look(number, footprint, self._before(number, -1, None), [], waiting=True)[1]

    # -- edges ------------------------------------------------------------------------------------------------------

    def _before(self, number: int, op: int, a: Any) -> int:
        """Return the clock of a step before it is looked at what it shares: its task's, and what let it go on.

        Args: op: -1 if it was not done.
        """
        own = self.of_task.get(number)
        clock = self.clock[own[-1]] if own else 0
        kind = op & KIND_MASK
        if op < 0:
            return clock
        if kind == _BEGIN:
            source = self._edges.get((_SPAWN, number, 0))
        elif kind == _SLEEP:
            source = self._edges.get((_WAKE, number, op >> SHIFT))
        elif kind == _JOIN:
            if a is None:
                for step in self._ends(set(self.of_task) - self.daemons - self.born):
                    clock |= self.clock[step]
                return clock
            source = self._edges.get((_EXIT, a, 0))
        else:
            return clock
        if source:
            clock |= self.clock[source[-1]]
        return clock

    def _ends(self, tasks: Iterable[int]) -> list[int]:
        """Return the last steps of those of `tasks` that ended."""
        ends = (self._edges.get((_EXIT, task, 0)) for task in tasks)
        return [steps[-1] for steps in ends if steps]

    def _keep(self, event: tuple[Any, ...], footprint: Footprint, clock: int) -> None:
        number, op, a, b = event
        kind = op & KIND_MASK
        step = len(self.task)
        self.task.append(number)
        self.of_task.setdefault(number, []).append(step)
        self.footprint.append(footprint)
        self.clock.append(clock | 1 << step)
        lanes = self.lanes
        for lane, mode in footprint:
            history = lanes.get(lane)
            if history is None:
                history = lanes[lane] = []
            history.append((step, mode, number))
        keys: list[tuple[int, int, int]] = []
        if kind == _SPAWN:
            keys.append((_SPAWN, a, 0))
        elif kind == _EXIT:
            keys.append((_EXIT, number, 0))
        elif kind == _WAKE:
            keys.extend((_WAKE, woken, op >> SHIFT) for woken in b)
        for key in keys:
            self._edges.setdefault(key, []).append(step)
        self._undo.append(keys)

    # -- races ------------------------------------------------------------------------------------------------------

    def _look(
        self, number: int, footprint: Footprint, before: int, edges: list[int], waiting: bool = False
    ) -> tuple[int, list[Race]]:
        """Return the clock that a step with this footprint gets (without its own bit), and its races.

        Args: edges: steps that it follows, and would not have to if others had come later.  waiting: it was not done,
        so what it waits for may be held still.
        """
        candidates: list[tuple[int, bool]] = []
        for lane, mode in footprint:
            history = self.lanes.get(lane)
            if history and (len(history) > 1 or history[0][2] != number):
                if waiting and mode in (TAKE, TOUCH) and self._held(history, number, candidates):
                    continue
                self._meet(history, number, mode, candidates, edges)
        clock = before
        races: list[Race] = []
        if candidates or edges:
            candidates.sort(reverse=True)
            edges.sort(reverse=True)
            at = 0
            later: list[int] = []  # what the step follows directly, from `first` on
            for first, waited in candidates:
                while at < len(edges) and edges[at] > first:
                    clock |= self.clock[edges[at]]
                    later.append(edges[at])
                    at += 1
                judged = before if waited else clock
                if not judged >> first & 1:
                    if waited:  # in the other order it follows all of these but what comes by `first`
                        for step in later:
                            if not self.clock[step] >> first & 1:
                                judged |= self.clock[step]
                    initials = self._initials(first, number, judged)
                    if initials:
                        races.append(Race(first, len(self.task), number, initials))
                clock |= self.clock[first]
                later.append(first)
            for edge in edges[at:]:
                clock |= self.clock[edge]
        return clock, races

    @staticmethod
    def _held(history: list[tuple[int, int, int]], number: int, candidates: list[tuple[int, bool]]) -> bool:
        """Say whether what a lane stands for is held by another task; if so, the step that took it is a candidate.

        Who looked at it since (a try that failed) could not do so if our op came first, and must not hide that step.
        """
        for step, mode, holder in reversed(history):
            if mode == DROP:
                return False
            if mode in (TAKE, GRAB):
                if holder != number:
                    candidates.append((step, True))
                return holder != number
        return False

    @staticmethod
    def _meet(
        history: list[tuple[int, int, int]],
        number: int,
        mode: int,
        candidates: list[tuple[int, bool]],
        edges: list[int],
    ) -> None:
        """Collect from one lane's past what a step in `mode` depends on: (step, judged without the lock's edge)."""
        if mode == ALONE:  # before each of the births, who waits for all others could have gone on
            candidates.extend((step, True) for step, mode_, number_ in history if mode_ == BIRTH and number_ != number)
            return
        waits = mode in (TAKE, TOUCH)
        held = False  # going backwards, we are where the lock was held
        for step, mode_, number_ in reversed(history):
            if held:
                # What looked at the lock meanwhile is skipped: our op was disabled then.  The nearest step that took
                # it is the one whose hold the release ended, whichever task released: nobody else could take it
                # between the two.  To look for a step of the releasing task would pass it by.
                if mode_ in (TAKE, GRAB):
                    if number_ != number:
                        candidates.append((step, True))
                    return
                continue
            if commute(mode_, mode):
                continue
            if mode_ == DROP and waits:
                if number_ != number:
                    edges.append(step)
                held = True
                continue
            if number_ != number:
                candidates.append((step, False))
            if mode_ in (WRITE, TAKE, DROP, GRAB):
                return

    def _initials(self, first: int, number: int, before: int) -> tuple[int, ...]:
        """Return the tasks that can begin the order in which step `first` comes after an op of task `number`.

        That order has all steps after `first` that do not follow from it, then the op; `before` is the op's clock
        without what comes by `first`.  A task can begin it if nothing in there happens before its own first step.
        """
        found = []
        clock = self.clock
        for task, steps in self.of_task.items():
            place = bisect_right(steps, first)
            if place < len(steps):
                step = steps[place]
                if not (clock[step] >> first) & ((1 << step - first) - 1):
                    found.append(task)
            elif task == number and not before >> first + 1:
                found.append(task)
        if number not in self.of_task and not before >> first + 1:
            found.append(number)
        return tuple(found)
