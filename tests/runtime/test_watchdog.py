"""What the watchdog of `free` says of a run at its bound, while tasks go on; and Ctrl-C at any moment of its watch.

At the bound nobody gives tasks fair turns: they are written by hand here, and so is what the operating system lets them
do between two looks.
"""

from __future__ import annotations

import sys
from itertools import count
from types import FrameType
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime import watchdog
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.noise import Noise
from mmrace.runtime.strategy import FAIR_SHARE
from mmrace.runtime.task import Gate, Task
from mmrace.runtime.watchdog import TURNS_MIN, UNFAIR_OPS_MAX

STEPS = 400
SHARE = STEPS // FAIR_SHARE


class Run:
    """A run behind its bound, with two workers that may hold what the other wants, and one that goes on."""

    def __init__(self) -> None:
        self.engine = FreeEngine(Noise("off", 0), steps_max=STEPS)
        main = Task(0, "main", None, None, 0)
        self.one, self.two, self.third = (Task(i + 1, f"task{i}", None, main, 0) for i in range(3))
        for task in (main, self.one, self.two, self.third):
            self.engine.tasks.append(task)
        self.waits(main, self.one)
        for task in (self.one, self.two, self.third):
            self.acts(task, STEPS)
        self.look()

    def waits(self, task: Task, holder: Task) -> None:
        """Let a task wait for what another holds."""
        task.gate = Gate(0, None)
        task.gate.busy, task.gate.owner = True, holder

    def acts(self, task: Task, ops: int, told: bool = False) -> None:
        """Let a task look at what does not change."""
        task.gate = None
        task.events.extend((task.id, task.id << SHIFT | Kind.READ, 0, None) for _ in range(ops))
        if told:
            task.events.append((task.id, NOTE, "round", ()))

    def look(self) -> str | None:
        """Let the watchdog look; return what it said of the run, None if it looks again."""
        self.engine._bound(self.engine.progress())
        return self.engine.end["detail"]["kind"] if self.engine.end else None


@pytest.fixture
def run() -> Run:
    return Run()


def test_a_ring_that_stands_over_two_fair_shares_is_told(run: Run) -> None:
    run.waits(run.one, run.two)
    run.waits(run.two, run.one)
    run.acts(run.third, SHARE + 1)
    assert run.look() is None
    run.acts(run.third, SHARE + 1)
    assert run.look() == "cycle"
    assert run.engine.end["detail"]["cycle"] == ["task0", "task1"]


def test_a_ring_that_was_there_at_one_look_only_is_none(run: Run) -> None:
    """Who is looked at meanwhile goes on: the two need not have waited at once."""
    run.waits(run.one, run.two)
    run.waits(run.two, run.one)
    run.acts(run.third, SHARE + 1, told=True)
    assert run.look() is None
    run.acts(run.two, TURNS_MIN)
    run.acts(run.one, TURNS_MIN)
    run.acts(run.third, SHARE + 1, told=True)
    assert run.look() == "cut"


def test_nothing_is_said_before_everybody_had_turns(run: Run) -> None:
    """BUGGY machine: it lets two of three threads wait for a processor, while the third looks for what they will do."""
    run.acts(run.third, SHARE + 1)
    assert run.look() is None and run.engine.suspected is None
    run.acts(run.third, UNFAIR_OPS_MAX)
    assert run.look() == "cut", "it cannot go on for ever"


def test_who_looks_in_vain_over_two_fair_shares_is_in_a_livelock(run: Run) -> None:
    said = []
    for _ in range(2):
        for task in (run.one, run.two, run.third):
            run.acts(task, SHARE)
        said.append(run.look())
    assert said == [None, "livelock"]


# -- Ctrl-C

MOMENTS = 60  # more than three turns of the watch have


def interrupting(at: int) -> Any:
    """Return a profile function that raises KeyboardInterrupt at a moment of the watch.

    Python takes a signal where a function begins and after a call: there profile functions are called, too.
    """
    moments = count()

    def profile(frame: FrameType, event: str, argument: object) -> None:
        watching: FrameType | None = frame
        while watching is not None and watching.f_code.co_name != "_watch":
            watching = watching.f_back
        if watching is not None and event != "c_call" and next(moments) == at:
            sys.setprofile(None)
            raise KeyboardInterrupt

    return profile


@pytest.mark.slow
def test_ctrl_c_at_any_moment_of_the_watch_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "WATCH_SECONDS", 0.001)

    def main() -> None:
        rt.spawn(rt.schedule)
        while True:
            rt.schedule()

    for at in range(MOMENTS):
        engine = FreeEngine(Noise("off", 0))
        sys.setprofile(interrupting(at))
        try:
            with pytest.raises(KeyboardInterrupt):
                engine.run(main)
        finally:
            sys.setprofile(None)
        assert all(task.done for task in engine.tasks)
