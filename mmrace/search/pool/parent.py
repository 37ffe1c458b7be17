"""The parent's side of the workers: processes, one pipe each, and what became of them.

Each of `jobs` slots has at most one process per engine, started when first needed, and works on one batch at a time.
Invariant: as `contract.Pool` has it; a process that hangs is ended.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection as connection_
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from types import ModuleType, TracebackType

from mmrace.runs import stops
from mmrace.runtime.silence import SHORT_SECONDS, Silence
from mmrace.search.pool import ending
from mmrace.search.pool.child import NO_POSITION, Orders, work
from mmrace.search.pool.contract import STARTS_AGAIN_MAX, Ended, Event, Lost, Reported
from mmrace.search.pool.cores import cores
from mmrace.search.pool.heart import CONVERTING, OPS, POSITION, STOP, TURNS, Pulse
from mmrace.search.pool.making import Makes
from mmrace.search.pool.messages import Batch

HANG_SECONDS = 120.0
"""A run that does no op for so long is hung: the free engine's own watchdog, and the one for what blocks outside the
runtime, speak within seconds, and a run is judged within one or two."""
BOOT_SECONDS = 60.0  # that a process has to start and import what it needs, which takes a second or two
START_AGAIN_SECONDS = 5.0  # after which a worker that could not be started is tried again, the first time
JOIN_SECONDS = 5.0  # for a process that was killed to be gone
LEAVE_SECONDS = 0.5  # for all that have nothing to do to go of themselves
MALLOC_ARENAS = "1"
"""glibc gives each of many short-lived threads an arena of its own and returns little of it; a worker has one thread at
a time that allocates much."""

_context = multiprocessing.get_context("spawn")


class Process:
    """One worker process."""

    def __init__(self, slot: int, engine: str, ordinal: int, orders: Orders) -> None:
        self.slot, self.name = slot, f"{engine}.{slot}" + (f"#{ordinal}" if ordinal else "")
        self.batch: Batch | None = None
        self.reported = 0
        self.connection, theirs = _context.Pipe()
        self.pulse: Pulse = _context.RawArray("q", [0, NO_POSITION, 0, 0, 0])
        self.process = _context.Process(
            target=work, args=(orders, theirs, self.pulse), name=f"mmrace worker {self.name}", daemon=True
        )
        os.environ.setdefault("MALLOC_ARENA_MAX", MALLOC_ARENAS)
        try:
            with _interrupts_held(), _without_main():
                self.process.start()
        except OSError:
            self.connection.close()
            raise
        finally:
            theirs.close()
        self._silence = Silence(0.0)

    def submit(self, batch: Batch, now: float) -> None:
        """Send a batch.  A worker that died meanwhile is found out by the next poll."""
        self.batch, self.reported = batch, 0
        self._silence = Silence(now, self.process.pid)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(batch)

    def receive(self) -> Iterator[Event]:
        """Yield what the worker sent since last time.  Raises EOFError when there is no worker any more."""
        try:
            while self.connection.poll():
                kind, body = self.connection.recv()
                assert self.batch is not None
                jobs = self.batch.jobs
                if kind == "done":
                    self.reported = body[-1][0] + 1
                    yield Reported([(jobs[position], outcome) for position, outcome in body])
                else:
                    batch, self.batch = self.batch, None
                    yield Ended(self.name, batch, list(jobs[self.reported :]), body)
        except OSError as error:
            raise EOFError from error

    def hangs(self, now: float, limit: float) -> bool:
        """Whether the run in progress has done no op for longer than `limit` seconds that it had."""
        if self.batch is None:
            return False
        turns = self.pulse[TURNS]
        silent = self._silence.look(now, (turns, self.pulse[OPS]))
        if silent > SHORT_SECONDS and ending.is_stopped(self.process.pid):
            self._silence.forgive()  # now, not at the limit: it may be let go just then, and has done nothing yet
            return False
        return silent > (limit if turns else max(limit, BOOT_SECONDS))

    def unbegun(self) -> Ended | None:
        """If it has not begun a run yet, as on a loaded machine for seconds, end it: it holds nothing."""
        if self.batch is None or self.pulse[TURNS]:
            return None
        batch, self.batch = self.batch, None
        self.process.kill()
        self.process.join(JOIN_SECONDS)
        self.connection.close()
        return Ended(self.name, batch, list(batch.jobs), None)

    def lost(self, rule: str) -> Lost:
        """Bury the process: nothing more can come from it."""
        batch, self.batch = self.batch, None
        if rule == DIED:  # its pipe may be closed before it is gone, and how it went is its own to say
            self.process.join(JOIN_SECONDS)
        died = not self.process.is_alive()
        self.process.kill()
        self.process.join(JOIN_SECONDS)
        self.connection.close()
        code = self.process.exitcode
        how = ending.told(code) if died else "hung and was ended"
        jobs = list(batch.jobs) if batch else []
        position = self.pulse[POSITION]
        culprit = jobs[position] if self.reported <= position < len(jobs) else None
        undone = [job for job in jobs[self.reported :] if job is not culprit]
        in_vain = not self.reported and position <= 0
        outside = died and ending.from_outside(code)
        return Lost(self.name, batch or Batch(()), culprit, undone, rule, how, in_vain, outside)


DIED = "worker died"
HUNG = "worker hung"


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start a process with what asks to stop blocked, so that it is not hit before it ignores these signals itself.

    The resource tracker is started first, since that unblocks signals; it keeps SIGHUP blocked.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops.NUMBERS)
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, stops.NUMBERS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_main() -> Iterator[None]:
    """Start a process that does not import the parent's main module: it needs none of it.

    A script that explores at its top level would explore again in each worker, and start workers there.
    """
    mine = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = mine


class ProcessPool:
    """Worker processes of this machine.  Use as a context manager: on exit every process has ended.

    A slot whose process cannot be started is tried again after a while, while others work (`_reopen`).
    Args: on: the cores that controlled runs are pinned to, in turn; without any, all that this process may use.
    """

    def __init__(
        self,
        jobs: int,
        making: Makes,
        *,
        hang_seconds: float = HANG_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        on: Sequence[int] = (),
    ) -> None:
        self.making, self.hang_seconds, self.clock = making, hang_seconds, clock
        self._slots = list(range(jobs))
        self._closed: dict[int, float] = {}  # slot -> when it is tried again
        self._vain: Counter[int] = Counter()  # starts of a slot in a row that failed
        self._cores = on or cores()
        self._processes: dict[tuple[int, str], Process] = {}
        self._started: dict[tuple[int, str], int] = {}

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    @property
    def places(self) -> int:
        """How many slots there are."""
        return len(self._slots)

    @property
    def free(self) -> int:
        """How many slots have nothing to do."""
        return len(self._slots) - len(self._busy())

    @property
    def idle(self) -> bool:
        """Whether no slot has anything to do."""
        return not self._busy()

    @property
    def converting(self) -> int:
        """How many workers are making a failure of free threads again under control."""
        return sum(bool(process.pulse[CONVERTING]) for process in self._busy())

    def submit(self, batch: Batch) -> None:
        """Give a batch to a free slot.  Raises OSError if its process cannot be started."""
        busy = {process.slot for process in self._busy()}
        slot = next(slot for slot in self._slots if slot not in busy)
        engine = batch.engine
        key = (slot, engine)
        process = self._processes.get(key)
        if process is None:
            core = self._cores[slot % len(self._cores)] if engine != "free" else None
            ordinal = self._started.get(key, 0)
            try:
                process = Process(slot, engine, ordinal, Orders(self.making, core))
            except OSError:
                self._slots.remove(slot)
                self._vain[slot] += 1
                self._closed[slot] = self.clock() + START_AGAIN_SECONDS * 2 ** (self._vain[slot] - 1)
                raise
            self._vain[slot] = 0
            self._processes[key] = process
            self._started[key] = ordinal + 1
        process.submit(batch, self.clock())

    def poll(self, timeout: float) -> list[Event]:
        """Wait up to `timeout` seconds for news; return all there is."""
        busy = self._busy()
        sources: list[Connection | int] = [process.connection for process in busy]
        if sources and not any(process.pulse[STOP] and not process.pulse[TURNS] for process in busy):
            connection_.wait([*sources, *(process.process.sentinel for process in busy)], timeout)
        now = self.clock()
        self._reopen(now)
        events: list[Event] = []
        for process in busy:
            ended = process.unbegun() if process.pulse[STOP] else None
            if ended is not None:
                events.append(ended)
                self._forget(process)
                continue
            dead = not process.process.is_alive()  # asked first: what it sent before it died is read below
            try:
                events.extend(process.receive())
            except EOFError:
                dead = True
            if process.batch is not None and (dead or process.hangs(now, self.hang_seconds)):
                events.append(process.lost(DIED if dead else HUNG))
                self._forget(process)
        return events

    def stop(self) -> None:
        """Let every worker end its batch after the run in progress."""
        for process in self._processes.values():
            process.pulse[STOP] = 1

    def close(self) -> None:
        """End every process: idle ones by asking, busy ones by force, and so who does not listen."""
        for process in self._processes.values():
            if process.batch is None:
                with contextlib.suppress(OSError):
                    process.connection.send(None)
            else:
                process.process.kill()
        until = time.monotonic() + LEAVE_SECONDS
        for process in self._processes.values():
            process.process.join(max(0.0, until - time.monotonic()))
            if process.process.is_alive():
                process.process.kill()
                process.process.join(JOIN_SECONDS)
            process.connection.close()
        self._processes.clear()

    def _reopen(self, now: float) -> None:
        """Let slots be tried again whose time has come: what the machine lacked may be there by now."""
        for slot, when in list(self._closed.items()):
            if now >= when:
                del self._closed[slot]
                if self._vain[slot] <= STARTS_AGAIN_MAX:
                    self._slots.append(slot)

    def _busy(self) -> Sequence[Process]:
        return [process for process in self._processes.values() if process.batch is not None]

    def _forget(self, process: Process) -> None:
        for key, value in list(self._processes.items()):
            if value is process:
                del self._processes[key]
