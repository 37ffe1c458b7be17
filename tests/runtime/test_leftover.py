"""A thread that a run leaves behind: the others unwind, the process goes on, and no op of it reaches another run.

Most tests leave out the exception that is thrown into it: that can come at any moment, or be swallowed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from mmrace import runtime as rt
from mmrace.runtime import leftover, live, pool
from mmrace.runtime.errors import Abort
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.leftover import GivenUp
from mmrace.runtime.noise import Noise
from mmrace.runtime.strategy import RoundRobin
from mmrace.runtime.task import Task
from tests.runtime.engines import Box, Outcome, box, gate

Make = Callable[[], GateEngine | FreeEngine]

ENGINES: dict[str, Make] = {"gate": lambda: GateEngine(RoundRobin()), "free": lambda: FreeEngine(Noise("off", 0))}
THROW = leftover.throw
GIVING_UP: list[threading.Thread] = []

on_each = pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)


@pytest.fixture(autouse=True)
def _nothing_thrown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """And who gave tasks up has ended: a run goes on before that."""
    monkeypatch.setattr(leftover, "throw", lambda ident, error: None)
    yield
    while GIVING_UP:
        GIVING_UP.pop().join()


def give_up(task: Task, progress: int | None = None) -> None:
    """Give the task that calls up, as a watch does it, from another thread."""
    engine = live.engine
    assert isinstance(engine, GateEngine | FreeEngine)
    why = GivenUp((task,), engine.progress() if progress is None else progress)
    GIVING_UP.append(threading.Thread(target=engine.give_up, args=(why,)))
    GIVING_UP[-1].start()


class Blocking:
    """A task that blocks, with a lock that others want, until it is let go.  `met`: what its next op met then."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.met: list[type[BaseException]] = []
        self.thread = threading.current_thread()

    def body(self, shared: Box) -> None:
        """BUGGY: block where the runtime cannot see it."""
        self.thread = threading.current_thread()
        rt.mutex_lock(shared.mutex)
        for name in ("one", "two"):
            rt.spawn(rt.mutex_lock, shared.mutex, name=name)
        give_up(rt.current())
        self.go.wait()
        try:
            rt.mutex_unlock(shared.mutex)
        except BaseException as error:
            self.met.append(type(error))
            raise

    def come_back(self) -> None:
        """Let it go, and wait until its thread has ended."""
        self.go.set()
        self.thread.join()


def left(engine: GateEngine | FreeEngine) -> Blocking:
    """Make a run in which one task is left behind."""
    blocking = Blocking()

    def main() -> None:
        rt.spawn(blocking.body, box(), name="stuck")
        rt.join_others()

    with pytest.raises(GivenUp):
        engine.run(main)
    return blocking


@on_each
def test_the_others_unwind_and_its_thread_is_not_used_again(make: Make) -> None:
    engine = make()
    blocking = left(engine)
    assert all(task.done for task in engine.tasks)
    kept = pool.pool_size()
    blocking.come_back()
    assert pool.pool_size() == kept - 1, "its thread ends: nobody knows what it still holds"


def program(during: Callable[[], object]) -> Callable[[], None]:
    """Return a program that does something, with a lock held, while another task waits for it."""

    def first(shared: Box) -> None:
        rt.mutex_lock(shared.mutex)
        shared.x += 1
        during()
        shared.x += 1
        rt.mutex_unlock(shared.mutex)

    def second(shared: Box) -> None:
        rt.mutex_lock(shared.mutex)
        shared.x += 1
        rt.mutex_unlock(shared.mutex)

    def main() -> None:
        shared = box()
        rt.spawn(first, shared, name="first")
        rt.spawn(second, shared, name="second")
        rt.join_others()

    return main


def told(outcome: Outcome) -> list[object]:
    return [*outcome.ops(), outcome.record.masks, outcome.record.end]


@on_each
def test_an_op_in_the_middle_of_another_run_changes_nothing_there(make: Make) -> None:
    undisturbed = told(gate(program(lambda: None)))
    blocking = left(make())
    assert told(gate(program(blocking.come_back))) == undisturbed
    assert blocking.met == [Abort]


def test_an_op_between_two_runs_has_no_engine_to_touch() -> None:
    blocking = left(GateEngine(RoundRobin()))
    blocking.come_back()
    assert blocking.met == [rt.UsageError]


def test_with_nobody_left_behind_an_engine_is_installed_as_it_is() -> None:
    assert leftover.guarded(told) == (told,)


def test_it_unwinds_as_soon_as_it_does_anything() -> None:
    met = []
    spinning = threading.Event()

    def spins() -> None:
        try:
            spinning.set()
            while True:
                pass
        except Abort:
            met.append(Abort)

    thread = threading.Thread(target=spins)
    thread.start()
    spinning.wait()  # a thread that has started need not be inside the `try` yet
    THROW(thread.ident or 0, Abort)
    thread.join()
    assert met == [Abort]


def test_a_task_that_did_an_op_meanwhile_is_not_left_behind() -> None:
    """The watch can be late: after its look the task went on."""
    engine = GateEngine(RoundRobin())
    gone_on = threading.Event()

    def body(shared: Box) -> None:
        give_up(rt.current(), progress=-1)
        while not engine.aborting:
            gone_on.wait(0.001)
        shared.x = 1

    def main() -> None:
        rt.spawn(body, box(), name="late")
        rt.join_others()

    with pytest.raises(GivenUp):
        engine.run(main)
    assert not any(task.left for task in engine.tasks)
