"""A task that does not come back at the end of a run is named, with the calls that it is in."""

from __future__ import annotations

import threading

import pytest

from mmrace import runtime as rt
from mmrace.runtime import watchdog
from mmrace.runtime.errors import InternalError
from tests.runtime.engines import box, free


def test_a_task_that_does_not_unwind_is_told_with_the_calls_that_it_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "UNWIND_SECONDS", 0.05)
    held, let_go, left = threading.Event(), threading.Event(), threading.Event()

    def program() -> None:
        shared = box()

        def stays_in_a_call() -> None:
            try:
                held.set()
                rt.mutex_lock(shared.mutex)
            finally:
                let_go.wait()
                left.set()

        rt.mutex_lock(shared.mutex)
        rt.spawn(stays_in_a_call)
        held.wait()
        rt.bug_on(True, "the end of it")

    try:
        with pytest.raises(InternalError, match=r"did not unwind: main.0 in wait:\d+ < wait:\d+ < stays_in"):
            free(program)
    finally:
        let_go.set()
        assert left.wait(10.0)
