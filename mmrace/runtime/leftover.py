"""Threads that a run leaves behind: they block, or compute, where no point is, and nobody can make them come back.

Whoever watches a run gives such tasks up; the run ends with `GivenUp`.  Its engine unwinds the others and forgets
these.  When the thread of one comes back after all, `Abort` meets it at once, and at every op that it does while it
unwinds, in a `finally`: no op of it reaches the run that goes on by then.  Invariant: while there is no such thread, an
op costs nothing here.  Not prevented: a note, a mark or a new object of a thread that unwinds.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import wraps
from threading import get_ident
from typing import Any, TypeVar

from mmrace.runtime.errors import Abort
from mmrace.runtime.said import FromOutside
from mmrace.runtime.task import Task

C = TypeVar("C", bound=Callable[..., Any])

_left: set[int] = set()
"""Idents of the threads that are left behind and have not come back."""


class GivenUp(FromOutside):
    """Raised in the thread that makes a run; no `except Exception` of the program stops it.

    Args: tasks: those that do nothing any more.  progress: of the run, when that was seen.
    """

    def __init__(self, tasks: tuple[Task, ...], progress: int) -> None:
        self.tasks, self.progress = tasks, progress
        super().__init__()


def leave(ident: int) -> None:
    """Leave a thread behind."""
    _left.add(ident)
    throw(ident, Abort)


def throw(ident: int, error: type[BaseException]) -> None:
    """Raise an exception in another thread, as soon as that does anything in Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(error))


def back() -> None:
    """Note that the thread that calls has come back and ends: its ident can be another thread's soon."""
    _left.discard(get_ident())


def guarded(*functions: C) -> tuple[C, ...]:
    """Return the functions, so that they refuse whoever is left behind; as they are, if nobody is."""
    return tuple(map(_guard, functions)) if _left else functions


def _guard(function: C) -> C:
    @wraps(function)
    def guard(*args: Any) -> Any:
        if get_ident() in _left:
            raise Abort
        return function(*args)

    return guard  # type: ignore[return-value]
