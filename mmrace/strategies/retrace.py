"""Strategy `retrace`: do under control what free threads did, as their record tells it; then, if asked, draw the rest.

At each point the earliest recorded step is done whose task can go on and is about to do an op of that kind on the same
object, if nothing that it conflicts with has to come before (`order/recorded.py`).  Values of `choose` are those of the
record, task by task.  A task that is about to do something else has *parted* from the record: what it does instead is
looked for among its next steps, and if it is not there, it is done beside them.

With `until=N`, only ops before the Nth follow the record, and the sampler `then` draws those from there on: a search
from a point that both runs have in common.  `turn` is which of the many schedules that begin there.

Invariant: the same record, options and draws give the same run; each step is taken once, so that a task that parted
holds nobody up for ever.  Not known: what a run depends on beside its ops and choices.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import JOIN, KIND_MASK, SHIFT, Kind
from mmrace.runtime.lanes import Lane, LiveLanes, lane_name
from mmrace.runtime.record import Record
from mmrace.runtime.sites import site_name
from mmrace.runtime.strategy import BaseStrategy, Followed, SteeredRun, Strategy
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Draw, Options, Registered, Unprofiled
from mmrace.strategies.order.recorded import ANY, Recorded, Road, Roads, Step
from mmrace.strategies.pos import Pos
from mmrace.strategies.random_walk import RandomWalk
from mmrace.strategies.text import StrategyText

NAME = "retrace"
WHAT = "recorded ops"
WHOLE = -1  # as `until`: all of it
AHEAD_MAX = 64
"""Steps of its own in which a task that parted is looked for, and ops after which it is no more waited for at one step:
those of a call or two."""
LEFT_MAX = 3  # partings that are told: what comes after the first follows from it
POS = "pos"
SAMPLERS: Mapping[str, Callable[[Draw], Strategy]] = {POS: Pos, "random": RandomWalk}
"""What can draw the rest: samplers that need no profile, which is counted over whole runs."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a run left its record: at op `step` of the run, `task` was to do `expected` and was about to do `got`.

    `expected` is "" of a task that did what it was to do, but before others that should have come first.
    """

    step: int
    task: str
    site: str
    expected: str
    got: str

    def __str__(self) -> str:
        where = f"parted at op {self.step:,}: {self.task}, at {self.site},"
        if not self.expected:
            return f"{where} did {self.got} before others that come first in the record"
        return f"{where} was about to do {self.got}, and in the record did {self.expected}"


@dataclass(slots=True)
class Way:
    """How far a run followed.

    Attributes: done: steps that were done.  total: steps that there are.  partings: where it left the record, in order.
    last: task -> the op of the run at which it last did a step of the record.  over: the first op of the run at which
    nothing was left to be done, or nothing that could be; None if that did not come.
    """

    total: int
    done: int = 0
    partings: list[Parting] = field(default_factory=list)
    last: dict[str, int] = field(default_factory=dict)
    over: int | None = None


class Retrace(BaseStrategy):
    """Follows the order of one record for one run.  Args: until: ops that follow it.  then: draws those from there on.

    Attributes: way: how far it followed.
    """

    asked_when_alone = True
    asked_in_fixed_order = True
    needs_sites = True

    def __init__(self, recorded: Recorded, until: int = WHOLE, then: Strategy | None = None) -> None:
        self.way = Way(recorded.total)
        self._roads = Roads(recorded)
        self._until, self._then = until, then
        self._run: SteeredRun | None = None
        self._lanes = LiveLanes(())
        self._value = 0  # of the choice that is about to be made

    def attach(self, run: SteeredRun) -> None:
        """Take the run, whose tasks and objects are known by name."""
        self._run = run
        if self._then is not None:
            self._then.attach(run)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task of the earliest recorded step that can be done."""
        assert self._run is not None
        if step >= self._until >= 0:
            if self._then is not None and not self._run.order_fixed:
                return self._then.pick(enabled, running, step)
            return _default(enabled, running)
        self._value = 0
        early: tuple[Road, Task] | None = None
        for road, task in self._roads.in_order(self._run.tasks):
            if not task.on:
                continue
            if not self._comes_next(road, task, step):
                return task  # it parted, or joins others
            if not self._roads.waits(road):
                return self._do(road, task, step)
            early = early or (road, task)
        if early is not None:
            road, task = early
            self._part(None, task, step)
            return self._do(road, task, step)
        if self.way.over is None:
            self.way.over = step
        return _default(enabled, running)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the recorded value; the ordinary one if there is none, or one that is drawn."""
        assert self._run is not None
        if step >= self._until >= 0:
            return 0 if self._then is None or self._run.order_fixed else self._then.choose(task, n, step)
        return self._value if self._value < n else 0

    def followed(self) -> Followed:
        """Count the steps that were done, and say where the run left the record."""
        way = self.way
        left = [str(parting) for parting in way.partings[:LEFT_MAX]]
        if self._until >= 0:
            left.append(f"followed for {self._until:,} ops, and then drawn")
        return Followed(way.done, way.total, WHAT, tuple(left))

    # -- steps ------------------------------------------------------------------------------------------------------

    def _comes_next(self, road: Road, task: Task, step: int) -> bool:
        """Say whether a task is about to do the next step of its road, having given up those that it passed by."""
        steps = road.steps
        if self._is(steps[0], task):
            return True
        joins = task.pending & KIND_MASK == JOIN
        while steps and steps[0].kind == JOIN:  # of all others: here one op, under `free` one for each
            steps.popleft()
            self.way.done += 1
        if joins or not steps:
            return False
        if self._is(steps[0], task):
            return True
        self._part(steps[0], task, step)
        for ahead, other in enumerate(steps):
            if ahead >= AHEAD_MAX:
                break
            if self._is(other, task):
                for _ in range(ahead):
                    steps.popleft()
                return True
        road.astray += 1
        if road.astray > AHEAD_MAX:
            steps.popleft()
        return False

    def _do(self, road: Road, task: Task, step: int) -> Task:
        done = road.steps.popleft()
        road.astray = 0
        self._value = done.value
        self.way.done += done.kind != ANY
        self.way.last[task.name] = step
        return task

    def _is(self, step: Step, task: Task) -> bool:
        pending = task.pending
        return step.kind == ANY or (pending & KIND_MASK == step.kind and self._lane(pending) == step.lane)

    def _lane(self, op: int) -> Lane | None:
        found = self._lanes.lane(op >> SHIFT)
        if found is None:  # of an object that was made since
            assert self._run is not None
            self._lanes = LiveLanes(self._run.objects)
            found = self._lanes.lane(op >> SHIFT)
        return found

    def _part(self, expected: Step | None, task: Task, step: int) -> None:
        got = _text(task.pending & KIND_MASK, self._lane(task.pending))
        wanted = "" if expected is None else _text(expected.kind, expected.lane)
        site = site_name(task.site) or "its begin or end"
        self.way.partings.append(Parting(step, task.name, site, wanted, got))


def _default(enabled: list[Task], running: Task) -> Task:
    return running if running.on else min(enabled, key=lambda task: task.id)


def _text(kind: int, lane: Lane | None) -> str:
    name = "something against a rule" if kind == ANY else Kind(kind).name.lower()
    return name if lane is None else f"{name} {lane_name(lane)}"


# -- as a text --------------------------------------------------------------------------------------------------------


def drawing(then: str, turn: int, draw: Draw) -> Strategy:
    """Return what draws the rest of a run.  Args: turn: which of many such runs.  Raises UsageError."""
    if then not in SAMPLERS:
        known = " or ".join(SAMPLERS)
        raise UsageError(expected=f"{NAME}:then={known}", got=then, where="--strategy")
    return SAMPLERS[then](random.Random(f"{draw()}/{turn}").random)


def text(path: str, until: int = WHOLE, then: str = POS, turn: int = 0) -> str:
    """Return the text of the strategy.  Args: path: of the record."""
    options = [f"record={quote(path, safe='/')}"]
    if until != WHOLE:
        options += [f"until={until}", f"then={then}", f"turn={turn}"]
    return f"{NAME}:{','.join(options)}"


def with_record(text_: str, path: str) -> str:
    """Return a text of this strategy with another record.  Raises UsageError for a text that is none."""
    options = StrategyText.of(text_).options(STRATEGY.options)
    until, then, turn = int(options["until"]), str(options["then"]), int(options["turn"])
    return text(path, until, then, turn)


def sampler(options: Options) -> Unprofiled:
    """Make the sampler.  Options: record: the file of a record.  until, then, turn: see above.  Raises UsageError."""
    path = unquote(str(options["record"]))
    until, then, turn = int(options["until"]), str(options["then"]), int(options["turn"])
    if not path:
        raise UsageError(expected=f"{NAME}:record=FILE", got="no file", where="--strategy")
    drawing(then, turn, lambda: 0.0)
    recorded = Recorded(Record.read(path))
    return Unprofiled(lambda draw: Retrace(recorded, until, drawing(then, turn, draw) if until >= 0 else None))


STRATEGY = Registered(
    NAME,
    "the order of a record of free threads; with until=N, that of its first N ops, and the sampler `then` after them",
    sampler,
    {"record": "", "until": WHOLE, "then": POS, "turn": 0},
)
