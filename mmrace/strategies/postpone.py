"""Strategy `postpone`: make a predicted lock-order cycle happen (after DeadlockFuzzer, PLDI 2009).

Each task of the cycle wants one lock while it holds another.  A task that is about to take the lock that it wants is
postponed, until all tasks of the cycle stand there: each then holds what the next one wants.  Other ops, and all ops
after that, are picked at random.  If only postponed tasks can go on, a random one of them passes once.

Invariant: the same draws give the same schedule; a draw is made only where there is a choice.  A cycle names lanes, so
its locks must be made where the order is fixed.  Not known: whether a bit lock was taken or only tried.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.strategy import SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Options, Registered, Unprofiled

_TAKES = frozenset(map(int, (Kind.ACQUIRE, Kind.TEST_AND_SET, Kind.SLEEP, Kind.JOIN)))
_HOLDS = frozenset(map(int, (Kind.ACQUIRE, Kind.TEST_AND_SET, Kind.TRY)))
_DROPS = frozenset(map(int, (Kind.RELEASE, Kind.CLEAR)))
_WANT = re.compile(r"([^@\s]+)@(\d+)(?:/(\d+))?")


class Want(NamedTuple):
    """Postpone `task` before it takes `lane`; only while it holds `held`, if that is given.

    A sleeping bit lock has two lanes, its bit and its queue: one Want for each.
    """

    task: str
    lane: int
    held: int | None = None


def parse_wants(text: str) -> tuple[Want, ...]:
    """Read ``TASK@LANE/HELD+TASK@LANE/HELD``, /HELD being optional.  Raises UsageError."""
    wants = []
    for part in text.split("+"):
        match = _WANT.fullmatch(part.strip())
        if match is None:
            raise UsageError(
                expected="TASK@LANE or TASK@LANE/HELD, joined by +",
                got=part,
                where="postpone",
                try_="cycle=writer@40/12+reader@12/40",
            )
        task, lane, held = match.groups()
        wants.append(Want(task, int(lane), None if held is None else int(held)))
    return tuple(wants)


class Postpone(Drawing):
    """Postpones the tasks of one cycle for one run.

    Args: wants: see `Want`; pairs (task, lane) will do.
    """

    asked_when_alone = True

    def __init__(self, wants: Sequence[tuple[str, int] | Want], draw: Draw) -> None:
        self._wants: dict[str, list[Want]] = {}
        for want in wants:
            self._wants.setdefault(want[0], []).append(Want(*want))
        super().__init__(draw)
        self._held: dict[str, set[int]] = {name: set() for name in self._wants}
        self._watched = {want.held for each in self._wants.values() for want in each}
        self._met = False
        self._tasks: Sequence[Task] = ()

    def attach(self, run: SteeredRun) -> None:
        """Take the list of the run's tasks, which grows with the run."""
        self._tasks = run.tasks

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a random task that is not postponed; if all are, a random one of them."""
        if not self._met:
            self._met = self._all_there()
        free = enabled if self._met else [task for task in enabled if not self._there(task)]
        task = self._pick_any(free or enabled)
        self._follow(task)
        return task

    def _pick_any(self, tasks: list[Task]) -> Task:
        return tasks[int(self._draw() * len(tasks))] if len(tasks) > 1 else tasks[0]

    def _there(self, task: Task) -> bool:
        wants = self._wants.get(task.name)
        if not wants or task.done or task.pending & KIND_MASK not in _TAKES:
            return False
        lane, held = task.pending >> SHIFT, self._held[task.name]
        return any(want.lane == lane and (want.held is None or want.held in held) for want in wants)

    def _all_there(self) -> bool:
        return {task.name for task in self._tasks if self._there(task)} == self._wants.keys()

    def _follow(self, task: Task) -> None:
        """Note which lock a task of the cycle takes or drops by its pending op."""
        lane, kind = task.pending >> SHIFT, task.pending & KIND_MASK
        if lane in self._watched and task.name in self._held:
            if kind in _HOLDS:
                self._held[task.name].add(lane)
            elif kind in _DROPS:
                self._held[task.name].discard(lane)


def sampler(options: Options) -> Unprofiled:
    """Make the sampler.  Option: cycle: see `parse_wants`.  Raises UsageError."""
    wants = parse_wants(str(options["cycle"]))
    return Unprofiled(lambda draw: Postpone(wants, draw))


STRATEGY = Registered(
    "postpone", "random walk that heads for a cycle of locks, TASK@LANE/HELD+TASK@LANE/HELD", sampler, {"cycle": ""}
)
