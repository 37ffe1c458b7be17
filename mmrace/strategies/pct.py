"""Strategy `pct`: random priorities, and d - 1 points at which the task that would run falls below all others.

Invariant: the task that runs has the highest priority of the enabled ones.  A bug of depth d (d - 1 ordering
constraints beyond "who starts") in a program of n tasks and k points is found with chance >= 1 / (n * k**(d - 1)).
Points are counted only where at least two tasks are enabled and none has an op of its life to do: elsewhere a change
would be wasted.  k is more than any run is known to have: the ops beside which another task could come, whether it was
there in the profiled runs or not.  No two changes fall on one point: the second would undo the first.

Source: Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010.  The
paper has no yields: a task that arrives at one falls below everybody, or its spinning would never end.
"""

from __future__ import annotations

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Drawing, Options, Profile, Profiled, Registered
from mmrace.strategies.priorities import Priorities

DEPTH_MIN, DEPTH_MAX = 2, 10  # of a drawn depth: without a change there are few orders; deeper is beyond the guarantee
SHALLOWEST = 1 / 3  # of the runs have DEPTH_MIN, the others each deeper one with equal chances
# In a long program only d = 2 promises anything, and this much of that is kept.  In a short one many changes find more
# than few, whatever the depth of the bug (`stress/bench/samplers.py`): so deep runs are not given up.
_YIELD = int(Kind.YIELD)


def distinct(draw: Draw, count: int, k: int) -> list[int]:
    """Return `count` different numbers of 1..k, or all of them if there are no more, each order equally likely."""
    drawn: list[int] = []
    for _ in range(min(count, k)):
        place = 1 + int(draw() * (k - len(drawn)))
        for other in sorted(drawn):
            place += place >= other
        drawn.append(place)
    return drawn


class Pct(Drawing):
    """Priorities of one run.

    Args: draw: the stream of the run.  depth: d >= 1.  points: k, the points of a run.
    """

    __slots__ = ("_changes", "_count", "_low", "_next", "_priority")
    asked_of_life = False

    def __init__(self, draw: Draw, depth: int, points: int) -> None:
        super().__init__(draw)
        # (point, i), latest first; whoever is demoted there gets priority -i, so that a later demotion can be to a
        # higher priority than an earlier one, as in the paper
        places = distinct(draw, depth - 1, max(1, points))
        self._changes = sorted(((place, i) for i, place in enumerate(places, start=1)), reverse=True)
        self._next = self._changes[-1][0] if self._changes else 0
        self._count = 0
        self._low = -float(depth)
        self._priority = Priorities(draw)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the enabled task of the highest priority, after the change that is due here."""
        if running.pending & KIND_MASK == _YIELD:
            self._low -= 1.0
            self._priority[running] = self._low
        if len(enabled) == 1:
            return enabled[0]
        self._count += 1
        if self._count == self._next:
            self._priority[self._priority.best(enabled)] = -float(self._changes.pop()[1])
            self._next = self._changes[-1][0] if self._changes else 0
        return self._priority.best(enabled)


def drawn_depth(draw: Draw) -> int:
    """Return a depth: DEPTH_MIN in a share SHALLOWEST of the runs, else any up to DEPTH_MAX, with equal chances."""
    deeper = (draw() - SHALLOWEST) / (1.0 - SHALLOWEST)
    if deeper < 0.0:
        return DEPTH_MIN
    return DEPTH_MIN + 1 + int(deeper * (DEPTH_MAX - DEPTH_MIN))


def sampler(options: Options) -> Profiled:
    """Make the sampler.  Option: depth: d; 0: drawn for each schedule (`drawn_depth`).  Raises UsageError."""
    depth = int(options["depth"])
    if depth < 0:
        raise UsageError(expected="a depth >= 1, or 0 for drawn ones", got=depth, where="pct:depth")

    def strategy(draw: Draw, profile: Profile) -> Pct:
        return Pct(draw, depth or drawn_depth(draw), profile.points)

    return Profiled(strategy)


STRATEGY = Registered(
    "pct", "random priorities with depth - 1 changes; depth 0: drawn, 2 most often", sampler, {"depth": 0}
)
