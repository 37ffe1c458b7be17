"""The debugger at a step of a run: Python's own, or whatever `sys.breakpointhook` and PYTHONBREAKPOINT name.

Python's own stands in the frame of the program's code that is about to do the op; `next` goes on to its next line, with
whatever other tasks do meanwhile, and never into the runtime.  Another debugger is called as `breakpoint()` would be in
that line: in a frame with its file, line and names.  Invariant: to quit ends the run, and nothing is said of it.  Not
here: which step (`runtime/breaking.py`).
"""

from __future__ import annotations

import ast
import bdb
import os
import pdb
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mmrace.runtime import pool
from mmrace.runtime.breaking import BreakAt, Leave, Stop
from mmrace.runtime.errors import EXIT_UNKNOWN, MmraceError, NondeterminismError, UsageError
from mmrace.runtime.sites import RUNTIME_FILES

NOT_ENTERED = ("mmrace.runtime.*", "mmrace.strategies.*", "mmrace.runs.*", "threading")
"""Modules whose lines nobody steps through: what is between an op and the program."""
OWN = ("", "pdb.set_trace")
"""What PYTHONBREAKPOINT says if Python's own debugger is meant."""
ENGINE = "gate"


class DebuggerQuit(MmraceError):
    """A run was ended in the debugger: nothing is known of it."""

    exit_code = EXIT_UNKNOWN

    def __init__(self, event: int) -> None:
        self.event = event
        super().__init__(f"UNKNOWN: the run was quit in the debugger, where it was stopped before event {event}")


def check_engine(engine: str, where: str) -> None:
    """Raise UsageError for an engine under which no task has a thread of its own to be stopped in."""
    if engine != ENGINE:
        raise UsageError(
            expected=f"--engine {ENGINE}, where each task has its own thread and the others stand still",
            got=engine,
            where=where,
            try_=f"--engine {ENGINE}: the same seed makes the same run there" if engine == "fiber" else "",
        )


def ask(stop: Stop, frame: FrameType, leave: Leave) -> None:
    """Give a person the floor, in the thread and at the place where the run was stopped."""
    own = sys.breakpointhook is sys.__breakpointhook__ and os.environ.get("PYTHONBREAKPOINT", "") in OWN
    try:
        if own:
            _Debugger(leave).begin(frame)
        else:
            with _prompting():
                _call_hook(frame)
    except bdb.BdbQuit:
        leave()


def _call_hook(frame: FrameType) -> None:
    """Call `breakpoint()` as if it stood in a line of the program."""
    call = ast.parse("breakpoint()")
    ast.increment_lineno(call, frame.f_lineno - 1)
    exec(compile(call, frame.f_code.co_filename, "exec"), {**frame.f_globals, **frame.f_locals})


def _program_frames(frame: FrameType) -> list[FrameType]:
    """Return the frames of the program from one on, up to the function of the task; not those of the runtime."""
    frames: list[FrameType] = []
    here: FrameType | None = frame
    while here is not None:
        frames.append(here)
        here = here.f_back
    runtime = [i for i, other in enumerate(frames) if other.f_code.co_filename in RUNTIME_FILES]
    inside = frames[: runtime[-1]] if runtime else frames  # above it is the thread
    return [other for other in inside if other.f_code.co_filename not in RUNTIME_FILES]


class _Debugger(pdb.Pdb):
    """Python's debugger, begun in a frame that is not traced yet."""

    def __init__(self, leave: Leave) -> None:
        super().__init__(skip=NOT_ENTERED, nosigint=True)
        self.leave = leave
        self.let_go = False

    def begin(self, frame: FrameType) -> None:
        """Ask at `frame`; then trace this thread as far as the answers want it."""
        self.reset()
        for here in _program_frames(frame):
            here.f_trace = self.trace_dispatch
            self.botframe = here
        self.interaction(frame, None)
        if self.quitting:
            raise bdb.BdbQuit
        if not self.let_go:
            sys.settrace(self.trace_dispatch)

    def interaction(self, *args: Any, **named: Any) -> None:
        """Ask, here and at each line where the answers want it."""
        with _prompting():
            super().interaction(*args, **named)

    def set_continue(self) -> None:
        """Trace no more, if there is no breakpoint."""
        super().set_continue()
        self.let_go = not self.breaks

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Trace; to quit ends the run instead of the task."""
        try:
            return super().trace_dispatch(frame, event, arg)
        except bdb.BdbQuit:
            sys.settrace(None)
            self.leave()


@contextmanager
def ending(breaking: BreakAt | None) -> Iterator[None]:
    """Around a run that may be stopped: end what a debugger left in its threads.  Raises DebuggerQuit."""
    if breaking is None:
        yield
        return
    try:
        with _hinting():
            yield
    except NondeterminismError as error:  # a strict replay misses the rest
        if breaking.quit:
            raise DebuggerQuit(_event(breaking)) from error
        raise
    finally:
        pool.drain()


_prompts: list[str] = []
"""Threads that ask somebody just now."""


@contextmanager
def _prompting() -> Iterator[None]:
    _prompts.append(threading.current_thread().name)
    try:
        yield
    finally:
        _prompts.pop()


@contextmanager
def _hinting() -> Iterator[None]:
    """Have Ctrl-C say how to leave, as long as somebody is asked: it comes to another thread than the one that asks."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        if _prompts:
            hint()
        else:
            before(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def hint() -> None:
    """Say how a person leaves the debugger."""
    sys.stderr.write("\nmmrace: q ends the run, c lets it go on\n")


def check_finished(breaking: BreakAt | None) -> None:
    """After a run, before it is judged: raise DebuggerQuit if it was ended in the debugger."""
    if breaking is not None and breaking.quit:
        raise DebuggerQuit(_event(breaking))


def _event(breaking: BreakAt) -> int:
    return breaking.stop.event if breaking.stop is not None else 0
