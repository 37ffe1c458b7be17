"""The far side: what a Dask worker does with an order.

Runs are made in a process of their own below the worker (`parent.py`, one job), as near ones are: it is pinned, ignores
signals, owns its output, and is watched for hanging; a run that kills it costs a process and not the worker.  Each
thread of a worker has one such process, of one campaign, and lets it go when nothing was ordered for a while.
Invariant: whoever is of another revision of mmrace makes no run: it says so.  Nothing here needs Dask, but to name the
worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from mmrace.runs.revision import revision
from mmrace.runtime.errors import EXIT_USAGE
from mmrace.search.pool.contract import Ended, Event, Lost, Reported
from mmrace.search.pool.cores import cores
from mmrace.search.pool.drive import POLL_SECONDS
from mmrace.search.pool.far_parcel import FarMaking, FarOutcome, Loss, Reply, packed, unpacked
from mmrace.search.pool.messages import Batch, Health
from mmrace.search.pool.parent import ProcessPool

IDLE_SECONDS = 10.0
"""After which a process that nothing was ordered of is let go: a campaign that was killed says no good-bye."""
STOPPED_MAX = 64  # campaigns that a worker remembers to have been stopped, and to have met
MEET_SECONDS, LOOK_SECONDS = 60.0, 0.05
TURNS_MAX = 16  # workers that share a core before any will do


@dataclass(frozen=True, slots=True)
class Campaign:
    """Whose runs are made.  `name`: no other has it.  `making`: packed.  `folder`: from where files are looked for."""

    name: str
    revision: str
    making: bytes
    folder: str


_stopped: deque[str] = deque(maxlen=STOPPED_MAX)
_met: deque[str] = deque(maxlen=STOPPED_MAX)
_here = threading.local()


def make(campaign: Campaign, order: bytes) -> bytes:
    """Make the runs of a packed batch; return a packed reply."""
    worker, address = _worker()
    refused = refusal(campaign.revision)
    if refused:
        return packed(Reply(worker, address, refused=refused))
    batch: Batch = unpacked(order)
    if campaign.name in _stopped:
        return packed(Reply(worker, address))
    host = getattr(_here, "host", None)
    if host is None or not host.serves(campaign):
        if host is not None:
            host.close()
        host = _here.host = Host(campaign)
    return packed(host.make(batch, f"{worker}/{batch.engine}", address))


def refusal(expected: str) -> str:
    """Say why this process cannot make runs for a client of some revision; "" if it can."""
    own = revision()
    if own == expected:
        return ""
    got = f"as the client has it; got mmrace {own}"
    return f"expected mmrace {expected}, {got}; try: install the mmrace of the client there"


def meet(name: str, expected: str) -> str:
    """Say why this process cannot make runs for a campaign of some revision; "" if it can."""
    _met.append(name)
    return refusal(expected)


def wait_to_be_met(name: str) -> None:
    """Be busy until a campaign has met this worker: whoever adapts ends those that have nothing to do."""
    until = time.monotonic() + MEET_SECONDS
    while name not in _met and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)


def stop(name: str) -> None:
    """Let the batches of a campaign end after the run in progress, and begin no other."""
    _stopped.append(name)


def _worker() -> tuple[str, str]:
    """Return the name and the address of the Dask worker that this is."""
    from distributed import get_worker  # noqa: PLC0415  (the client imports this file too)

    worker = get_worker()
    return str(worker.name), str(worker.address)


class Host:
    """The process below one thread of a worker, for one campaign."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._core = Core()
        self._lock = threading.Lock()
        self._closed = False
        self._last = time.monotonic()
        self._pool = ProcessPool(1, FarMaking(unpacked(campaign.making), campaign.folder), on=self._core.numbers)
        threading.Thread(target=self._leave, name="mmrace.idle", daemon=True).start()

    def serves(self, campaign: Campaign) -> bool:
        """Say whether this is of a campaign, and still there."""
        return not self._closed and self._campaign.name == campaign.name

    def make(self, batch: Batch, worker: str, address: str) -> Reply:
        """Make the runs of a batch."""
        with self._lock:
            if self._closed:
                return Reply(worker, address)
            try:
                return self._make(batch, worker, address)
            finally:
                self._last = time.monotonic()

    def _make(self, batch: Batch, worker: str, address: str) -> Reply:
        try:
            with _may_have_children():
                self._pool.submit(batch)
        except OSError as error:
            loss = Loss(None, "worker died", f"could not be started: {error}", True, False)
            return Reply(worker, address, loss=loss)
        events: list[Event] = []
        while not self._pool.idle:
            if self._campaign.name in _stopped:
                self._pool.stop()
            events += self._pool.poll(POLL_SECONDS)
        return _reply(batch, worker, address, events)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._closed = True
            self._pool.close()
            self._core.release()

    def _leave(self) -> None:
        pause = threading.Event()
        while not self._closed:
            pause.wait(max(0.1, self._last + IDLE_SECONDS - time.monotonic()))
            if time.monotonic() - self._last >= IDLE_SECONDS and self._lock.acquire(blocking=False):
                self._lock.release()
                self.close()


def _reply(batch: Batch, worker: str, address: str, events: list[Event]) -> Reply:
    """Put together what a process told of a batch."""
    positions = {id(job): position for position, job in enumerate(batch.jobs)}
    outcomes: list[tuple[int, FarOutcome]] = []
    health: Health | None = None
    loss: Loss | None = None
    for event in events:
        if isinstance(event, Reported):
            for job, outcome in event.outcomes:
                assert isinstance(outcome, FarOutcome)
                if outcome.result is None and outcome.trouble is not None and outcome.trouble[0] == EXIT_USAGE:
                    return Reply(worker, address, refused=outcome.trouble[1])  # the client could make its program
                outcomes.append((positions[id(job)], outcome))
        elif isinstance(event, Ended):
            health = event.health
        elif isinstance(event, Lost):
            culprit = None if event.culprit is None else positions[id(event.culprit)]
            loss = Loss(culprit, event.rule, event.how, event.in_vain, event.outside)
    return Reply(worker, address, outcomes, health, loss)


class Core:
    """A core of this machine that as few other workers of it have as can be.

    A name in the abstract name space of sockets is there once on a machine, and goes with its process.  Args: name: of
    a core, for all that share it out among them.
    """

    def __init__(self, name: str = "mmrace core") -> None:
        self.numbers: tuple[int, ...] = ()
        self._held: socket.socket | None = None
        for turn, number in product(range(TURNS_MAX), cores()):
            held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                held.bind(f"\0{name} {number}.{turn}")
            except OSError:
                held.close()
                continue
            self.numbers, self._held = (number,), held
            return

    def release(self) -> None:
        """Let another have it."""
        if self._held is not None:
            self._held.close()


@contextlib.contextmanager
def _may_have_children() -> Iterator[None]:
    """Let a daemonic process start another: a Dask worker is one, since its children would outlive it; ours do not."""
    me = multiprocessing.current_process()
    before = me.daemon
    me.daemon = False
    try:
        yield
    finally:
        me.daemon = before
