"""The bound of a run: a fair chance behind it, then a livelock if all looked in vain, else the run is cut."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runtime import standstill
from mmrace.runtime.kinds import Kind
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task
from mmrace.runtime.wait import WaitEntry, WaitQueue
from tests.runtime.engines import Box, Setup, box, free, gate, unless_cut, until

STEPS = 300


def _ping(notes: bool) -> None:
    def spin(i: int) -> None:
        for turn in range(1_000_000):
            rt.schedule()
            if notes and turn % 10 == 0:
                rt.note("round", f"spin{i}", turn)

    for i in range(2):
        rt.spawn(spin, i, cpu=i)
    rt.join_others()


def _pong() -> None:
    """BUGGY: each looks for what neither will do, under a lock, for ever."""
    shared = box()

    def look() -> None:
        while True:
            rt.mutex_lock(shared.mutex)
            done = shared.x
            rt.mutex_unlock(shared.mutex)
            if done:
                return

    for i in range(2):
        rt.spawn(look, cpu=i)
    rt.join_others()


@pytest.mark.slow
def test_a_run_that_looks_in_vain_behind_its_bound_is_a_livelock(run: Setup) -> None:
    outcome = unless_cut(lambda: run(_pong, steps_max=STEPS), tries=1 if run.controlled else 30)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", "livelock")
    assert {"main", "main.0", "main.1"} == {row["task"] for row in outcome.detail["tasks"]}
    assert outcome.detail["steps"] >= STEPS


@pytest.mark.slow
@pytest.mark.parametrize("notes", [True, False])
def test_a_run_that_gets_somewhere_or_may_only_count_behind_its_bound_is_cut(run: Setup, notes: bool) -> None:
    outcome = run(lambda: _ping(notes), steps_max=STEPS)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", "cut")


def _counts(shared: Box) -> None:
    for _ in range(1_000_000):
        shared.x += 1


def _flips(shared: Box) -> None:
    for turn in range(1_000_000):
        shared.y = turn % 2


def _looks_and_flips(shared: Box) -> None:
    """BUGGY: nobody writes the word."""
    while not shared.words.read(0):
        shared.y = 1
        shared.y = 0


def _polls(shared: Box) -> None:
    while not shared.words.read(0):
        rt.schedule()


@pytest.mark.parametrize(
    ("deeds", "kind"),
    [
        ([_counts], "cut"),
        ([_counts, _polls], "cut"),
        ([_flips], "cut"),
        ([_flips, _polls], "cut"),
        ([_polls], "livelock"),
        ([_polls, _looks_and_flips], "livelock"),
    ],
    ids=["counts", "counts, another waits", "flips", "flips, another waits", "waits", "looks and flips"],
)
def test_a_program_that_tells_no_progress_makes_some_while_it_writes_what_is_new_or_looks_at_nothing(
    controlled: Setup, deeds: list[Callable[[Box], None]], kind: str
) -> None:
    """It may come to an end that it has not reached: the bound alone is never a finding."""

    def main() -> None:
        shared = box()
        for deed in deeds:
            rt.spawn(deed, shared)
        rt.join_others()

    outcome = controlled(main, steps_max=STEPS)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", kind)


def _polls_and_sleeps(shared: Box) -> None:
    while not shared.words.read(0):
        rt.sleep(50)


def _gets_on(shared: Box) -> None:
    for turn in range(1_000_000):
        shared.x = turn
        rt.note("round", "gets on", turn)


@pytest.mark.parametrize(
    ("deeds", "kind"),
    [
        ([_polls_and_sleeps], "livelock"),
        ([_polls_and_sleeps, _polls_and_sleeps], "livelock"),
        ([_polls_and_sleeps, _gets_on], "cut"),
        ([_polls, _gets_on], "starvation"),
    ],
    ids=["alone", "both sleep", "another gets on", "polls without a sleep while another gets on"],
)
def test_who_sleeps_between_looks_is_no_starver_but_time_alone_is_no_progress(
    controlled: Setup, deeds: list[Callable[[Box], None]], kind: str
) -> None:
    """Fair turns end a sleep of fifty ticks after one op of each other task: in its time they would have done more."""

    def main() -> None:
        shared = box()
        for deed in deeds:
            rt.spawn(deed, shared)
        rt.join_others()

    outcome = controlled(main, steps_max=STEPS)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", kind)


def test_a_long_sleep_ends_behind_the_bound() -> None:
    """Whoever waits for an I/O that takes its time is no livelock."""

    class Late(BaseStrategy):
        def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
            return next((task for task in enabled if task.cpu is not None), enabled[0])

    def main() -> None:
        shared = box()

        def device() -> None:
            rt.sleep(10**9, "transfer")
            shared.words.write(0, 1)

        rt.spawn(_polls, shared)
        rt.spawn(device, cpu=None)
        rt.join_others()

    outcome = gate(main, Late(), steps_max=STEPS)
    assert outcome.how == "finished"
    assert len(outcome.record.events) > STEPS


def test_a_run_is_given_a_fair_chance_behind_its_bound() -> None:
    class Unfair(BaseStrategy):
        def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
            return next((task for task in enabled if task.name == "spinner"), enabled[0])

    def main() -> None:
        shared = box()

        def spinner() -> None:
            while not rt.peek(shared, "x"):
                rt.schedule()

        rt.spawn(spinner, name="spinner", cpu=1)
        shared.x = 1
        rt.join_others()

    assert gate(main, Unfair(), steps_max=STEPS).how == "finished"


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_a_bound_of_fewer_ops_than_there_are_tasks_cuts_the_run(controlled: Setup, steps: int) -> None:
    """It was told that tasks wait for their turn."""

    def main() -> None:
        shared = box()
        for _ in range(9):
            rt.spawn(lambda: [setattr(shared, "x", i) for i in range(4)])
        rt.note("round", "main", 0)
        rt.join_others()

    outcome = controlled(main, steps_max=steps)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", "cut")


def test_a_bound_inside_fixed_order_cuts_the_run(controlled: Setup) -> None:
    """There the others get no turn, which tells nothing of them."""

    def main() -> None:
        shared = box()
        with rt.fixed_order():
            rt.spawn(lambda: setattr(shared, "x", 1))
            for i in range(10 * STEPS):
                shared.y = i
                rt.note("round", "main", i)
        rt.join_others()

    outcome = controlled(main, steps_max=STEPS)
    assert (outcome.how, outcome.detail["kind"]) == ("bound", "cut")


def test_the_bound_is_kept(controlled: Setup) -> None:
    outcome = controlled(lambda: _ping(notes=True), steps_max=STEPS)
    assert len(outcome.ops()) <= STEPS + STEPS // 4 + 2


@pytest.mark.parametrize("seed", range(5))
def test_under_free_a_spinner_ends_well_when_its_change_comes(seed: int) -> None:
    def main() -> None:
        shared = box()
        rt.spawn(until, lambda: shared.x, cpu=1)
        shared.x = 1
        rt.join_others()

    assert free(main, "chaos", seed=seed).how == "finished"


@pytest.mark.parametrize(("lost", "kind"), [(["sleeper"], "lost-wakeup"), ([], "cut"), (None, "lost-wakeup")])
def test_a_sleeper_whose_condition_came_true_behind_the_bound_may_be_woken_yet(
    lost: list[str] | None, kind: str
) -> None:
    root, sleeper, works = (Task(i, name, None, None, 0) for i, name in enumerate(("main", "sleeper", "works")))
    entry = WaitEntry(WaitQueue(0, None, "box", "queue"), sleeper, exclusive=False)
    entry.busy, entry.holds = True, lambda: True
    sleeper.gate = entry
    recent = [(works.id, int(Kind.WRITE), None, None)]
    found = standstill.bound([root, sleeper, works], recent, 100, progress=("round",), lost=lost)
    assert found["kind"] == kind
