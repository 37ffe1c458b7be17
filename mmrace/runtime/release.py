"""After a run: cut the rings in which its objects refer to each other.

For engines, when nobody will look at what objects hold any more.  Names, sizes and lanes stay, so that events can
still be read and named.  Invariant: what is cut is freed as soon as the run's owner lets go of it; nothing is left to
the garbage collector (a test says so for every way in which a run can end).
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from types import FrameType
from typing import Any

from mmrace.runtime.struct import Struct, real_class
from mmrace.runtime.task import Cpu, Task, not_started


def release(objects: Iterable[tuple[int, object]], tasks: Iterable[Task], cpus: Iterable[Cpu]) -> None:
    """Make all of a run's objects forget each other.  Args: objects: with their first lanes, as an engine has them."""
    for _, obj in objects:
        if isinstance(obj, Struct):
            _release(obj)
    for task in tasks:
        if task.exit_gate is not None:
            task.exit_gate.owner = None
        task.fn = task.gate = None
        task.args = ()
        task.log = not_started
        task.held = []
    for cpu in cpus:
        cpu.tasks = []
        cpu.irq_task = cpu.preempt_owner = cpu.owner = None


def _release(obj: Struct) -> None:
    """Make `obj` forget what it holds.

    An object that was never touched holds nothing but ghosts, whose rings, if any, lead through one that was.  One that
    Ctrl-C caught while it was made has a part of what it should have.
    """
    if not getattr(obj, "touched", False):
        return
    cls: Any = real_class(obj)
    obj.__class__ = cls
    for key, part in cls.knots:
        if (made := getattr(obj, key, None)) is not None:
            part.untie(made)
    cls.drop(obj)


def forget_frames(error: BaseException) -> None:
    """Drop the local variables of the frames that an error came through, and of their callers: the engine is one.

    Its traceback can still be printed.  Frames that are still running stay as they are.
    """
    seen: BaseException | None = error
    while seen is not None:
        for frame, _ in traceback.walk_tb(seen.__traceback__):
            caller: FrameType | None = frame
            while caller is not None:
                try:
                    caller.clear()
                except RuntimeError:  # it is running
                    break
                caller = caller.f_back
        seen = seen.__context__
