"""Small programs whose schedules can be counted by hand, and what runs them.

A `Plan` is one tuple of ops for each task: (cell, whether it writes).  `Trimmed` does all that is no op of the plan
(begin, spawn, exit) at once and without asking, so that the strategy under test sees the plan and nothing else.
An order is the tuple of the tasks' numbers, one for each op of the plan that was done.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.strategy import BaseStrategy, SteeredRun, Strategy
from mmrace.runtime.task import Task
from mmrace.strategies import registry
from mmrace.strategies.contract import Draw, LaneUse, Profile, Sampler

Op = tuple[int, bool]
Plan = tuple[tuple[Op, ...], ...]
Order = tuple[int, ...]
Program = Callable[[], object]

ENGINE: Callable[..., Controlled] = FiberEngine
STEPS_MAX = 20_000
CELLS = 8
FRAME = frozenset(map(int, (Kind.BEGIN, Kind.SPAWN, Kind.EXIT)))


class Cells(rt.Struct):
    """Cells to meet on, and a lock."""

    words = rt.words(0)
    lock = rt.spinlock()


def cells() -> Cells:
    """Make `CELLS` cells, all 0."""
    return Cells("cells", words=CELLS)


def R(cell: int = 0) -> Op:
    """Read a cell."""
    return cell, False


def W(cell: int = 0) -> Op:
    """Write a cell."""
    return cell, True


class Trimmed(BaseStrategy):
    """Asks a strategy about ops of the program's own only, and as an engine would."""

    asked_when_alone = True

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner

    def attach(self, run: SteeredRun) -> None:
        """Pass the run on."""
        self.inner.attach(run)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the inner strategy's value."""
        return self.inner.choose(task, n, step)

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a task at an op of the frame, else the strategy's."""
        for task in enabled:
            if task.pending & KIND_MASK in FRAME:
                return task
        if len(enabled) == 1 and not self.inner.asked_when_alone:
            return enabled[0]
        return self.inner.pick(enabled, running, step)


def sampler(text: str) -> Sampler:
    """Make a sampler by the text of the command line."""
    return registry.sampler(text)


def stream(*seed: object) -> Draw:
    """Return a seeded stream."""
    return random.Random("/".join(map(str, seed))).random


def run(main: Program, strategy: Strategy, trimmed: bool = True, **options: Any) -> Controlled:
    """Run a program; raise what its tasks raised."""
    options = {"steps_max": STEPS_MAX, **options}
    engine = ENGINE(Trimmed(strategy) if trimmed else strategy, **options)
    engine.run(main)
    if engine.error is not None:
        raise engine.error
    return engine


def play(plan: Plan) -> Program:
    """Return the program of a plan; task i is called "ti"."""

    def main() -> None:
        words = cells().words
        for number, ops in enumerate(plan):
            rt.spawn(_body, words, ops, name=f"t{number}")

    return main


def _body(words: rt.Words, ops: tuple[Op, ...]) -> None:
    for cell, writes in ops:
        if writes:
            words.write(cell, 1)
        else:
            words.read(cell)


def ops_of(engine: Controlled) -> Iterator[tuple[str, int]]:
    """Yield (task, op) for each op that is not of the frame."""
    for event in engine.events:
        if event[1] != NOTE and event[1] & KIND_MASK not in FRAME:
            yield engine.tasks[event[0]].name, event[1]


def order_of(engine: Controlled) -> Order:
    """Return the order of a run of tasks t0, t1, ..."""
    return tuple(int(name[1:]) for name, _ in ops_of(engine))


def orders(text: str, plan: Plan, runs: int, profile: Profile | None = None) -> Counter[Order]:
    """Count the orders that a sampler draws of a plan, seeds 0, 1, ..."""
    made, main = sampler(text), play(plan)
    drawn = (made.strategy(stream(text, seed), profile or profile_of(plan)) for seed in range(runs))
    return Counter(order_of(run(main, strategy)) for strategy in drawn)


def profile_of(plan: Plan, points: int | None = None) -> Profile:
    """Return what a profiled run of a plan shows; points: all ops, unless given.  Lanes are left out."""
    ops = {f"t{number}": len(ops) for number, ops in enumerate(plan)}
    return profile(ops, points=sum(ops.values()) if points is None else points)


def profile(
    ops: dict[str, int], parents: dict[str, str] | None = None, points: int = 0, lanes: dict[int, LaneUse] | None = None
) -> Profile:
    """Make a profile."""
    return Profile(ops, parents or {}, points, lanes or {}, "digest")


def lane_of_cell(cell: int) -> int:
    """Return the lane that a cell has in every program of this file."""
    found: list[int] = []

    def main() -> None:
        words = cells().words
        found.append((words.code >> SHIFT) + cell)

    run(main, sampler("random").strategy(stream(0), None))
    return found[0]
