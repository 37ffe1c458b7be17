"""Notice a run that does no op: a task blocks, or computes without end, where the runtime cannot see it.

A controlled run has one task at a time; one that calls `time.sleep`, takes a plain `threading.Lock` or reads a socket
stops them all, and no schedule goes on.  A watching thread looks at the run once a second; when it has not moved for
`PATIENCE_CHECKS` looks, the watch takes the stack of whoever should be moving and interrupts the run, which ends as
`ForeignCall`; the process can go on (`runtime/leftover.py`).  Seconds count as far as this process had them
(`runtime/silence.py`): neither a slow machine nor a suspended one makes a run foreign.  Invariant: an op costs nothing
here.  A task is a thread that can be left behind, but for engine `fiber`: there it is interrupted, and what swallows
every exception, or runs outside the process's main thread, the only one that Python can interrupt, is told on stderr.
Not noticed: what computes in C and does not let other threads run.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from mmrace.runs.program import Engine
from mmrace.runtime import pool
from mmrace.runtime.errors import EXIT_UNKNOWN, MmraceError
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.leftover import GivenUp
from mmrace.runtime.silence import Silence
from mmrace.runtime.sites import RUNTIME_FILES
from mmrace.runtime.task import Task
from mmrace.runtime.threads import start as start_thread
from mmrace.runtime.visible import visible

CHECK_SECONDS = 1.0
PATIENCE_CHECKS = 5
SIGNAL = signal.SIGURG  # ignored where nobody handles it, and hardly ever used
FRAMES_MAX = 12
STACKS_MAX = 3  # of tasks that block at once, under `free`


class ForeignCall(MmraceError):
    """A task blocked, or computed without end, outside the runtime: nothing can be said of the run."""

    exit_code = EXIT_UNKNOWN

    def __init__(self, task: str, stack: str) -> None:
        self.task, self.stack = task, stack
        super().__init__(
            f"UNKNOWN: task {task} did no op for {PATIENCE_CHECKS * CHECK_SECONDS:g} s; it blocks, or runs on, outside "
            f"mmrace.runtime; wait by the runtime's own locks and queues, and leave real I/O and sleeps out. It is at:"
            f"\n{stack}"
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """A run that does not move, and who should."""

    engine: Engine
    given_up: GivenUp
    error: ForeignCall


class _Watch:
    """The watching thread, and the run that it looks at."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.thread: threading.Thread | None = None
        self.runner = 0  # ident of the thread that makes the run
        self.interruptible = False
        self.found: _Found | None = None
        self.begun = threading.Lock()  # free: a run began
        self.begun.acquire()

    def start(self) -> None:
        """Start the thread, once a process, and wake it.  Raises MachineError.

        By a bare lock: Ctrl-C can leave the lock in an `Event` taken, and the next run would wait for it.
        """
        if self.thread is None:
            thread = threading.Thread(target=self._look, name="mmrace.watch", daemon=True)
            start_thread(thread)
            self.thread = thread
        with suppress(RuntimeError):  # it is awake
            self.begun.release()

    def _look(self) -> None:
        silence = Silence(time.monotonic())
        told = 0
        pause = threading.Event()
        while True:
            pause.wait(CHECK_SECONDS)
            engine = self.engine
            if engine is None:
                silence.look(time.monotonic(), None)  # which lets go of the engine, too
                self.begun.acquire()
                continue
            progress = engine.progress()
            silent = silence.look(time.monotonic(), (engine, progress))
            told = told if silent else 0
            if silent >= (told + 1) * PATIENCE_CHECKS * CHECK_SECONDS:
                told += 1
                self._interrupt(engine, progress, told)

    def _interrupt(self, engine: Engine, progress: int, told: int) -> None:
        """Interrupt a run; say so on stderr if that cannot be, or was in vain.  Args: told: how often it was found."""
        stuck = self._stuck(engine)
        if not stuck:
            return
        tasks = tuple(stuck)
        error = ForeignCall(", ".join(task.name for task in tasks), "\n".join(map(_stack, stuck.values())))
        found = _Found(engine, GivenUp(tasks, progress), error)
        if isinstance(engine, FreeEngine | GateEngine):
            self.found = found
            engine.give_up(found.given_up)
            return
        if told == 1 + self.interruptible:
            end = "it cannot be interrupted; end the process if it stays there"
            sys.stderr.write(visible(f"mmrace: {error}\nmmrace: {end}\n"))
        self.found = found  # after it was told: whoever looks here may end the run
        if self.interruptible:
            signal.pthread_kill(self.runner, SIGNAL)

    def _stuck(self, engine: Engine) -> dict[Task, FrameType]:
        """Return the tasks that should be moving, and where they are."""
        if isinstance(engine, FreeEngine):
            movers = engine.movers()
        elif isinstance(engine, GateEngine):
            movers = {pool.ident_of(engine.running.baton) or 0: engine.running}
        else:
            movers = {self.runner: engine.running}
        frames = sys._current_frames()
        found = {task: frames[ident] for ident, task in movers.items() if ident in frames}
        if isinstance(engine, FreeEngine):  # others wait for a lock that one of these has
            found = {task: frame for task, frame in found.items() if frame.f_code.co_filename not in RUNTIME_FILES}
        return dict(list(found.items())[:STACKS_MAX])


def _stack(frame: FrameType) -> str:
    """Return the stack of a task as text, from the program's own outermost frame on."""
    frames = traceback.extract_stack(frame)
    runtime = [i for i, summary in enumerate(frames) if summary.filename in RUNTIME_FILES]
    inside = frames[runtime[-1] + 1 :] if runtime else frames
    return "".join(traceback.format_list((inside or frames)[-FRAMES_MAX:])).rstrip()


_watch = _Watch()


def threads() -> int:
    """Return how many threads this module keeps."""
    return int(_watch.thread is not None)


def _handle(number: int, frame: FrameType | None) -> None:
    """Give up the run that the watch has found; it runs in the main thread, between two instructions of it."""
    found = _watch.found
    if found is not None and found.engine is _watch.engine:
        if found.engine.progress() == found.given_up.progress:
            raise found.given_up
        _watch.found = None  # it moved after all


@contextmanager
def watched(engine: Engine) -> Iterator[None]:
    """Watch a run for the length of the block.  Raises ForeignCall if it stopped doing ops, MachineError."""
    main = threading.current_thread() is threading.main_thread()
    if _watch.engine is not None:  # a run inside another thread's run: the first one is watched
        yield
        return
    _watch.interruptible = main
    if main and signal.getsignal(SIGNAL) is not _handle:
        signal.signal(SIGNAL, _handle)
    _watch.runner = threading.get_ident()
    _watch.found = None
    given_up = False
    try:
        try:
            _watch.engine = engine
            _watch.start()
            yield
        finally:
            _watch.engine = None
    except GivenUp:
        given_up = True
    found, _watch.found = _watch.found, None  # which knows the engine, and so all that the run made
    if found is not None and found.engine is engine and (given_up or (main and not engine.real_threads)):
        raise found.error
