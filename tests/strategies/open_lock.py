"""A lock that any task may release, as `threading.Lock` is; the runtime's own refuse all but their holder."""

from __future__ import annotations

from typing import Any

from mmrace.runtime import live
from mmrace.runtime.errors import Violation
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import Kind
from mmrace.runtime.task import Gate, Guard, Task
from tests.runtime.engines import Box


class OpenLock(Gate):
    """See the module docstring."""

    __slots__ = ()

    def acquire(self) -> None:
        """Take it, waiting while it is held.  Point: always (disabled while held)."""
        code = self.code + Kind.ACQUIRE
        task = live.gated(self, code)
        self._taken(task)
        task.log((task.id, code, None, None))

    def try_(self) -> bool:
        """Take it if it is free.  Point: always."""
        code = self.code + Kind.TRY
        task = live.point(self, code)
        ok = not self.busy
        if ok:
            self._taken(task)
        task.log((task.id, code, ok, None))
        return ok

    def release(self) -> None:
        """Release it, whoever holds it.  Raises Violation if it is free.  Point: always."""
        code = self.code + Kind.RELEASE
        task = live.point(self, code)
        was_free = not self.busy
        self.owner = None
        live.engine.set_free(self)
        task.log((task.id, code, None, None))
        if was_free:
            raise Violation("lock-discipline", "release of a free lock", task=task.name)

    def _taken(self, task: Task) -> None:
        self.owner = task
        live.engine.set_busy(self)


class _OpenLockPart(Part):
    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> OpenLock:
        return OpenLock(code, guard)


def open_lock() -> OpenLock:
    """Declare a lock that any task may release."""
    part: Any = _OpenLockPart()
    return part  # type: ignore[no-any-return]


class Room(Box):
    """A box with a lock that any task may release."""

    lock = open_lock()


def room() -> Room:
    """Make a room."""
    return Room(("box", 0), words=2)
