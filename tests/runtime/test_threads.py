"""A machine without threads is told at once, by its own words, and nothing is left of what could not begin."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runtime import live, pool
from mmrace.runtime.errors import EXIT_UNKNOWN, MachineError
from tests.runtime.engines import Outcome, box, free, gate

TASKS = 5
CAUSE = "can't start new thread"


def some_tasks() -> None:
    """Start tasks that all wait for the first."""
    shared = box()
    rt.mutex_lock(shared.mutex)

    def body() -> None:
        rt.mutex_lock(shared.mutex)
        rt.mutex_unlock(shared.mutex)

    for _ in range(TASKS):
        rt.spawn(body)
    rt.mutex_unlock(shared.mutex)


def only(count: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many threads of the pool begin, and no more."""
    pool.drain()
    begin, left = pool.Worker.start, [count]

    def start(self: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError(CAUSE)
        left[0] -= 1
        begin(self)

    patch.setattr(pool.Worker, "start", start)


@pytest.mark.parametrize("on", [gate, free])
@pytest.mark.parametrize("count", [0, 1, TASKS])
def test_a_run_for_which_there_is_no_thread_ends_at_once_and_says_why(
    monkeypatch: pytest.MonkeyPatch, on: Callable[..., Outcome], count: int
) -> None:
    """BUG once: the others were waited for, a minute later it was "did not unwind", mmrace's own bug."""
    with monkeypatch.context() as patch:
        only(count, patch)
        with pytest.raises(MachineError, match=CAUSE) as caught:
            on(some_tasks)
        assert caught.value.exit_code == EXIT_UNKNOWN
        assert "no thread left" in str(caught.value) and "bug" not in str(caught.value)
    assert live.engine is live.NO_ENGINE
    assert pool.pool_size() == count, "only what began is counted"
    assert on(some_tasks).how == "finished"
