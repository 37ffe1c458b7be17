"""Are there schedules with fewer turning points and choices that fail?  A walk over all of them, as far as time allows.

The walk is that of `strategies/bounded.py`, by the measure of `strategies/guided.py`: to leave the default schedule
costs 1, and so does each value that is not the ordinary one.  Bound 0, 1, 2, ... finds the fewest first; when it comes
to the end of all bounds below a schedule's cost, that schedule has the fewest there are.

Not tried is to leave a task just before an op that meets no other task's: right behind it the same is possible, at the
same cost, and no step in between can tell.  Which ops meet others is learned from the runs: where one was passed over
that turns out to, its bound is walked again from the start.  Invariant: if the walk ends, every schedule within its
bounds is of one class with one that was run.  Not walked: fixed order, and what follows the bound of a run in ops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from typing import TypeAlias

from mmrace.runs.play import Play
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.task import Site, Task
from mmrace.search.minimise.in_order import footprints_of, watch
from mmrace.search.minimise.trials import Spent, Trial, Trials, case_of
from mmrace.strategies.bounded import Choice, Walk
from mmrace.strategies.order.dependence import commute

Deed: TypeAlias = tuple[str, Site | None, int]
"""A task, where it stands, and the kind of its op: what an op is known by from run to run."""
NEVER_LOCAL = frozenset({Kind.SPAWN, Kind.EXIT, Kind.JOIN})  # whom a step was there for, and who waits for whom


class TurnBounded(Walk):
    """Every schedule by how often it leaves the default one; see the module docstring.

    Attributes: meeting: deeds that met another task's in some run.
    """

    asked_of_life = True
    needs_sites = True

    def __init__(self, bound_max: int) -> None:
        super().__init__(bound_max)
        self.meeting: set[Deed] = set()
        self._passed_over: set[Deed] = set()
        self._restart = False

    def order(self, enabled: list[Task], running: Task) -> Sequence[Choice]:
        """Return the default task, then, unless its op meets nobody's, the others for 1 each."""
        default = running if running.on else min(enabled, key=lambda task: task.id)
        first = enabled.index(default)
        deed = _deed(default.name, default.site, default.pending)
        if deed[2] not in NEVER_LOCAL and deed not in self.meeting:
            self._passed_over.add(deed)
            return [(first, 0)]
        return [(first, 0), *((place, 1) for place in range(len(enabled)) if place != first)]

    def met(self, deeds: set[Deed]) -> None:
        """Take in which deeds met others in a run; walk the bound again if one of them was passed over."""
        if deeds & self._passed_over:
            self._passed_over.clear()
            self._restart = True
        self.meeting |= deeds

    def _advance(self) -> bool:
        if self._restart:
            self._restart = self._pruned = False
            self._nodes.clear()
            return True
        return super()._advance()


def _deed(task: str, site: Site | None, op: int) -> Deed:
    return task, site, op & KIND_MASK


def fewest(trials: Trials, trial: Trial) -> tuple[Trial, bool | None]:
    """Return a failing trial with the fewest steps, and True, if a walk came to its end; else the given one, and None.

    Raises nothing: a budget that is used up leaves it open.
    """
    if not trial.case.cost:
        return trial, True
    walk = TurnBounded(trial.case.cost - 1)
    try:
        while walk.next() is not None:
            trials.budget.take()
            with trials.played(trial.case, walk, watch=watch) as played:
                assert isinstance(played.engine, Controlled)
                if played.engine.bounded_at is not None:
                    return trial, None
                walk.learn(played.engine)
                walk.met(meeting(played, walk.meeting))
                if trials.judged(played):
                    found = trials.of(case_of(played.record, trial.case.params, trial.case.seed))
                    return (found, True) if found.fails else (trial, None)
    except Spent:
        return trial, None
    return trial, True


def meeting(played: Play, known: Set[Deed]) -> set[Deed]:
    """Return the deeds of a run, those known apart, that met another task's in modes that do not commute."""
    engine = played.engine
    assert isinstance(engine, Controlled)
    names = [task.name for task in engine.tasks]
    lanes: dict[int, dict[tuple[int, int], list[Deed]]] = {}
    for (event, footprint), site in zip(footprints_of(played), engine.sites, strict=False):
        number = event[0]
        deed = _deed(names[number], site, event[1])
        new = deed not in known
        for key in footprint:
            met = lanes.setdefault(key[0], {}).setdefault((number, key[1]), [])
            if new:
                met.append(deed)
    return {deed for met in lanes.values() if len(met) > 1 for deed in _shared(met)}


def _shared(met: dict[tuple[int, int], list[Deed]]) -> Iterator[Deed]:
    """Yield the deeds of one lane that do not commute with another task's there."""
    for (task, mode), deeds in met.items():
        if deeds and any(task != task_ and not commute(mode, mode_) for task_, mode_ in met):
            yield from deeds
