"""The engine that is live in this process, as bare module globals.

Every op of the model goes through `point` (or `gated`), so they are bound here directly and not looked up on an
object.  Invariant: at most one engine is live at a time; `install` and `remove` are called only by engines.
Primitives read ``live.point`` at each use and never keep it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace.runtime.errors import UsageError

if TYPE_CHECKING:
    from mmrace.runtime.contract import Engine, Gate, Guarded
    from mmrace.runtime.task import Task


def _no_engine(*_: object) -> Task:
    raise UsageError(
        expected="a live engine",
        got="an access to shared state outside a run",
        where="mmrace.runtime",
        try_="touch model state only inside a task; use peek() or ghost state elsewhere",
    )


point: Callable[[Guarded, int], Task] = _no_engine
gated: Callable[[Gate, int], Task] = _no_engine
access: Callable[[Guarded, int], Task] = _no_engine
current: Callable[[], Task] = _no_engine
engine: Engine | None = None
real_threads = True
"""Whether tasks are OS threads, so that locks of the model have to be real ones; so it is if an engine says nothing."""


def install(live: Engine) -> None:
    """Make `live` the engine of this process.  Raises UsageError if another one is running."""
    global point, gated, access, current, engine, real_threads  # noqa: PLW0603
    if engine is not None:
        raise UsageError(
            expected="no engine running in this process", got=type(engine).__name__, try_="one run at a time"
        )
    engine, point, gated, access, current = live, live.point, live.gated, live.access, live.current
    real_threads = getattr(live, "real_threads", True)


def remove() -> None:
    """Forget the live engine."""
    global point, gated, access, current, engine
    engine, point, gated, access, current = None, _no_engine, _no_engine, _no_engine, _no_engine


def need() -> Engine:
    """Return the live engine.  Raises UsageError outside a run."""
    if engine is None:
        _no_engine()
    assert engine is not None
    return engine
