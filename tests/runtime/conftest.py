"""What every runtime test gets: a run on each engine, and a check that it leaves the process as it was."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from mmrace.runtime import live, watchdog
from tests.runtime.engines import CONTROLLED, FREE, SETUPS, Setup


@pytest.fixture(params=SETUPS, ids=lambda setup: setup.name)
def run(request: pytest.FixtureRequest) -> Setup:
    """Give each way to run a program, in turn."""
    setup: Setup = request.param
    return setup


@pytest.fixture(params=CONTROLLED, ids=lambda setup: setup.name)
def controlled(request: pytest.FixtureRequest) -> Setup:
    """Give each way under a controlled engine."""
    setup: Setup = request.param
    return setup


@pytest.fixture(params=FREE, ids=lambda setup: setup.name)
def noisy(request: pytest.FixtureRequest) -> Setup:
    """Give each way under the free-running engine."""
    setup: Setup = request.param
    return setup


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watchdog of `free` look often: the programs here are short."""
    monkeypatch.setattr(watchdog, "WATCH_SECONDS", 0.01)


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Fail a test after which an engine is still live, a setting is changed, or a foreign thread is left."""
    interval, cores = sys.getswitchinterval(), os.sched_getaffinity(0)
    foreign = {thread for thread in threading.enumerate() if not thread.name.startswith("mmrace-")}
    yield
    assert live.engine is live.NO_ENGINE
    assert sys.getswitchinterval() == interval
    assert os.sched_getaffinity(0) == cores
    assert {thread for thread in threading.enumerate() if not thread.name.startswith("mmrace-")} <= foreign
