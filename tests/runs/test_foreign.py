"""A task that blocks outside the runtime ends the run with its stack, instead of hanging for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.runs import foreign
from mmrace.runs.foreign import ForeignCall
from mmrace.runs.functions import KIND, FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import EXIT_UNKNOWN


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "CHECK_SECONDS", 0.02)


def made(body: Callable[[], object], engine: str) -> None:
    """Make one run of a program with one task, which does `body`."""

    def main() -> None:
        rt.spawn(body, name="worker")
        rt.join_others()

    spec = RunSpec("here:main", engine=engine, strategy="random", maker=KIND)
    run_one(spec, makers=Makers(FunctionMaker({"here:main": main})))


def waits_for_nobody() -> None:
    """BUGGY: block where the runtime cannot see it, in a way that no `except Exception` ends."""
    try:
        threading.Event().wait()
    except Exception:
        raise AssertionError("swallowed") from None


def test_a_blocking_call_in_a_fiber_is_told_with_its_stack() -> None:
    with pytest.raises(ForeignCall) as caught:
        made(waits_for_nobody, "fiber")
    assert caught.value.exit_code == EXIT_UNKNOWN
    assert caught.value.task == "worker"
    assert "waits_for_nobody" in caught.value.stack


def test_the_run_after_it_is_as_any_other() -> None:
    with pytest.raises(ForeignCall):
        made(waits_for_nobody, "fiber")
    made(lambda: None, "fiber")


def test_an_endless_loop_without_ops_is_told_too() -> None:
    def spins() -> None:
        while True:
            pass

    with pytest.raises(ForeignCall, match="spins"):
        made(spins, "fiber")
