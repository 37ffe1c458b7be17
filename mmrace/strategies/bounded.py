"""The walk of `preemption`, `delay` and `enumerate`: depth first through the tree of schedules, cheapest ones first.

Every schedule is a run from the start: along the stack of choices made before, then by each node's first choice.  A
choice costs what it takes away from the default schedule; bound 0, 1, 2, ... limits the total.  The order at a node is
round-robin by creation from the running task on, so that the default schedule never preempts.  What a choice costs is
up to the subclass, each in its own file.

A task about to YIELD gives its turn away, so it stands last in the order: to switch there is free, to stay costs 1
(delay: the others that are skipped).  To forbid staying, as CHESS does, would lose schedules for good.  A value of
`choose` costs 0 if it is the ordinary one (0), else 1: free values would multiply the schedules of bound 0.  Where a
task begins, ends, starts or joins another is no place for a switch: it would give the same run again.

Invariant: a schedule is `new` at exactly one bound, its cost; when `next` returns None and `exhausted` is true, every
schedule was run.  Not explored: fixed order, accesses that are not promoted, and what follows `steps_max`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from mmrace.runtime import live
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import InternalError, NondeterminismError
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task
from mmrace.runtime.wording import op_text
from mmrace.strategies.contract import Standing

YIELD = int(Kind.YIELD)

Choice = tuple[int, int]
"""(position in the enabled list, or value of `choose`; its cost)."""


class _Node:
    """One place where there was a choice: who stood there with which op, and what is left to try."""

    __slots__ = ("at", "choices", "ids", "ops", "step")

    def __init__(self, step: int, ids: list[int], ops: list[int], choices: Sequence[Choice]) -> None:
        self.step = step
        self.ids = ids
        self.ops = ops  # pending ops of `ids`; of a value's node the CHOOSE op and the range
        self.choices = choices
        self.at = 0


class Walk(BaseStrategy):
    """The walk; a subclass says what each choice costs.

    Args: bound_max: last bound to explore.
    Attributes: bound: the one being explored.  new: bound -> schedules of that cost that were run.  runs: all runs,
    repeated ones too.  last_is_new: whether the last learned run counts.  exhausted: the tree is done at every bound.
    """

    asked_of_life = False

    def __init__(self, bound_max: int) -> None:
        self.bound_max = bound_max
        self.bound = 0
        self.new: dict[int, int] = {0: 0}
        self.runs = 0
        self.last_is_new = False
        self.exhausted = False
        self._nodes: list[_Node] = []
        self._prefix = 0  # nodes that the run must pass again
        self._depth = 0  # nodes passed in this run
        self._spent = 0  # cost of this run so far
        self._pruned = False  # a choice was too dear for this bound
        self._waits = False  # a run was handed out and not learned
        self._error: NondeterminismError | None = None

    def order(self, enabled: list[Task], running: Task) -> Sequence[Choice]:
        """Return every position in `enabled` with its cost; one of cost 0 comes first."""
        raise NotImplementedError

    def values(self, n: int) -> Sequence[Choice]:
        """Return every value in range(n) with its cost."""
        return [(value, min(value, 1)) for value in range(n)]

    # -- the tree ---------------------------------------------------------------------------------------------------

    def next(self) -> Walk | None:
        """Return the strategy of the next run (this object); None after the last bound, or when the tree is done."""
        if self._waits:
            raise InternalError("a systematic search was asked for a schedule before it learned of the last one")
        if self.exhausted or (self.runs and not self._advance() and not self._deepen()):
            return None
        self._prefix = len(self._nodes)
        self._depth = self._spent = 0
        self._waits = True
        return self

    def learn(self, engine: Controlled) -> None:
        """Take in the run.  Raises NondeterminismError if it left the path that it was to repeat."""
        self._waits = False
        if self._error is not None:
            raise self._error
        if self._depth < self._prefix:
            node = self._nodes[self._depth]
            self._error = NondeterminismError(node.step, _describe(node.ids, node.ops, engine), "the end of the run")
            raise self._error
        self.runs += 1
        self.last_is_new = self._spent == self.bound
        self.new[self.bound] += self.last_is_new

    def standing(self) -> Standing:
        """Say how far the walk got."""
        return Standing(self.exhausted, new=self.last_is_new, bound=self.bound)

    def _advance(self) -> bool:
        """Go to the next leaf within the bound; return False after the last one."""
        nodes = self._nodes
        while nodes:
            nodes[-1].at += 1
            if nodes[-1].at < len(nodes[-1].choices):
                return True
            nodes.pop()
        return False

    def _deepen(self) -> bool:
        """Begin the next bound; return False after the last one, or when the tree is done."""
        self.exhausted = not self._pruned
        if self.exhausted or self.bound >= self.bound_max:
            return False
        self.bound += 1
        self.new[self.bound] = 0
        self._pruned = False
        return True

    # -- one run ----------------------------------------------------------------------------------------------------

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task of the path, or of a new node's first choice.  Raises NondeterminismError."""
        ids = [task.id for task in enabled]
        ops = [task.pending for task in enabled]
        if self._depth < self._prefix:
            node = self._again(step, ids, ops)
        else:
            node = self._grow(_Node(step, ids, ops, self.order(enabled, running)))
        return enabled[self._take(node)]

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the value of the path, or the ordinary one.  Raises NondeterminismError."""
        ids, ops = [task.id], [task.pending, n]
        if self._depth < self._prefix:
            node = self._again(step, ids, ops)
        else:
            node = self._grow(_Node(step, ids, ops, self.values(n)))
        return self._take(node)

    def _again(self, step: int, ids: list[int], ops: list[int]) -> _Node:
        node = self._nodes[self._depth]
        if node.step != step or node.ids != ids or node.ops != ops:
            self._diverge(node, step, ids, ops)
        return node

    def _grow(self, node: _Node) -> _Node:
        left = self.bound - self._spent
        within = [choice for choice in node.choices if choice[1] <= left]
        if len(within) < len(node.choices):
            node.choices = within
            self._pruned = True
        self._nodes.append(node)
        return node

    def _take(self, node: _Node) -> int:
        value, cost = node.choices[node.at]
        self._depth += 1
        self._spent += cost
        return value

    def _diverge(self, node: _Node, step: int, ids: list[int], ops: list[int]) -> NoReturn:
        engine = live.engine
        expected, got = _describe(node.ids, node.ops, engine), _describe(ids, ops, engine)
        if node.step != step:
            expected, got = f"at step {node.step} {expected}", f"at step {step} {got}"
        self._error = NondeterminismError(node.step, expected, got)
        raise self._error


def in_turn(enabled: list[Task], running: Task) -> list[int]:
    """Return the positions in round-robin order from the running task on, or from behind it if it yields."""
    first = running.id + (running.pending & KIND_MASK == YIELD)
    return sorted(range(len(enabled)), key=lambda position: (enabled[position].id < first, enabled[position].id))


def _describe(ids: list[int], ops: list[int], engine: object) -> str:
    record = Record.of_run(engine, {}, {})
    if len(ops) > len(ids):
        return f"{record.task_name(ids[0])}: a choice out of {ops[1]}"
    names = (record.task_name(number) if number < len(record.tasks) else f"task {number}" for number in ids)
    pairs = (f"{name}: {op_text(op, record)}" for name, op in zip(names, ops, strict=True))
    return "enabled {" + ", ".join(pairs) + "}"
