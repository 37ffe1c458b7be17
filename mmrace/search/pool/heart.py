"""The worker's heart: tells its parent how far the run in progress is, so that a long run is not taken for a hung one.

A thread looks at the running engine now and then and copies its count of ops to where the parent sees it; an op costs
nothing more for that.  Invariant: it tells of ops only: of a run that does none it shows the same number for ever.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import MutableSequence
from typing import TypeAlias

from mmrace.runtime import live, threads
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import MachineError
from mmrace.runtime.free import FreeEngine

Pulse: TypeAlias = MutableSequence[int]
"""Shared with the parent: [turns begun, position in the batch, asked to stop, ops of the run in progress, whether a
failure of free threads is being made again under control]."""
TURNS, POSITION, STOP, OPS, CONVERTING = 0, 1, 2, 3, 4

NAME = "mmrace.heart"
BEAT_SECONDS = 0.5  # a small part of what a run may take without an op


class Heart:
    """The heart of this process."""

    def __init__(self, pulse: Pulse) -> None:
        self.pulse = pulse

    def start(self) -> None:
        """Beat for as long as the process lives; without a thread for it, runs have to be short."""
        with contextlib.suppress(MachineError):
            threads.start(threading.Thread(target=self._live, name=NAME, daemon=True))

    def beat(self) -> None:
        """Tell how far the run in progress is."""
        engine = live.engine
        if isinstance(engine, Controlled | FreeEngine):
            self.pulse[OPS] = engine.progress()

    def _live(self) -> None:
        pause = threading.Event()
        while True:
            self.beat()
            pause.wait(BEAT_SECONDS)


def beating() -> int:
    """Return how many threads this module keeps."""
    return sum(thread.name == NAME for thread in threading.enumerate())
