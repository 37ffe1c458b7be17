"""However a run ends, every task unwinds, no thread is left, and the next run starts from nothing."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable
from functools import partial
from itertools import count

import pytest

from mmrace import runtime as rt
from mmrace.runtime import live, pool
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import Flag, Setup, box

RUNS = 40
TASKS = 6  # of each program here, main included
STEPS = 300


def _sleepers(unwound: list[str]) -> None:
    """Start tasks that wait in every way there is; each notes when it unwound."""
    shared = box(1)
    rt.mutex_lock(shared.mutex)
    rt.bit_lock(shared.flags, Flag.LOCKED)
    rt.spin_lock(shared.spin)
    waits: list[Callable[[], object]] = [
        lambda: rt.mutex_lock(shared.mutex),
        lambda: rt.bit_lock(shared.flags, Flag.LOCKED),
        lambda: rt.wait_event(shared.queue, lambda: False),
        lambda: rt.spin_lock(shared.spin),
        lambda: rt.join(rt.current()),
    ]

    def sleeper(name: str, wait: Callable[[], object]) -> None:
        try:
            wait()
        finally:
            unwound.append(name)

    for i, wait in enumerate(waits):
        rt.spawn(sleeper, f"sleeper{i}", wait, cpu=i % 3 + 1)


def _violation(unwound: list[str]) -> None:
    """BUGGY: ends by a violation while others sleep."""
    _sleepers(unwound)
    for _ in range(20):
        rt.schedule()
    rt.bug_on(True, "the end")


def _deadlock(unwound: list[str]) -> None:
    """BUGGY: ends with everybody asleep."""
    _sleepers(unwound)


def _bound(unwound: list[str]) -> None:
    """BUGGY: spins for ever."""
    _sleepers(unwound)
    while True:
        rt.schedule()


def _crash(unwound: list[str]) -> None:
    """BUGGY: trips over Python."""
    _sleepers(unwound)
    for _ in range(20):
        rt.schedule()
    raise KeyError("the end")


def _finished(unwound: list[str]) -> None:
    def daemon(i: int) -> None:
        try:
            rt.Completion(f"never:{i}").wait()
        finally:
            unwound.append(f"daemon{i}")

    for i in range(TASKS - 1):
        rt.spawn(daemon, i, cpu=i % 3 + 1, daemon=True)
    for _ in range(20):
        rt.schedule()


ENDS = {
    "violation": _violation, "deadlock": _deadlock, "bound": _bound, "crash": _crash, "finished": _finished,
}  # fmt: skip


@pytest.mark.parametrize("how", ENDS)
def test_every_task_that_began_unwinds(run: Setup, how: str) -> None:
    unwound: list[str] = []
    outcome = run(lambda: ENDS[how](unwound), raising=False, steps_max=STEPS)
    assert outcome.how == how
    assert all(task.done for task in outcome.engine.tasks)
    begun = {op[0] for op in outcome.ops(Kind.BEGIN)} - {"main"}
    assert len(unwound) == len(set(unwound)) == len(begun)


@pytest.mark.slow
@pytest.mark.parametrize("how", ENDS)
def test_threads_are_kept_and_none_is_leaked(run: Setup, how: str) -> None:
    runs = RUNS // 8 if how == "bound" else RUNS  # these take a while to reach it
    for _ in range(runs):
        run(lambda: ENDS[how]([]), raising=False, steps_max=STEPS)
    before, threads = rt.pool_size(), threading.active_count()
    for _ in range(runs):
        run(lambda: ENDS[how]([]), raising=False, steps_max=STEPS)
    # a thread that ended its job may not be back in the pool when the next run wants one; so twice the tasks at most
    assert rt.pool_size() <= max(before, 2 * TASKS)
    assert threading.active_count() - threads == rt.pool_size() - before


def test_the_pool_can_be_emptied(run: Setup) -> None:
    run(lambda: _finished([]))
    left = {worker for worker in pool._all if worker.left}  # by tests of tasks that nobody can make come back
    for _ in range(1000):  # a worker that just ended its job may still be on its way into the pool
        if pool.drain() == len(left):
            break
    assert rt.pool_size() == len(left)
    assert not any(thread.name.startswith("mmrace-") for thread in threading.enumerate() if thread not in left)
    assert run(lambda: _finished([])).how == "finished"


def test_a_finally_that_reaches_a_point_during_an_abort_unwinds_too(run: Setup) -> None:
    reached: list[str] = []

    def main() -> None:
        """BUGGY: a deadlock of tasks that clean up behind themselves."""
        shared = box()

        def careful() -> None:
            try:
                rt.Completion("never:0").wait()
            finally:
                reached.append("finally")
                shared.x += 1
                reached.append("beyond")

        rt.spawn(careful, cpu=1)
        careful()

    outcome = run(main)
    assert outcome.how == "deadlock"
    assert reached == ["finally"] * 2
    assert all(task.done for task in outcome.engine.tasks)


def test_a_finally_behind_a_violation_still_works_and_the_violation_stands(run: Setup) -> None:
    def main() -> None:
        """BUGGY: frees, uses, and unlocks in a finally."""
        freed, shared = box(0), box(1)
        rt.poison(freed)
        rt.spin_lock(shared.spin)
        try:
            _ = freed.x
        finally:
            rt.spin_unlock(shared.spin)

    outcome = run(main)
    assert outcome.detail["rule"] == "access to Box.x after free"
    assert outcome.ops(Kind.RELEASE)


def test_what_a_finally_trips_over_while_it_unwinds_is_nobodys_finding(run: Setup) -> None:
    def main() -> None:
        def daemon(error: Exception) -> None:
            try:
                rt.Completion("never:0").wait()
            finally:
                raise error

        rt.spawn(daemon, rt.Violation("bug-on", "not a finding"), cpu=1, daemon=True)
        rt.spawn(daemon, KeyError("not a crash"), cpu=2, daemon=True)
        for _ in range(20):
            rt.schedule()

    outcome = run(main)
    assert outcome.how == "finished"
    assert outcome.engine.error is None
    assert not outcome.notes("violation")


def test_the_first_error_of_a_program_ends_the_run_and_is_told_with_its_place(run: Setup) -> None:
    outcome = run(lambda: _crash([]), raising=False)
    assert isinstance(outcome.engine.error, KeyError)
    detail = outcome.detail
    assert detail.pop("line") == _crash.__code__.co_firstlineno + 5
    assert detail == {
        "task": "main",
        "error": "KeyError: 'the end'",
        "type": "KeyError",
        "text": "'the end'",
        "function": "_crash",
        "file": "test_ends.py",
        "source": 'raise KeyError("the end")',
    }


def test_the_next_run_starts_from_nothing(run: Setup) -> None:
    def main() -> None:
        assert box().x == 0
        assert rt.current().name == "main"

    for program in ENDS.values():
        run(partial(program, []), raising=False, steps_max=STEPS)
        assert run(main).record.tasks == [{"id": 0, "name": "main", "cpu": 0, "daemon": False}]


def _ctrl_c() -> None:
    """Send the main thread a real signal: it is asleep in the engine."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize("after", [0, 7, 30])
def test_ctrl_c_unwinds_every_task_and_is_raised(run: Setup, after: int) -> None:
    tasks: list[rt.Task] = []

    def main() -> None:
        _sleepers([])
        for turn in count():
            tasks[:] = live.engine.tasks
            if turn == after:
                _ctrl_c()
            rt.schedule()

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert tasks
    assert all(task.done for task in tasks)
    assert run(lambda: None).how == "finished"


def test_ctrl_c_at_the_very_end_of_a_run_is_raised_too(run: Setup) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(_thread.interrupt_main)  # seen only when the main thread wakes up, for the run is over
    assert run(lambda: None).how == "finished"
