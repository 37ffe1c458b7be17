"""Explorations for tests: small asks, an observer that takes notes, and stand-in scenarios with two or three actors.

A stand-in is a scenario like any other, put into the list of scenarios for a test; its actors meet on one box.  It
lives in this process only: what worker processes run must come with mmrace.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.actors.actor import Actor
from mmrace.actors.migrator import MIGRATIONS
from mmrace.actors.stage import LOOP, Stage
from mmrace.installed import MAKERS
from mmrace.scenarios import casts
from mmrace.scenarios.scenario import Scenario
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.messages import Job, Outcome
from mmrace.search.totals import Hit
from tests.runtime.engines import Box, box

SMALL = (("buffers", 1), ("idle", 0), ("migrations", 1), ("rounds", 1), ("words", 1))
"""The shortest run of a real scenario: some 1,000 ops, of which half are set-up and sync."""

Deed = Callable[[Box], object]


class Notes:
    """An observer that remembers what it was told.  Args: interrupt_at: plays Ctrl-C after so many calls."""

    def __init__(self, interrupt_at: int = 0) -> None:
        self.told = 0
        self.hits: list[Hit] = []
        self.interrupt_at = interrupt_at

    def progress(self, result: Exploration) -> None:
        """Count; perhaps interrupt."""
        self.told += 1
        if self.told == self.interrupt_at:
            raise KeyboardInterrupt

    def found(self, hit: Hit) -> None:
        """Keep a finding."""
        self.hits.append(hit)


class Watching(Explorer):
    """Keeps (digest, verdict) of each schedule."""

    seen: dict[int, tuple[int | None, str]]

    def take(self, job: Job, outcome: Outcome) -> None:
        self.seen = getattr(self, "seen", {})
        assert job.index not in self.seen
        if outcome.result is not None:
            self.seen[job.index] = outcome.result.digest, outcome.result.verdict
        super().take(job, outcome)


def ask(scenario: str = "async-vs-commit", strategy: str = "pos", **more: object) -> Ask:
    """Ask for few schedules of a small program; all plain accesses are switch points, so that nothing is profiled."""
    options = {"params": SMALL, "runs": 16, "promote": "all", "jobs": 1, **more}
    return Ask(scenario, strategy=strategy, **options)  # type: ignore[arg-type]


def explore(what: Ask, folder: Path, observer: Notes | None = None) -> Exploration:
    """Explore, with notes taken by nobody unless told."""
    return Explorer(what, MAKERS, folder, observer or Notes()).run()


def stand_in(patch: pytest.MonkeyPatch, name: str, **cast: Deed) -> None:
    """Put a scenario in the list whose actors share one box, made during set-up."""
    made: list[Box] = []

    def before(stage: Stage) -> None:
        made[:] = [box()]

    def playing(deed: Deed) -> Callable[[Stage], None]:
        return lambda stage: (deed(made[0]), None)[1]

    actors = tuple(Actor(role, playing(deed), (*LOOP, MIGRATIONS)) for role, deed in cast.items())
    scenario = Scenario(name, "a stand-in", actors, before=before)
    patch.setattr(casts, "SCENARIOS", (*casts.SCENARIOS, scenario))


def two_writers(patch: pytest.MonkeyPatch) -> None:
    """Two actors that each write one field twice: six orders, each a class of its own."""

    def write(number: int) -> Deed:
        def body(shared: Box) -> None:
            for _ in range(2):
                rt.spin_lock(shared.spin)
                shared.x = number
                rt.spin_unlock(shared.spin)

        return body

    stand_in(patch, "two-writers", one=write(1), two=write(2))


def alone(patch: pytest.MonkeyPatch) -> None:
    """One actor: nothing to interleave."""
    stand_in(patch, "alone", one=lambda shared: setattr(shared, "x", 1))


def abba(patch: pytest.MonkeyPatch) -> None:
    """BUGGY: two locks, taken in either order."""

    def first(shared: Box) -> None:
        rt.spin_lock(shared.spin)
        rt.spin_lock(shared.other)
        rt.spin_unlock(shared.other)
        rt.spin_unlock(shared.spin)

    def second(shared: Box) -> None:
        rt.spin_lock(shared.other)
        rt.spin_lock(shared.spin)
        rt.spin_unlock(shared.spin)
        rt.spin_unlock(shared.other)

    stand_in(patch, "abba", one=first, two=second)


def abba_in_turn(patch: pytest.MonkeyPatch) -> None:
    """Two locks in either order, but the second task begins when the first is through: no deadlock."""

    def first(shared: Box) -> None:
        rt.spin_lock(shared.spin)
        rt.spin_lock(shared.other)
        rt.spin_unlock(shared.other)
        rt.spin_unlock(shared.spin)
        shared.count.get("through")
        rt.wake_up(shared.queue)

    def second(shared: Box) -> None:
        rt.wait_event(shared.queue, lambda: shared.count.read() > 0)
        rt.spin_lock(shared.other)
        rt.spin_lock(shared.spin)
        rt.spin_unlock(shared.spin)
        rt.spin_unlock(shared.other)

    stand_in(patch, "abba-in-turn", one=first, two=second)


def breaking(patch: pytest.MonkeyPatch) -> None:
    """BUGGY: one of two schedules trips over Python in the correct model, which is a bug of mmrace."""

    def second(shared: Box) -> None:
        assert shared.x == 0, "one was first"

    stand_in(patch, "breaking", one=lambda shared: setattr(shared, "x", 1), two=second)
