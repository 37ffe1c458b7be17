"""Strategy `random-delays`: fair order without preemption, but for a few delays at random points.

A task runs until it blocks, yields or ends; then the next by id, cyclically, has its turn.  A delay skips the task
that would run.  Invariant: a schedule has at most `bound` delays: their number is drawn from 1..bound, the point of
each uniformly.  Unless it is given, the bound grows with the tasks, since it takes a delay to pass each of them over;
and one beyond what passes every task over at every point is cut to that: a schedule costs no more than its run.
`delay.py` enumerates what is sampled here.

Source: Emmi, Qadeer, Rakamaric, "Delay-bounded scheduling", POPL 2011.
"""

from __future__ import annotations

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Options, Profile, Profiled, Registered

BOUND_MIN = 3  # most bugs that are known need one or two delays, of two tasks or three
_YIELD = int(Kind.YIELD)


def next_after(enabled: list[Task], task: Task) -> Task:
    """Return the next enabled task by id, cyclically."""
    number = task.id
    first = best = None
    for other in enabled:
        if first is None or other.id < first.id:
            first = other
        if other.id > number and (best is None or other.id < best.id):
            best = other
    found = best or first
    assert found is not None
    return found


class RandomDelays(Drawing):
    """Delays of one run.

    Args: draw: the stream of the run.  delays: how many.  points: the points of a run.
    """

    __slots__ = ("_count", "_delays", "_next")
    asked_of_life = False

    def __init__(self, draw: Draw, delays: int, points: int) -> None:
        super().__init__(draw)
        k = max(1, points)
        self._delays = sorted((1 + int(draw() * k) for _ in range(delays)), reverse=True)
        self._next = self._delays[-1] if delays else 0
        self._count = 0

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the running task while it can go on, else the next one; skip one task for each delay that is due."""
        task = running if running.on and running.pending & KIND_MASK != _YIELD else next_after(enabled, running)
        if len(enabled) == 1:
            return task
        self._count += 1
        while self._count == self._next:
            task = next_after(enabled, task)
            self._delays.pop()
            self._next = self._delays[-1] if self._delays else 0
        return task


def sampler(options: Options) -> Profiled:
    """Make the sampler.  Option: bound: of the delays; 0: as many as tasks, 3 at least.  Raises UsageError."""
    bound = int(options["bound"])
    if bound < 0:
        raise UsageError(expected="a bound >= 1, or 0 for one that grows", got=bound, where="random-delays:bound")

    def strategy(draw: Draw, profile: Profile) -> RandomDelays:
        tasks = max(BOUND_MIN, len(profile.ops))
        most = min(bound or tasks, tasks * max(1, profile.points))
        return RandomDelays(draw, 1 + int(draw() * most), profile.points)

    return Profiled(strategy)


STRATEGY = Registered(
    "random-delays",
    "turns without preemption, but for up to `bound` random delays; bound 0: as many as tasks",
    sampler,
    {"bound": 0},
)
