"""Strategy `dpor`: source-DPOR with sleep sets; every class of interleavings once, and an end.

A depth-first search over the explored part of a program.  A node is the state before one step; it remembers who was
enabled, whom the races ask for (`wanted`), who was tried (`done`), and who sleeps with which footprint.  After each run
the races of its new steps put a task that can begin the other order on the node where it has to begin.  A `choose` is
a step with a branch for each of its values.

A run in which all enabled tasks sleep is abandoned, for it can only repeat a class.  Its races count all the same.

What a run kept from being done counts too:

* A task that waits when the run ends races with the step that keeps it waiting, in an abandoned run as well.  The
  sleepers stand for runs in which they come first.  Those need not show the waiting task before the one that holds what
  it waits for: a sleeper's step may have ended them, or have kept the same task waiting.
* A step that ends the run is dependent on all steps that others could have done in its place, so all others are tried
  there.  For a violation or an exception that is enough, as it is the whole outcome: a step of another task that
  changes nothing for it may as well come before it, so each is met in a longest run.  Whoever wants to know how far
  the others got by then (`ends_meet`) has it meet each step of theirs.
* Where daemons are, the last exit ends the run before they are done, and how far they got is part of the outcome.  So
  their steps and the exit meet on a lane of their own.  A standstill cuts nobody off: the daemons had their turn.  If a
  daemon spawns a task that is waited for, that puts off the end, and a join of all others.

If a CPU turns out to be contended (an interrupt came where tasks live, or several tasks do) and the footprints so far
took no notice of that, the search starts again.

Not explored: fixed order; what follows `steps_max`; which of several uses of the same freed memory comes first (the
first one ends the run).

Invariant: as long as the search goes on, the next run's prefix is the stack; a prefix that does not repeat itself is a
NondeterminismError.  Source: Abdulla et al., Optimal dynamic partial order reduction, POPL 2014, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import NondeterminismError, UsageError
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.strategy import BaseStrategy, SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Registered, Standing
from mmrace.strategies.order.daemons import against_daemons, of_daemon
from mmrace.strategies.order.dependence import BROKEN_LANE, READ, WRITE, Footprint, Footprints, independent
from mmrace.strategies.order.partial_order import PartialOrder, Race

_FRAME = frozenset(map(int, (Kind.BEGIN, Kind.JOIN, Kind.EXIT)))
BROKEN = frozenset(("violation", "crash"))
CUT_OFF = BROKEN | {"finished"}
"""Ends of runs in which others could have gone on: all of them after a violation or an exception of the program, the
daemons after the last exit."""
RESTARTS_MAX = 64  # contended CPUs are discovered one or more a restart; no machine of the model has as many


class Node:
    """The state before one step; masks have a bit for each task id."""

    __slots__ = (
        "branches", "chosen", "done", "enabled", "event", "gated", "n", "pending", "sleep", "step", "value", "wanted",
    )  # fmt: skip

    def __init__(self, enabled: int, sleep: dict[int, Footprint]) -> None:
        self.enabled = enabled
        self.sleep = sleep
        self.wanted = 0
        self.done = 0
        self.chosen = -1
        self.pending = -1
        self.gated = False
        self.event = 0  # place of its step in the run's events
        self.step = 0  # its number in the whole run
        self.value, self.n = 0, 0  # of a choose
        self.branches: Footprint = []  # what the step met with the values tried so far


@dataclass(slots=True)
class Counts:
    """How far a search got."""

    runs: int = 0
    classes: int = 0  # runs that came to an end of their own
    blocked: int = 0  # runs abandoned because all enabled tasks slept
    restarts: int = 0
    steps: int = 0


class Dpor(BaseStrategy):
    """The search; a `Systematic`, and the strategy of its own runs.

    Args: ends_meet: how far the others got when a rule was broken, or an exception came, is part of the outcome too.
    Attributes: counts; exhausted: nothing is left; order: the last run as a partial order.
    """

    asked_when_alone = True

    def __init__(self, *, ends_meet: bool = False) -> None:
        self.counts = Counts()
        self.exhausted = False
        self._ends_meet = ends_meet
        self.order = PartialOrder()
        self._nodes: list[Node] = []
        self._replayed = 0  # nodes whose choice is given
        self._depth = 0
        self._enough: int | None = None  # steps of the run at hand that are taken for all of it
        self._end: Footprint = []  # what a step met that ended the last run without being done
        self._asleep_at_end = 0  # who could go on when the run was abandoned
        self._contended: frozenset[int] = frozenset()
        self._notes: dict[tuple[Any, Any], int] = {}
        self._engine: SteeredRun = None  # type: ignore[assignment]
        self._footprints: Footprints = None  # type: ignore[assignment]

    # -- systematic -------------------------------------------------------------------------------------------------

    def next(self) -> Dpor | None:
        """Return itself, set for the next run; None when nothing is left."""
        if self.exhausted:
            return None
        self._depth = self._asleep_at_end = 0
        return self

    def standing(self) -> Standing:
        """Say how far the search got."""
        return Standing(self.exhausted, restarts=self.counts.restarts, reduced=True)

    def attach(self, run: SteeredRun) -> None:
        """Take the run that begins."""
        self._engine = run
        self._footprints = Footprints(run, self._contended, self._notes)

    def enough(self, steps: int) -> None:
        """Take so many steps of the run that is learned next for all of it: nothing else is tried behind them."""
        self._enough = steps

    def learn(self, engine: Controlled) -> None:
        """Analyse the run and go back to the deepest node that has something left."""
        counts = self.counts
        counts.runs += 1
        counts.steps += self._depth
        abandoned = engine.end.get("how") == "abandoned"
        if abandoned:
            counts.blocked += 1
        elif self._depth < self._replayed:
            raise NondeterminismError(self._depth, f"{self._replayed} steps", f"the end after {self._depth}")
        new = self._footprints.crowded(self._playing())
        if not new <= self._contended:
            self._restart(frozenset(new) | self._contended)
            return
        self.order.daemons = daemons = {task.id for task in engine.tasks if task.daemon}
        self.order.born = {task.id for task in engine.tasks if daemons and not task.daemon and of_daemon(task)}
        self._analyse(engine)
        if not abandoned:
            counts.classes += 1
        if self._enough is not None:
            self._leave(self._enough)
            self._enough = None
        self._back()

    def _playing(self) -> set[int]:
        """Return the tasks that did something in the explored part, or still had to.

        To begin, wait for others and end is nothing for the main task, unless its end cuts off daemons.
        """
        frame = _FRAME if not any(task.daemon for task in self._engine.tasks) else frozenset()
        playing = {node.chosen for node in self._nodes if node.chosen or node.pending & KIND_MASK not in frame}
        left = self._footprints.left
        playing.update(number for number, op, _ in left if number or op & KIND_MASK not in frame)
        return playing

    def _restart(self, contended: frozenset[int]) -> None:
        if self.counts.restarts == RESTARTS_MAX:
            raise UsageError(expected="a program with a fixed set of CPUs", got=sorted(contended), where="dpor")
        self._contended = contended
        self.counts = Counts(restarts=self.counts.restarts + 1)
        self.order = PartialOrder()
        self._nodes = []
        self._replayed = 0

    # -- strategy ---------------------------------------------------------------------------------------------------

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task that the stack names; below the stack one that is awake, the running task if it can go on."""
        depth = self._depth
        self._depth = depth + 1
        engine = self._engine
        mask = engine.mask
        if depth < self._replayed:
            node = self._nodes[depth]
            chosen = engine.tasks[node.chosen]
            node.event = len(engine.events)
            if node.enabled != mask:
                raise NondeterminismError(depth, f"enabled {node.enabled:b}", f"enabled {mask:b}")
            if node.pending >= 0 and chosen.pending != node.pending:
                raise NondeterminismError(depth, f"{chosen.name} about to {node.pending}", f"to {chosen.pending}")
        else:
            node = Node(mask, self._asleep(depth))
            node.event = len(engine.events)
            sleep = node.sleep
            if running.on and running.id not in sleep:
                chosen = running
            else:
                awake = [task for task in enabled if task.id not in sleep]
                if not awake:
                    self._depth = depth
                    self._asleep_at_end = mask
                    engine.abandon("all enabled tasks sleep")
                chosen = min(awake, key=_by_id)
            node.chosen = chosen.id
            node.wanted = chosen.bit
            self._nodes.append(node)
        node.step = step
        node.pending = chosen.pending
        node.gated = chosen.gate is not None
        return chosen

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the value whose turn it is; `n` is how many there are."""
        node = self._nodes[self._depth - 1]
        node.n = n
        return node.value

    def _asleep(self, depth: int) -> dict[int, Footprint]:
        """Return the tasks that slept at the node before and still sleep after its step."""
        if not depth:
            return {}
        before = self._nodes[depth - 1]
        sleep = before.sleep
        if not sleep:
            return sleep
        footprint = self._footprint(depth - 1, self._engine.events, len(self._engine.events))
        if self._ends_meet:
            footprint = [*footprint, (BROKEN_LANE, READ)]
        mine = before.chosen
        return {task: its for task, its in sleep.items() if task != mine and independent(its, footprint)}

    # -- analysis ---------------------------------------------------------------------------------------------------

    def _footprint(self, depth: int, events: list[Any], end: int) -> Footprint:
        """Return the footprint of a node's step: its event, and the notes after it up to `end`."""
        node = self._nodes[depth]
        place = node.event
        made = against_daemons(self._engine, place, node.step) if self.order.daemons else []
        if place < end and events[place][1] != NOTE:
            made += self._footprints.of(events[place], node.step, node.gated)
            place += 1
        while place < end:
            event = events[place]
            if event[1] != NOTE:
                break
            noted = self._footprints.note(event[2], event[3])
            if noted is not None:
                made.append(noted)
            place += 1
        return made

    def _analyse(self, engine: Controlled) -> None:
        """Ask for the other order of each race of the run's new steps, and of what the run kept from being done."""
        events = engine.events
        how = engine.end.get("how")
        nodes, order = self._nodes, self.order
        end = self._broken() if nodes and self._ends_meet and how in BROKEN else []
        for depth in range(len(order), len(nodes)):
            node = nodes[depth]
            last = depth + 1 == len(nodes)
            if node.event >= len(events) or events[node.event][1] == NOTE:
                break  # the op raised before it was done
            footprint = self._footprint(depth, events, len(events) if last else nodes[depth + 1].event)
            for race in order.add(events[node.event], footprint + end if last else footprint):
                self._ask(race)
        raised = nodes[-1].chosen if len(order) < len(nodes) else -1  # whose op was not done
        if nodes and how in CUT_OFF:
            nodes[-1].wanted |= nodes[-1].enabled
        for number, _, footprint in self._footprints.left:
            if not self._asleep_at_end >> number & 1:
                for race in order.would_race(number, footprint + end if number == raised else footprint):
                    self._ask(race)
        self._end = end

    def _broken(self) -> Footprint:
        """Return what a step that ends the run meets beside its own: the last step of each task, and so all of them."""
        order = self.order
        begun = len(order)
        events = self._engine.events
        last = {task: steps[-1] for task, steps in order.of_task.items() if steps}
        nodes = self._nodes
        for depth in range(begun, len(nodes)):
            if nodes[depth].event < len(events) and events[nodes[depth].event][1] != NOTE:
                last[nodes[depth].chosen] = depth
        last.pop(nodes[-1].chosen, None)
        order.lanes[BROKEN_LANE] = sorted((step, READ, task) for task, step in last.items())
        return [(BROKEN_LANE, WRITE)]

    def _ask(self, race: Race) -> None:
        """Make sure that a task that can begin the other order is tried at the node of the race's first step."""
        node = self._nodes[race.first]
        bits = 0
        for task in race.initials:
            if task in node.sleep:
                return
            bits |= 1 << task
        if bits & node.wanted:
            return
        bits &= node.enabled
        if bits:
            node.wanted |= 1 << race.task if bits >> race.task & 1 else bits & -bits

    def _leave(self, enough: int) -> None:
        """Take the step before `enough` for the end of the run, as if it had broken a rule."""
        nodes = self._nodes
        while nodes and nodes[-1].step >= enough:
            nodes.pop()
            self._end = []
        self.order.cut(min(len(nodes), len(self.order)))
        if nodes:
            nodes[-1].wanted |= nodes[-1].enabled

    def _back(self) -> None:
        """Go to the deepest node with a branch left; without one the search is over."""
        nodes, order = self._nodes, self.order
        while nodes:
            node = nodes[-1]
            depth = len(nodes) - 1
            met = order.footprint[depth] if depth < len(order) else self._end
            self._end = []
            if node.value + 1 < node.n:
                node.value += 1
                node.branches = node.branches + met
                break
            node.sleep = {**node.sleep, node.chosen: node.branches + met}
            node.value, node.n, node.branches = 0, 0, []
            node.done |= 1 << node.chosen
            left = node.wanted & ~node.done
            while left and (left & -left).bit_length() - 1 in node.sleep:
                left &= left - 1
            if left:
                node.chosen = (left & -left).bit_length() - 1
                node.pending = -1
                break
            nodes.pop()
        self._replayed = len(nodes)
        order.cut(max(0, len(nodes) - 1))
        if not nodes:
            self.exhausted = True


def _by_id(task: Task) -> int:
    return task.id


STRATEGY = Registered(
    "dpor", "every class of interleavings once: source-DPOR with sleep sets", lambda _: Dpor(), kind="walk"
)
