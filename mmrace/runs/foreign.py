"""Notice a run that does no op: a task blocks, or computes without end, where the runtime cannot see it.

A controlled run has one task at a time; one that calls `time.sleep`, takes a plain `threading.Lock` or reads a socket
stops them all, and no schedule goes on.  A watching thread looks at the run's step once a second; when it has not moved
for `PATIENCE_CHECKS` looks, the watch takes the stack of whoever should be moving and interrupts the run, which ends as
`ForeignCall`.  Invariant: an op costs nothing here.  Not here: engine `free`, which has a watchdog of its own; and runs
outside the process's main thread, which Python cannot interrupt: there the stack is written to stderr.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import EXIT_UNKNOWN, MmraceError

CHECK_SECONDS = 1.0
PATIENCE_CHECKS = 5
"""Looks, not seconds: a process that was suspended has not been looked at meanwhile."""
SIGNAL = signal.SIGURG  # ignored where nobody handles it, and used by nobody
FRAMES_MAX = 12
_WAITING = ("runtime/gate.py", "runtime/pool.py", "threading.py")
"""Where a thread's innermost frame is while the thread waits for its turn."""


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


class Interruption(BaseException):
    """Thrown into the thread that makes the run; no `except Exception` of the program stops it."""


class _Watch:
    """The watching thread, and the run that it looks at."""

    def __init__(self) -> None:
        self.engine: Controlled | None = None
        self.thread: threading.Thread | None = None
        self.runner = 0  # ident of the thread that makes the run
        self.interruptible = False
        self.found: tuple[Controlled, ForeignCall] | None = None
        self.begun = threading.Event()

    def start(self) -> None:
        """Start the thread, once a process."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._look, name="mmrace.watch", daemon=True)
            self.thread.start()
        self.begun.set()

    def _look(self) -> None:
        seen: tuple[Controlled | None, int] = (None, 0)
        looks = 0
        pause = threading.Event()
        while True:
            self.begun.wait()
            pause.wait(CHECK_SECONDS)
            engine = self.engine
            now = (engine, 0 if engine is None else engine.step)
            looks = looks + 1 if engine is not None and now == seen else 0
            if engine is None:
                self.begun.clear()
            elif looks >= PATIENCE_CHECKS and self.found is None:
                self._interrupt(engine)
            seen = now

    def _interrupt(self, engine: Controlled) -> None:
        error = ForeignCall(engine.running.name, self._stack())
        self.found = engine, error
        if self.interruptible:
            signal.pthread_kill(self.runner, SIGNAL)
        else:
            sys.stderr.write(f"mmrace: {error}\n")

    def _stack(self) -> str:
        """Return the stack of the thread that should be moving."""
        frames = sys._current_frames()
        watch = threading.get_ident()
        mine = frames.get(self.runner)
        if isinstance(self.engine, Controlled) and self.engine.real_threads:
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            busy = [
                frame
                for ident, frame in frames.items()
                if ident not in (watch, self.runner)
                and names.get(ident, "").startswith("mmrace-")
                and not frame.f_code.co_filename.replace("\\", "/").endswith(_WAITING[:2])
            ]
            mine = busy[0] if busy else mine
        return "".join(traceback.format_stack(mine)[-FRAMES_MAX:]).rstrip() if mine is not None else "(gone)"


_watch = _Watch()


def threads() -> int:
    """Return how many threads this module keeps."""
    return int(_watch.thread is not None)


def _handle(number: int, frame: FrameType | None) -> None:
    """Interrupt the run that the watch has found; it runs in the main thread, between two instructions of it."""
    if _watch.found is not None and _watch.found[0] is _watch.engine:
        raise Interruption


@contextmanager
def watched(engine: Controlled) -> Iterator[None]:
    """Watch a run for the length of the block.  Raises ForeignCall if it stopped doing ops."""
    main = threading.current_thread() is threading.main_thread()
    if _watch.engine is not None:  # a run inside another thread's run: the first one is watched
        yield
        return
    _watch.interruptible = main
    if main and signal.getsignal(SIGNAL) is not _handle:
        signal.signal(SIGNAL, _handle)
    _watch.runner = threading.get_ident()
    _watch.found = None
    _watch.engine = engine
    _watch.start()
    try:
        try:
            yield
        finally:
            _watch.engine = None
    except Interruption:
        pass
    found, _watch.found = _watch.found, None  # which knows the engine, and so all that the run made
    if found is not None and found[0] is engine and main:
        raise found[1]
