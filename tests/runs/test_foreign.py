"""A task that blocks outside the runtime ends the run with its stack, instead of hanging for ever."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mmrace import runtime as rt
from mmrace.runs import foreign
from mmrace.runs.foreign import ForeignCall
from mmrace.runs.functions import KIND, FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.allotted import Allotted
from mmrace.runtime.errors import EXIT_UNKNOWN, MachineError
from mmrace.search.pool.health import health
from tests.runtime.engines import Box, box

ENGINES = ["fiber", "gate", "free"]
THREADED = ["gate", "free"]

Deed = Callable[[], object]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "CHECK_SECONDS", 0.02)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """What a blocked thread waits for; it comes back at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def made(body: Deed, engine: str) -> RunResult:
    """Make one run of a program in which one task does `body` with a lock held, and another wants the lock."""

    def first(shared: Box) -> None:
        rt.mutex_lock(shared.mutex)
        body()
        rt.mutex_unlock(shared.mutex)

    def second(shared: Box) -> None:
        rt.mutex_lock(shared.mutex)
        rt.mutex_unlock(shared.mutex)

    def main() -> None:
        shared = box()
        rt.spawn(first, shared, name="worker")
        rt.spawn(second, shared, name="other")
        rt.join_others()

    spec = RunSpec("here:main", engine=engine, strategy="random", maker=KIND)
    return run_one(spec, makers=Makers(FunctionMaker({"here:main": main})))


def made_patiently(body: Deed, engine: str, patch: pytest.MonkeyPatch) -> RunResult:
    """Make a run that is left in peace, however loaded the machine is."""
    patch.setattr(foreign, "CHECK_SECONDS", 5.0)
    return made(body, engine)


def told(body: Deed, engine: str) -> ForeignCall:
    """Return the error that a run ended with."""
    with pytest.raises(ForeignCall) as caught:
        made(body, engine)
    return caught.value


# -- what it says


@pytest.mark.parametrize("engine", ENGINES)
def test_a_blocking_call_is_told_with_its_stack(engine: str, go: threading.Event) -> None:
    """No `except Exception` of the program ends it otherwise."""

    def waits_for_nobody() -> None:
        try:
            go.wait()
        except Exception:
            raise AssertionError("swallowed") from None

    error = told(waits_for_nobody, engine)
    assert (error.exit_code, error.task) == (EXIT_UNKNOWN, "worker")
    assert "in waits_for_nobody" in error.stack
    assert "mmrace/runtime" not in error.stack, "the program's own frames are enough"


@pytest.mark.parametrize("engine", ENGINES)
def test_an_endless_loop_without_ops_is_told_too(engine: str, go: threading.Event) -> None:
    def spins() -> None:
        while not go.is_set():
            pass

    assert "in spins" in told(spins, engine).stack


def reads_a_pipe() -> int:
    """BUGGY: nobody writes."""
    reading, _ = os.pipe()
    return len(os.read(reading, 1))


def reads_a_socket() -> int:
    """BUGGY: nobody sends."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return len(ours.recv(1))


def takes_a_lock() -> None:
    """BUGGY: it is taken."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@pytest.mark.parametrize("blocks", [reads_a_pipe, reads_a_socket, takes_a_lock])
def test_every_sort_of_blocking_call_is_told(blocks: Deed) -> None:
    assert f"in {blocks.__name__}" in told(blocks, "fiber").stack


@pytest.mark.parametrize("engine", ENGINES)
def test_a_program_that_blocks_in_its_main_task_is_told(engine: str, go: threading.Event) -> None:
    spec = RunSpec("here:main", engine=engine, maker=KIND)
    with pytest.raises(ForeignCall) as caught:
        run_one(spec, makers=Makers(FunctionMaker({"here:main": partial(go.wait, None)})))
    assert caught.value.task == "main"


@pytest.mark.parametrize("engine", ENGINES)
def test_a_task_that_waits_for_its_turn_on_a_slow_machine_is_left_in_peace(
    engine: str, go: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: five seconds behind other processes, and a run was taken for one that blocks."""
    looks = 0

    class Starved(Allotted):
        def of(self, seconds: float) -> float:
            nonlocal looks
            looks += 1
            if looks == 3 * foreign.PATIENCE_CHECKS:
                go.set()
            return 0.0

    monkeypatch.setattr(foreign, "CHECK_SECONDS", 0.005)
    monkeypatch.setattr("mmrace.runtime.silence.SHORT_SECONDS", 0.0)
    monkeypatch.setattr("mmrace.runtime.silence.Silence.allotted", Starved)
    assert made(go.wait, engine).verdict == "PASS"


# -- what comes after it


@pytest.mark.parametrize("engine", ENGINES)
def test_the_run_after_it_is_as_any_other(engine: str, go: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    told(go.wait, engine)
    for after in ENGINES:
        assert made_patiently(lambda: None, after, monkeypatch).verdict == "PASS"


@pytest.mark.parametrize("engine", THREADED)
def test_a_thread_that_comes_back_during_a_later_run_does_nothing_in_it(
    engine: str, monkeypatch: pytest.MonkeyPatch, go: threading.Event
) -> None:
    left: list[threading.Thread] = []

    def blocks() -> None:
        left.append(threading.current_thread())
        go.wait()

    def lets_it_come_back() -> None:
        go.set()
        left[0].join()

    undisturbed = made_patiently(lambda: None, "fiber", monkeypatch)
    monkeypatch.setattr(foreign, "CHECK_SECONDS", 0.02)
    told(blocks, engine)
    disturbed = made_patiently(lets_it_come_back, "fiber", monkeypatch)
    assert (disturbed.verdict, disturbed.ops, disturbed.switches) == ("PASS", undisturbed.ops, undisturbed.switches)


def test_what_is_left_behind_is_no_stray_thread(go: threading.Event) -> None:
    """It is told as it is found; a campaign need not find it once more."""
    before = health().stray_threads
    told(go.wait, "gate")
    assert health().stray_threads == before


# -- what cannot be interrupted


def test_what_swallows_the_interruption_is_interrupted_again_and_told_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times: list[int] = []

    def swallows() -> None:
        while len(times) < 3:
            try:
                threading.Event().wait()
            except BaseException:
                times.append(1)

    assert "in swallows" in told(swallows, "fiber").stack
    assert "it cannot be interrupted" in capsys.readouterr().err


def test_outside_the_main_thread_a_blocked_run_is_told_on_stderr(
    go: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    looked = threading.Event()

    def blocks() -> None:
        while foreign._watch.found is None:  # what the watch found, as only it can tell
            go.wait(0.001)
        looked.set()

    thread = threading.Thread(target=made, args=(blocks, "fiber"))
    thread.start()
    looked.wait()
    thread.join()
    assert "task worker did no op" in capsys.readouterr().err


# -- Ctrl-C


@pytest.mark.parametrize("engine", ENGINES)
def test_ctrl_c_during_a_blocking_call_is_ctrl_c(engine: str, go: threading.Event) -> None:
    """Under `gate` and `free` the task itself does not hear of it: the watch gives it up."""

    def blocks() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        go.wait()

    with pytest.raises(KeyboardInterrupt):
        made(blocks, engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_nobody_can_watch_for_want_of_threads_says_so(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(foreign, "_watch", foreign._Watch())
        patch.setattr(threading.Thread, "start", full)
        with pytest.raises(MachineError, match="can't start new thread"):
            made(lambda: None, engine)
        assert foreign._watch.engine is None
    assert made_patiently(lambda: None, engine, monkeypatch).verdict == "PASS"
