"""The worker's side: one process that makes runs, one after the other, and tells what came of them.

Messages to the parent: ("done", [(position, Outcome)]), ("end", Health), and nothing else.  Passed runs wait and go
out together; a failed one goes at once.  Which run is being made is told by a shared number, not by a message: it
costs nothing, and it is still there when the worker is not.
Invariant: a gate worker is pinned to one core before its first thread exists (threads inherit it; a gate that moves
between cores takes two to three times as long).  A worker outlives what a run raises; only a signal ends it.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore, Saved
from mmrace.runtime.errors import EXIT_INTERNAL, MmraceError
from mmrace.search.pool.messages import Batch, Health, Job, Outcome

RunFunction: TypeAlias = Callable[[RunSpec, bool], RunResult]
"""`run_one`, or what a test puts in its place."""

Pulse: TypeAlias = MutableSequence[int]
"""Shared with the parent: [turns begun, position in the batch, asked to stop]."""
TURNS, POSITION, STOP = 0, 1, 2
NO_POSITION = -1

FLUSH_SECONDS = 0.25  # the parent's view is never older; at thousands of runs a second it is some hundred messages less
TROUBLE_LINES_MAX = 40


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told once.  `core` None: not pinned."""

    run: RunFunction
    folder: str
    keep_canaries: bool
    core: int | None


def work(orders: Orders, connection: Connection, pulse: Pulse) -> None:
    """Serve batches until the parent says None or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    if orders.core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {orders.core})
    try:
        while True:
            batch: Batch | None = connection.recv()
            if batch is None:
                return
            _serve(orders, batch, connection, pulse)
            gc.collect()  # a run's model is one knot of cycles: let go of it here, not at a moment of its own choice
            connection.send(("end", health()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody is left to tell


def _serve(orders: Orders, batch: Batch, connection: Connection, pulse: Pulse) -> None:
    waiting: list[tuple[int, Outcome]] = []
    last = time.monotonic()
    for position, job in enumerate(batch.jobs):
        if pulse[STOP]:
            break
        pulse[POSITION] = position
        pulse[TURNS] += 1
        outcome = make(orders, job, batch.until)
        waiting.append((position, outcome))
        now = time.monotonic()
        if outcome.verdict == "FAIL" or outcome.trouble or now - last >= FLUSH_SECONDS:
            connection.send(("done", waiting))
            waiting, last = [], now
        if batch.stop_at_failure and outcome.verdict == "FAIL":
            break
        if batch.until is not None and any(finding.oracle == batch.until for finding in outcome.findings):
            break
    pulse[POSITION] = NO_POSITION
    if waiting:
        connection.send(("done", waiting))


def make(orders: Orders, job: Job, until: str | None) -> Outcome:
    """Make one run, keep what it found, let its record go.  `until`: the oracle that a canary is meant for."""
    try:
        result = orders.run(job.spec, False)
    except Exception as error:
        return Outcome("UNKNOWN", trouble=trouble(error))
    return outcome_of(result, _keep(orders, job, until, result) if result.verdict == "FAIL" else Saved())


def trouble(error: Exception) -> tuple[int, str]:
    """Return the exit code of a run that could not be made, and what to say.  Call it where `error` is handled."""
    if isinstance(error, MmraceError):
        return error.exit_code, str(error)
    lines = traceback.format_exc().splitlines()[-TROUBLE_LINES_MAX:]
    return EXIT_INTERNAL, "\n".join(["mmrace bug:", *lines])


def outcome_of(result: RunResult, saved: Saved) -> Outcome:
    """Return what is left of a run."""
    return Outcome(
        verdict=str(result.verdict),
        findings=result.findings,
        ops=result.ops,
        switches=result.switches,
        seconds=result.seconds,
        counters=dict(result.counters),
        marks=dict(result.marks),
        unknown=dict(result.unknown),
        saved=saved.folder,
        known=saved.known,
        unsaved=saved.error,
        digest=result.digest,
        exercised=result.exercised,
        profile=result.profile,
        shown=result.shown,
    )


def _keep(orders: Orders, job: Job, until: str | None, result: RunResult) -> Saved:
    """Save a finding; of a canary, which is meant to fail, the one it was planted for, if that was asked for."""
    if job.role != "canary":
        return FindingStore(Path(orders.folder) / "findings").save(result)
    if orders.keep_canaries and any(finding.oracle == until for finding in result.findings):
        return FindingStore(Path(orders.folder) / "canaries" / job.source).save(result)
    return Saved()


def health() -> Health:
    """Measure this process.  Threads that `mmrace.runtime` keeps between runs are not stray."""
    from mmrace import runtime  # noqa: PLC0415  (a worker with a stand-in for `run_one` needs no runtime)

    kept = 1 + runtime.pool_size()
    return Health(rss_bytes(), max(0, threading.active_count() - kept))


def rss_bytes() -> int:
    """Return the resident memory of this process; where /proc is missing, its peak."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
