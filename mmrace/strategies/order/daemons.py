"""Daemons in the dependence relation: what their steps and the end of a run are to each other.

The run does not wait for a daemon, so how far it got is part of the outcome.  Its steps meet the steps after which they
come too late: the exit that ends the run, and the step behind which fixed order begins.  A task that a daemon spawns is
waited for if it is no daemon itself: its birth puts off the end, and lets a join of all others wait.

Invariant: what a step gets here depends on what was done before it, not on what comes after it.  An exit that is the
last one in one order of independent exits, and not in another, is no fault: one of them is the last in each order.
"""

from __future__ import annotations

from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.strategy import SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.order.dependence import ALIVE_LANE, ALONE, BIRTH, END_LANE, READ, WRITE, Footprint


def against_daemons(run: SteeredRun, place: int, step: int) -> Footprint:
    """Return what a step meets because of daemons.  Args: place: of its event among the run's; step: its number."""
    tasks, events = run.tasks, run.events
    number, op, a, _ = events[place]
    kind = op & KIND_MASK
    made: Footprint = []
    if tasks[number].daemon:
        made.append((END_LANE, READ))
        if kind == Kind.SPAWN and not tasks[a].daemon:
            made.append((ALIVE_LANE, BIRTH))
    elif kind == Kind.EXIT:
        ended = {event[0] for event in events[: place + 1] if event[1] & KIND_MASK == Kind.EXIT}
        left = [task for task in tasks if not task.daemon and task.id not in ended]
        if not left:
            made.append((END_LANE, WRITE))
        elif all(of_daemon(task) for task in left):
            made.append((ALIVE_LANE, ALONE))  # before they were born it would have been the end
    if step + 1 in run.windows[::2]:
        made.append((END_LANE, WRITE))  # fixed order follows: what daemons do later, it does not see
    return made


def of_daemon(task: Task) -> bool:
    """Say whether a daemon spawned the task, or a task of a daemon did."""
    parent = task.parent
    return parent is not None and (parent.daemon or of_daemon(parent))
