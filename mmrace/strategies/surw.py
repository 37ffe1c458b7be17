"""Strategy `surw`: uniform over the orders of the accesses to one lane, drawn for each schedule.

First the task that does the next access is drawn (`_intend`), weighed by the accesses that each task still has to do.
Until that task did it, other tasks that come to an access are held.  Invariant: if no task blocks and every run does
the accesses of the profile, all orders of the lane's accesses are equally likely, whatever else the tasks do.

The lane is drawn among those that two tasks touch in either order and one writes, weighed by the number of accesses
that count.  A release or a sleep does not: it comes when its own acquire, or the wake, was (`LaneUse.forced`).  Lanes
are the engine's: LOAD and STORE of a flag word do not count as accesses of its bits.

Which of the tasks that are not held goes on, the lane does not say.  Half of the schedules draw priorities, half weigh
each task by all that it still has to do, as `urw` does: some orders need one, some the other.

A task that yields waits for what others do.  So its turn is over, nobody is held for it, and all priorities are drawn
anew: one that is low would let it go round many times.  The same is done after each `VALVE_STEPS`.

Source: Zhao et al., "Selectively Uniform Concurrency Testing", ASPLOS 2025, section 4 and artefact.
"""

from __future__ import annotations

from mmrace.runtime.kinds import KIND_MASK, SHIFT, YIELD
from mmrace.runtime.strategy import SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Profile, Profiled, Registered
from mmrace.strategies.priorities import Priorities
from mmrace.strategies.urw import Weights, subtrees

VALVE_STEPS = 1024
"""After so many ops all is drawn anew, or a task that spins could keep another waiting for ever."""
WEIGHED = 0.5  # of the schedules; neither rule shows more than the other over many programs
NO_LANE = -1


def draw_lane(draw: Draw, profile: Profile) -> int:
    """Return the lane of one schedule; NO_LANE if no lane is shared and written."""
    lanes = [(lane, use.accesses) for lane, use in profile.lanes.items() if len(use.tasks) > 1 and use.writes]
    rest = draw() * sum(accesses for _, accesses in lanes)
    for lane, accesses in lanes:
        rest -= accesses
        if rest < 0.0:
            return lane
    return NO_LANE


def accesses_of(lane: int, profile: Profile) -> dict[str, float]:
    """Return task -> its accesses to the lane."""
    use = profile.lanes.get(lane)
    return {} if use is None else {task: float(count) for task, count in use.by_task.items()}


class Surw(Drawing):
    """Weights and priorities of one run.

    Args: draw: the stream of the run.  profile: what a run does.
    """

    __slots__ = (
        "_forced",
        "_held",
        "_intend",
        "_lane",
        "_met",
        "_others",
        "_parents",
        "_tasks",
        "_valve",
        "_weights",
        "_whole",
    )
    asked_of_life = False
    asked_when_alone = True
    """An access that was done while it was the only enabled op has to be counted too."""

    def __init__(self, draw: Draw, profile: Profile) -> None:
        super().__init__(draw)
        self._others: Weights | Priorities = Weights(draw, profile) if draw() < WEIGHED else Priorities(draw)
        self._lane = draw_lane(draw, profile)
        self._forced = profile.lanes[self._lane].forced if self._lane in profile.lanes else 0
        self._parents = profile.parents
        self._whole = subtrees(accesses_of(self._lane, profile), profile.parents)
        self._weights: dict[Task, float] = {}
        self._intend: Task | None = None
        self._held = 0  # mask of tasks
        self._valve = VALVE_STEPS
        self._tasks: list[Task] = []
        self._met = 0  # how many of them

    def attach(self, run: SteeredRun) -> None:
        """Take the run's tasks."""
        self._tasks = run.tasks

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a task that is not held, drawn by the rule for other ops."""
        while self._met < len(self._tasks):
            self._meet(self._tasks[self._met])
            self._met += 1
        others = self._others
        shut = step < self._valve
        if not shut:
            self._valve = step + VALVE_STEPS
        yields = running.pending & KIND_MASK == YIELD
        if not shut or (yields and running is self._intend):
            self._let_go()
        if (yields or not shut) and isinstance(others, Priorities):
            others.clear()
        while True:
            held = self._held
            free = [task for task in enabled if not task.bit & held] if held else enabled
            if not free:  # the task that should come next is blocked, or has no access left
                self._let_go()
                continue
            best = others.best(free)
            if (
                best.pending >> SHIFT != self._lane
                or self._forced >> (best.pending & KIND_MASK) & 1
                or self._admit(best, enabled)
            ):
                others.done(best)
                return best

    def _let_go(self) -> None:
        """Hold nobody, and have it drawn anew whose turn it is."""
        self._held = 0
        self._intend = None

    def _admit(self, task: Task, enabled: list[Task]) -> bool:
        """Return whether a task may do its access of the lane now; hold the task if another one has to come first."""
        weights = self._weights
        weights[task] = max(1.0, weights[task])
        if self._intend is None:
            self._intend = self._draw_task(enabled)
        if task is not self._intend:
            self._held |= task.bit
            return False
        weights[task] -= 1.0
        self._let_go()
        return True

    def _draw_task(self, enabled: list[Task]) -> Task:
        weights = self._weights
        able = [task for task in enabled if task.pending & KIND_MASK != YIELD] or enabled
        rest = self._draw() * sum(weights[task] for task in able)
        drawn = able[0]
        for task in able:
            if weights[task]:
                drawn = task
                rest -= weights[task]
                if rest < 0.0:
                    break
        return drawn

    def _meet(self, task: Task) -> None:
        """Weigh a new task.  Until now its parent stood for it, perhaps in the next turn too."""
        weights = self._weights
        name = task.name
        weight = weights[task] = self._whole.get(name, 0.0)
        parent = task.parent
        if parent is None or name not in self._parents:
            return
        before = weights[parent]
        if self._intend is parent and weight and self._draw() * before < weight:
            self._intend = task
        weights[parent] = max(0.0, before - weight)


STRATEGY = Registered("surw", "uniform orders of the accesses to one drawn lane", lambda _: Profiled(Surw))
