"""The steps of one run with what depends on what; and a strategy that does them in another order.

Invariant: two orders of the same steps in which dependent ones keep their order are one class of interleavings
(`strategies/order`), and end the same.  Every CPU counts as contended here: that makes more steps dependent, never
fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mmrace.runs.play import Play
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.places import label
from mmrace.runtime.sites import site_name
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Site, Task
from mmrace.strategies.contract import Draw
from mmrace.strategies.order.daemons import against_daemons
from mmrace.strategies.order.dependence import Footprint, Footprints
from mmrace.strategies.order.partial_order import PartialOrder


def watch(engine: Controlled) -> Footprints:
    """Watch a run that is to be analysed: `runs.play.play(watch=)`."""
    return Footprints(engine, frozenset(cpu.id for cpu in engine.cpus), {})


STANDSTILL = "deadlock"  # how a run ended in which nobody could go on


class Waiting(NamedTuple):
    """A task by its id, the site of the op that it waits to do, and what it would meet others on."""

    task: int
    site: str
    footprint: Footprint


@dataclass(frozen=True)
class Steps:
    """The ops of one run.

    Attributes: tasks, kinds, sites: of each step the task's name, the kind of op, and where it stands.  values: chosen,
    task -> in order.  order: what happens before what.  explored: the steps (first, end) at which a strategy decides.
    waiting: who could not go on at the end, with the op that it waits to do.
    """

    tasks: tuple[str, ...]
    kinds: tuple[int, ...]
    sites: tuple[Site | None, ...]
    values: dict[str, tuple[int, ...]]
    order: PartialOrder
    explored: tuple[int, int]
    waiting: tuple[Waiting, ...] = ()


def footprints_of(played: Play) -> Iterator[tuple[tuple[Any, ...], Footprint]]:
    """Yield each op of a run that was watched, with what it meets others on."""
    engine, footprints = played.engine, played.watched
    assert isinstance(engine, Controlled)
    assert isinstance(footprints, Footprints)
    events, daemons = engine.events, any(task.daemon for task in engine.tasks)
    places = [place for place, event in enumerate(events) if event[1] != NOTE]
    for step, (place, end) in enumerate(zip(places, [*places[1:], len(events)], strict=True)):
        made = against_daemons(engine, place, step) if daemons else []
        made += footprints.of(events[place], step, False)
        noted = [footprints.note(event[2], event[3]) for event in events[place + 1 : end]] if end > place + 1 else ()
        yield events[place], made + [meets for meets in noted if meets is not None] if noted else made


def steps_of(played: Play) -> Steps:
    """Analyse a run that was watched."""
    engine = played.engine
    assert isinstance(engine, Controlled)
    order, values, kinds = PartialOrder(), dict[str, list[int]](), list[int]()
    order.daemons = {task.id for task in engine.tasks if task.daemon}
    for event, footprint in footprints_of(played):
        order.add(event, footprint)
        kinds.append(event[1] & KIND_MASK)
        if kinds[-1] == Kind.CHOOSE:
            values.setdefault(engine.tasks[event[0]].name, []).append(event[3])
    names = tuple(engine.tasks[number].name for number in order.task)
    chosen = {name: tuple(its) for name, its in values.items()}
    sites, waiting = tuple(engine.sites), tuple(_waiting(played))
    return Steps(names, tuple(kinds), sites, chosen, order, engine.explored(), waiting)


def _waiting(played: Play) -> Iterator[Waiting]:
    """Yield who could not go on when a run stood still."""
    engine, footprints = played.engine, played.watched
    assert isinstance(footprints, Footprints)
    if played.how == STANDSTILL:
        for number, _, footprint in footprints.left:
            task = engine.tasks[number]
            yield Waiting(number, label(task.pending, site_name(task.site)), footprint)


class InOrder(BaseStrategy):
    """Has tasks go on in a given order, by name; then as they are drawn, or each while it can.

    Args: strictly: tasks, step by step: one that has to wait ends the run.  then: tasks that follow where they can.
    values: what tasks choose.  draw: of the steps after that.  Attributes: lost: the step at which a task had to wait,
    which the order has; None if none had.
    """

    asked_when_alone = True
    asked_in_fixed_order = True
    needs_sites = True

    def __init__(
        self,
        strictly: Sequence[str],
        then: Iterable[str] = (),
        values: dict[str, tuple[int, ...]] | None = None,
        draw: Draw | None = None,
    ) -> None:
        self._strictly, self._then = strictly, iter(then)
        self._values = {name: iter(chosen) for name, chosen in (values or {}).items()}
        self._draw = draw
        self._run: Controlled | None = None
        self.lost: int | None = None

    def attach(self, run: object) -> None:
        """Take the run, which knows whether its order is fixed."""
        assert isinstance(run, Controlled)
        self._run = run

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task whose turn it is."""
        assert self._run is not None
        if step < len(self._strictly):
            name = self._strictly[step]
            if running.on and running.name == name:
                return running
            for task in enabled:
                if task.name == name:
                    return task
            self.lost = step
            self._run.abandon(f"{self._strictly[step]} has to wait")
        by_name = {task.name: task for task in enabled}
        for name in self._then:
            if name in by_name:
                return by_name[name]
        if self._draw is not None and not self._run.order_fixed:
            return enabled[int(self._draw() * len(enabled))]
        return running if running.on else min(enabled, key=lambda task: task.id)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the value that the task is to choose, as long as one is known; else the ordinary one."""
        value = next(self._values.get(task.name, iter(())), 0)
        return value if value < n else 0
