"""Code of a user's own that ends the whole process at once: it is stopped, and told as what that code raised.

`os._exit(0)` in a program would end a run, or a whole exploration, without a word and with the exit code of PASS.
Invariant: while `kept` is entered, whoever calls one of `WAYS` in this process gets `ProcessEnded`; a child that the
code forks leaves as it pleases, and so does a `threading.Timer`, as the watchdog of a test has one.  Not stopped: a
signal that a process sends to itself, and a crash in C; of those the exit code speaks.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from mmrace.runtime.said import shown

WAYS = ("_exit", "execv", "execve")
"""Functions of `os` that do not come back; the other ones that replace the process call the last two."""


class ProcessEnded(BaseException):
    """Raised instead of ending the process; no `except Exception` of the code takes it for an error of its own."""


class _Kept:
    """A block in which this process is not left.  Enter it as often as needed, from whatever thread.

    Ctrl-C can fall into its beginning or its end.  So who enters looks whether the ways are closed, and closes them
    before that counts; at worst they stay closed.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._depth = 0
        self._before: dict[str, Any] = {}

    def __enter__(self) -> None:
        with self._mutex:
            for name in WAYS:
                leave = getattr(os, name)
                if not hasattr(leave, "refuses"):
                    self._before[name] = leave
                    setattr(os, name, _refusing(name, leave))
            self._depth += 1

    def __exit__(self, *error: object) -> None:
        with self._mutex:
            self._depth -= 1
            if self._depth == 0:
                for name, leave in self._before.items():
                    setattr(os, name, leave)


def _refusing(name: str, leave: Callable[..., object]) -> Callable[..., object]:
    """Return what stands in for a way to leave.  A module that imports it from `os` meanwhile keeps it."""
    process = os.getpid()

    def refuse(*args: object, **named: object) -> object:
        if os.getpid() != process or isinstance(threading.current_thread(), threading.Timer):
            return leave(*args, **named)
        asked = [*map(shown, args[:1]), *(f"{key}={shown(value)}" for key, value in named.items())]
        raise ProcessEnded(f"os.{name}({', '.join(asked)}) ends the whole process")

    refuse.refuses = name  # type: ignore[attr-defined]
    return refuse


kept = _Kept()
