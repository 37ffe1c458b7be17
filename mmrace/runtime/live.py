"""The engine that runs in this process, as bare module globals.

Every op of the model goes through `point` (or `gated`), so they are bound here directly instead of being looked up on
an object.  Invariant: one engine runs at a time; only engines call `install` and `remove`.  Primitives read
``live.point`` and ``live.engine`` at each use and never keep them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, cast

from mmrace.runtime.errors import UsageError
from mmrace.runtime.leftover import guarded

if TYPE_CHECKING:
    from mmrace.runtime.contract import Engine
    from mmrace.runtime.task import Gate, Guarded, Task


def _no_engine(*_: object) -> NoReturn:
    raise UsageError(
        expected="a live engine",
        got="an access to shared state outside a run",
        where="mmrace.runtime",
        try_="touch model state only inside a task; use peek() or ghost state elsewhere",
    )


class _NoEngine:
    """What `engine` is outside a run: it has no observer, and asking it for anything else raises UsageError."""

    observer = None

    def __getattr__(self, name: str) -> Any:
        _no_engine()


NO_ENGINE = cast("Engine", _NoEngine())

point: Callable[[Guarded, int], Task] = _no_engine
gated: Callable[[Gate, int], Task] = _no_engine
access: Callable[[Guarded, int], Task] = _no_engine
current: Callable[[], Task] = _no_engine
engine: Engine = NO_ENGINE
"""The running engine, or `NO_ENGINE`."""
real_threads = True
"""Of the engine that ran last; see the contract."""


def install(new: Engine) -> None:
    """Make `new` the engine of this process.  Raises UsageError if another one is running."""
    global point, gated, access, current, engine, real_threads  # noqa: PLW0603
    if engine is not NO_ENGINE:
        raise UsageError(
            expected="no engine running in this process", got=type(engine).__name__, try_="one run at a time"
        )
    engine = new
    point, gated, access, current = guarded(new.point, new.gated, new.access, new.current)
    real_threads = new.real_threads


def remove(old: Engine) -> None:
    """Forget the running engine, if it is `old`: Ctrl-C may have come before, or while, it was installed."""
    global point, gated, access, current, engine
    if engine is not old:
        return
    engine, point, gated, access, current = NO_ENGINE, _no_engine, _no_engine, _no_engine, _no_engine
