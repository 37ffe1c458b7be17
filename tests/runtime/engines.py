"""Every way to run a small program, for the contract tests: what holds must hold on each engine.

`SETUPS` lists them: `gate` and `fiber` with random walks and with fair turns, `free` with every noise profile.  A
program is a function that plays the main task; an assertion that fails inside a task fails the test.  In a quick tier
one way on each engine is enough.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.noise import PROFILES, Noise
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin, Strategy
from mmrace.strategies.random_walk import RandomWalk

Program = Callable[[], object]

NCPUS = 4
STEPS_MAX = 200_000  # ops; no correct program of these tests comes near
FREE_STEPS_MAX = 5_000_000  # a task that polls while another waits for the interpreter does many
EXPLORED = 60  # seeds: a two-way race of few ops is missed by all of them with chance far below 1e-6


class Flag(IntEnum):
    """Bits of a box's flag word."""

    LOCKED = 0
    DIRTY = 1
    WAITERS = 2
    SPIN = 3


class Box(rt.Struct):
    """One of everything that a struct of the model can hold."""

    x = rt.shared(0)
    y = rt.shared(0)
    link: Any = rt.shared(None)
    count = rt.refcount()
    flags = rt.flag_word(Flag, waitable=(Flag.LOCKED, Flag.DIRTY))
    spin = rt.spinlock()
    other = rt.spinlock()
    mutex = rt.mutex()
    queue = rt.wait_queue()
    number = rt.atomic()
    mark: int = rt.ghost(0)
    words = rt.words(0)


def box(number: int = 0, words: int = 2, **values: Any) -> Box:
    """Make a box, "box:0" if not told otherwise."""
    return Box(("box", number), words=words, **values)


@dataclass(slots=True)
class Outcome:
    """What came of a run."""

    engine: Controlled | FreeEngine
    record: Record

    @property
    def how(self) -> str:
        """How it ended."""
        return str(self.record.end["how"])

    @property
    def detail(self) -> dict[str, Any]:
        """Why it ended so."""
        found: dict[str, Any] = self.record.end["detail"]
        return found

    def ops(self, *kinds: Kind, task: str | None = None) -> list[tuple[str, Kind, str, Any, Any]]:
        """Return the ops as (task, kind, lane, a, b) with names; all kinds and all tasks unless told."""
        found = []
        for number, op, a, b in self.record.events:
            if op == NOTE or (kinds and op & KIND_MASK not in kinds):
                continue
            name = self.record.task_name(number)
            if task is None or task == name:
                found.append((name, Kind(op & KIND_MASK), self.record.lane_name(op >> SHIFT), a, b))
        return found

    def notes(self, kind: str) -> list[tuple[Any, ...]]:
        """Return the facts of the notes of one kind."""
        return [facts for _, op, name, facts in self.record.events if op == NOTE and name == kind]


def finish(engine: Controlled | FreeEngine, main: Program, raising: bool = True) -> Outcome:
    """Run `main` on a fresh engine; raise what its tasks raised, unless told not to."""
    engine.run(main)
    if engine.error is not None and raising:
        raise engine.error
    return Outcome(engine, Record.of_run(engine, {"engine": engine.name}, {}))


def gate(main: Program, strategy: Strategy | None = None, raising: bool = True, **options: Any) -> Outcome:
    """Run under `gate`, in fair turns unless a strategy is given."""
    options = {"ncpus": NCPUS, "steps_max": STEPS_MAX, **options}
    return finish(GateEngine(strategy or RoundRobin(), **options), main, raising)


def fiber(main: Program, strategy: Strategy | None = None, raising: bool = True, **options: Any) -> Outcome:
    """Run under `fiber`, in fair turns unless a strategy is given."""
    options = {"ncpus": NCPUS, "steps_max": STEPS_MAX, **options}
    return finish(FiberEngine(strategy or RoundRobin(), **options), main, raising)


def random_walk(seed: object) -> RandomWalk:
    """Make the random walk of a seed: anything with a stable `str`."""
    return RandomWalk(random.Random(str(seed)).random)


def walk(main: Program, seed: object, on: Callable[..., Outcome] = gate, **options: Any) -> Outcome:
    """Run under `gate`, or on another controlled engine, with a random walk."""
    return on(main, random_walk(seed), seed=seed, **options)


def explore(main: Program, seeds: int = EXPLORED, **options: Any) -> Iterator[Outcome]:
    """Run random walks with seeds 0, 1, ..."""
    for seed in range(seeds):
        yield walk(main, seed, **options)


def free(main: Program, profile: str = "off", seed: object = 0, raising: bool = True, **options: Any) -> Outcome:
    """Run under `free`."""
    options = {"ncpus": NCPUS, "steps_max": FREE_STEPS_MAX, **options}
    return finish(FreeEngine(Noise(profile, seed), seed=seed, **options), main, raising)


@dataclass(frozen=True)
class Setup:
    """One way to run a program; calling it does."""

    name: str
    controlled: bool
    call: Callable[..., Outcome]

    def __call__(self, main: Program, **options: Any) -> Outcome:
        return self.call(main, **options)


def _walker(on: Callable[..., Outcome], seed: int) -> Setup:
    return Setup(f"{on.__name__}-random-{seed}", True, lambda main, **options: walk(main, seed, on, **options))


def _turns(on: Callable[..., Outcome], turn: int) -> Setup:
    return Setup(f"{on.__name__}-turns-{turn}", True, lambda main, **options: on(main, RoundRobin(turn), **options))


def _noisy(profile: str) -> Setup:
    return Setup(f"free-{profile}", False, lambda main, **options: free(main, profile, **options))


CONTROLLED = (
    *(_walker(gate, seed) for seed in range(3)),
    _turns(gate, 1),
    _turns(gate, 3),
    *(_walker(fiber, seed) for seed in range(5)),
    _turns(fiber, 1),
    _turns(fiber, 3),
)
FREE = tuple(_noisy(profile) for profile in PROFILES)
ONE_OF_EACH = (CONTROLLED[0], CONTROLLED[5], FREE[1])
SETUPS = [pytest.param(setup, marks=[] if setup in ONE_OF_EACH else pytest.mark.slow) for setup in (*CONTROLLED, *FREE)]


def unless_cut(run: Callable[[], Outcome], tries: int = 30) -> Outcome:
    """Run under `free` until somebody is judged at the bound: a run in which not all had turns behind it is cut."""
    for _ in range(tries):
        outcome = run()
        if outcome.detail["kind"] != "cut":
            break
    return outcome


def until(condition: Callable[[], object]) -> None:
    """Spin, in any context, until a condition on shared state holds."""
    for _ in rt.until_changed():
        if condition():
            return


def asleep(queue: rt.WaitQueue, n: int) -> None:
    """Give way until `n` tasks sleep on a queue: not merely queued, for they may still test and go."""
    while sum(bool(entry.waiters) for entry in list(queue.entries)) < n:
        rt.schedule()


def caught_after_free(outcome: Outcome, field: str) -> dict[str, object]:
    """Assert that the run ended by a use of `field` after free; return the facts."""
    assert outcome.how == "violation", outcome.record.end
    assert (outcome.detail["oracle"], outcome.detail["rule"]) == ("use-after-free", f"access to Box.{field} after free")
    facts: dict[str, object] = outcome.detail["facts"]
    return facts
