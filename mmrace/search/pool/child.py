"""The worker's side: one process that makes runs, one after the other, and tells what came of them.

Messages to the parent: ("done", [(position, Outcome)]), ("end", Health), and nothing else.  Passed runs wait and go
out together; a failed one goes at once.  Which run is being made, and how far it is, is told by shared numbers
(`heart.py`), not by messages: it costs nothing, and they are still there when the worker is not.
Invariant: a worker of a controlled engine is pinned to one core before its first thread exists (threads inherit it; a
gate that moves between cores takes two to three times as long).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

from mmrace.runs import output, stops
from mmrace.search.pool.health import health
from mmrace.search.pool.heart import CONVERTING, POSITION, STOP, TURNS, Heart, Pulse
from mmrace.search.pool.inline import ends
from mmrace.search.pool.making import Makes
from mmrace.search.pool.messages import Batch, Outcome

NO_POSITION = -1

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

FLUSH_SECONDS = 0.25  # the parent's view is never older; at thousands of runs a second it is some hundred messages less


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told once.  `core` None: not pinned."""

    making: Makes
    core: int | None


def work(orders: Orders, connection: Connection, pulse: Pulse) -> None:
    """Serve batches until the parent says None or is gone."""
    for number in stops.NUMBERS:  # they reach the whole group; the parent decides
        signal.signal(number, signal.SIG_IGN)
    if not _end_with_parent():
        return
    output.own()
    if orders.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {orders.core})
    Heart(pulse).start()
    try:
        while True:
            batch: Batch | None = connection.recv()
            if batch is None:
                return
            _serve(orders.making, batch, connection, pulse)
            connection.send(("end", health()))
            if not gc.get_freeze_count():
                _settle()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody is left to tell


def _settle() -> None:
    """Have the collector pass by what is there after the first batch: modules, and what runs share, for good.

    It goes through all of that again and again, which is a thirtieth of the time of short runs.
    """
    gc.collect()
    gc.freeze()


def _end_with_parent() -> bool:
    """Have this process killed when its parent has ended, even during a run; return whether there is a parent."""
    with contextlib.suppress(OSError, AttributeError):  # a C library without prctl
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()


def _serve(making: Makes, batch: Batch, connection: Connection, pulse: Pulse) -> None:
    def converts(now: bool) -> None:
        pulse[CONVERTING] = now

    waiting: list[tuple[int, Outcome]] = []
    last = time.monotonic()
    for position, job in enumerate(batch.jobs):
        if pulse[STOP]:
            break
        pulse[POSITION] = position
        pulse[TURNS] += 1
        try:
            with stops.while_wanted(lambda: not pulse[STOP]):
                outcome = making.make(job, batch, converts)
        except stops.Unwanted:
            break
        waiting.append((position, outcome))
        now = time.monotonic()
        if outcome.result is None or outcome.result.verdict == "FAIL" or now - last >= FLUSH_SECONDS:
            connection.send(("done", waiting))
            waiting, last = [], now
        if ends(batch, outcome):
            break
    pulse[POSITION] = NO_POSITION
    if waiting:
        connection.send(("done", waiting))
