"""The link to a fleet: a thread with Dask's client in it, which sends orders and tells what comes back.

Who owns the truth is the pool (`far.py`): what a link forgets when a scheduler dies, the pool sends again.  Invariant:
each order that was sent is told of once, or a `Down` comes after it; after `Dead` nothing comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent import futures
from dataclasses import dataclass
from itertools import count
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, TypeAlias

from mmrace.runs import stops
from mmrace.runtime import threads
from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.search.pool import far_worker, fleet
from mmrace.search.pool.far_worker import Campaign
from mmrace.search.pool.fleet import Fleet

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

WATCH_SECONDS = 1.0  # between two looks at which workers there are
GREET_SECONDS = 60.0  # for a worker to say which mmrace it has, on a machine under load
ANSWER_SECONDS = 10.0  # for a scheduler to say which workers it has
RECONNECT_SECONDS = 300.0
"""For a scheduler that is gone to be there again, and for workers to come: a job queue starts one within minutes."""
PAUSE_SECONDS, PAUSE_SECONDS_MAX = 0.2, 10.0  # between two attempts to connect, twice as long each time
NUMBERS = 10_000
"""Of keys of orders, used in turn: Dask remembers of a hundred thousand keys how they begin."""
LEAVE_SECONDS = 1.5
"""For Dask to say good-bye; after that its processes are ended.  Less than a person waits for after Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Up:
    """There is a scheduler."""


@dataclass(frozen=True, slots=True)
class Down:
    """It is gone; all that was sent is lost."""

    how: str


@dataclass(frozen=True, slots=True)
class Workers:
    """So many threads of workers are there.  `refused`: workers that refuse, and why, told once each."""

    threads: int
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class Replied:
    """A worker has replied."""

    serial: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Killed:
    """No worker survived an order."""

    serial: int
    last: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An order could not be carried out."""

    serial: int
    how: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The fleet is gone for good, or of no use."""

    error: Exception


Told: TypeAlias = Up | Down | Workers | Replied | Killed | Failed | Dead


@dataclass(slots=True)
class _Sent:
    """An order that is out.  `only`: workers that it may go to; empty: any."""

    order: bytes
    future: Future[Any]
    only: frozenset[str]


class Link:
    """One link.  Args: tell: is called with what happens, in the link's own thread."""

    def __init__(
        self,
        place: Fleet,
        campaign: Campaign,
        tell: Callable[[Told], None],
        *,
        reconnect_seconds: float = RECONNECT_SECONDS,
    ) -> None:
        self.place, self.campaign, self.tell, self.reconnect_seconds = place, campaign, tell, reconnect_seconds
        self._loop = asyncio.new_event_loop()
        self._main: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._cluster: LocalCluster | None = None
        self._lost = asyncio.Event()
        self._sent: dict[int, _Sent] = {}
        self._turns = count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: dict[str, int] = {}  # workers that are of use, by address
        self._refused: dict[str, str] = {}
        self._greeted: set[str] = set()
        self._met = self._useful = False  # whether a scheduler, and a worker that is of use, was ever there
        self._asked: Future[None] | None = None  # what waits for a first worker
        self._ended = threading.Event()

    # -- called by the pool -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; what comes of it is told.  Raises MachineError if there is no thread for it."""
        resource_tracker.ensure_running()  # which lets signals through to whoever starts it
        with fleet.signals_blocked(stops.NUMBERS):
            threads.start(threading.Thread(target=self._run, name="mmrace.fleet", daemon=True))

    def send(self, serial: int, order: bytes) -> None:
        """Have an order carried out.  Where nobody is there, nothing is sent: `Up` comes, and it is sent again."""
        self._soon(self._send, serial, order)

    def drop(self, serial: int) -> None:
        """Want no more of an order."""
        self._soon(self._drop, serial)

    def refuse(self, address: str, why: str) -> None:
        """Use a worker no more."""
        self._soon(self._refuse, address, why)

    def stop(self) -> None:
        """Have workers stop after the runs in progress."""
        self._soon(self._stop)

    def close(self) -> None:
        """End the link, and a cluster of its own."""
        self._soon(lambda: self._main and self._main.cancel())
        if not self._ended.wait(2 * LEAVE_SECONDS) and self._cluster is not None:
            fleet.end(self._cluster)

    def _soon(self, what: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what, *arguments)

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._main = self._loop.create_task(self._live())
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            self.tell(Dead(error))
        finally:
            self._finish()
            self._ended.set()

    def _finish(self) -> None:
        """End what Dask leaves in the loop."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=LEAVE_SECONDS))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _live(self) -> None:
        """Connect, and again when the scheduler is lost; to the end."""
        fleet.quiet()
        try:
            secured = fleet.security(self.place)
            if self.place.local:
                self._cluster = await fleet.started(self.place.local)
            address = self.place.address or self._cluster.scheduler_address  # type: ignore[union-attr]
            seconds = fleet.CONNECT_SECONDS
            while True:
                self._client = await self._connected(address, secured, seconds)
                seconds = self.reconnect_seconds
                self._met = True
                self._lost.clear()
                self.tell(Up())
                how = await self._watch(self._client)
                await self._part()
                self.tell(Down(how))
        except MmraceError as error:
            self.tell(Dead(error))
        finally:
            await self._part()
            if self._cluster is not None:
                await self._closed_cluster(self._cluster)

    async def _connected(self, address: str, secured: Any, seconds: float) -> Client:
        """Connect, trying for so long.  Raises UsageError if nobody is there."""
        until, pause = time.monotonic() + seconds, PAUSE_SECONDS
        while True:
            try:
                return await fleet.connected(address, secured)
            except Exception as error:  # of another kind than OSError: such as an address without its certificates
                if time.monotonic() + pause >= until or not isinstance(error, OSError):
                    raise self._nobody(address, seconds, error) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)

    def _nobody(self, address: str, seconds: float, error: Exception) -> MmraceError:
        """Return what to say when no scheduler answers: one that never did is a wrong call."""
        said = f"{type(error).__name__}: {error}"
        if self._met:
            return fleet.FleetGone(f"UNKNOWN: the scheduler {address} was gone for {seconds:g} s: {said}")
        return UsageError(
            expected=f"a Dask scheduler that answers within {seconds:g} s",
            got=said,
            where=f"--dask {address}",
            try_="dask scheduler, and its address; or --dask local:2",
        )

    async def _part(self) -> None:
        """Let go of a client, and of all that was sent by it."""
        client, self._client, self._asked = self._client, None, None
        self._sent.clear()
        self._threads.clear()
        self._greeted.clear()
        for task in self._tasks:
            task.cancel()
        if client is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(client.close(timeout=LEAVE_SECONDS), LEAVE_SECONDS)

    async def _closed_cluster(self, cluster: LocalCluster) -> None:
        try:
            await asyncio.wait_for(cluster.close(timeout=LEAVE_SECONDS), LEAVE_SECONDS)
        except Exception:  # it was asked nicely
            fleet.end(cluster)

    # -- which workers there are --------------------------------------------------------------------------------------

    async def _watch(self, client: Client) -> str:
        """Look after the workers until the scheduler is lost; return how that was."""
        while client.status == "running" and not self._lost.is_set():
            try:
                found = await asyncio.wait_for(client.scheduler.identity(n_workers=-1), ANSWER_SECONDS)
            except TimeoutError:
                continue  # it is slow, or stopped; who dies is noticed otherwise
            except OSError as error:
                return str(error)
            self._meet(client, found["workers"])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), WATCH_SECONDS)
        return "the connection to the scheduler was lost"

    def _meet(self, client: Client, found: dict[str, dict[str, Any]]) -> None:
        """Take in which workers there are."""
        for address in found.keys() - self._greeted:
            self._greeted.add(address)
            self._begin(self._greet(client, address, int(found[address]["nthreads"])))
        self._greeted &= found.keys()
        self._threads = {address: self._threads[address] for address in self._threads.keys() & found.keys()}
        if not found and not self._useful and self._asked is None:  # who adapts starts a worker when something waits
            self._asked = client.submit(
                far_worker.wait_to_be_met, self.campaign.name, key=self._key(client), pure=False
            )
        elif self._useful:
            self._asked = None
        for serial, sent in list(self._sent.items()):
            if sent.only and not sent.only & found.keys():  # it waits for workers that are gone
                self._drop(serial)
                self._send(serial, sent.order)
        self._tell_workers({})

    async def _greet(self, client: Client, address: str, nthreads: int) -> None:
        """Ask a worker which mmrace it has."""
        try:
            name, revision = self.campaign.name, self.campaign.revision
            asked: Any = client.run(far_worker.meet, name, revision, workers=[address], on_error="return")
            answer = (await asyncio.wait_for(asked, GREET_SECONDS))[address]
        except (OSError, TimeoutError, KeyError):
            self._greeted.discard(address)  # it is gone, or greeted again
            return
        if isinstance(answer, OSError):
            self._greeted.discard(address)
        elif answer:
            said = answer if isinstance(answer, str) else f"{type(answer).__name__}: {answer}"
            self._refuse(address, said)
        else:
            self._threads[address] = nthreads
            self._refused.pop(address, None)
            self._useful = True
            self._tell_workers({})

    def _refuse(self, address: str, why: str) -> None:
        self._threads.pop(address, None)
        if address not in self._refused:
            self._refused[address] = why
            self._tell_workers({address: why})
        if not self._useful and self._greeted <= self._refused.keys():
            where = f"--dask {self.place.name}"
            self.tell(Dead(UsageError(expected="workers that can make these runs", got=why, where=where)))

    def _tell_workers(self, refused: dict[str, str]) -> None:
        self.tell(Workers(sum(self._threads.values()), refused))

    # -- orders -----------------------------------------------------------------------------------------------------

    def _send(self, serial: int, order: bytes) -> None:
        client = self._client
        if client is None or client.status != "running":
            return
        only = frozenset(self._threads) if self._refused.keys() & self._greeted else frozenset()
        where: dict[str, Any] = {"workers": sorted(only)} if only else {}
        future = client.submit(far_worker.make, self.campaign, order, key=self._key(client), pure=False, **where)
        self._sent[serial] = _Sent(order, future, only)
        self._begin(self._follow(serial, future))

    def _key(self, client: Client) -> tuple[str, int]:
        """Return a name in the scheduler that nothing has which is there, and none of the last ones had."""
        numbers = max(NUMBERS, 2 * len(client.futures) + 1)
        keys = ((f"mmrace-{self.campaign.name}", turn % numbers) for turn in self._turns)
        return next(key for key in keys if key not in client.futures)

    async def _follow(self, serial: int, future: Future[Any]) -> None:
        """Wait for what comes of an order, and tell it, if it is still wanted."""
        from distributed import KilledWorker  # noqa: PLC0415

        told: Told
        try:
            told = Replied(serial, await future)
        except KilledWorker as error:
            told = Killed(serial, str(error.last_worker.address))
        except (asyncio.CancelledError, futures.CancelledError):  # Dask's own is of the second kind
            if self._wanted(serial, future):  # by nobody here: the connection broke
                self._lost.set()
            return
        except Exception as error:
            told = Failed(serial, f"{type(error).__name__}: {error}")
        if self._wanted(serial, future):
            del self._sent[serial]
            self.tell(told)

    def _wanted(self, serial: int, future: Future[Any]) -> bool:
        sent = self._sent.get(serial)
        return sent is not None and sent.future is future

    def _drop(self, serial: int) -> None:
        sent = self._sent.pop(serial, None)
        if sent is not None:
            self._begin(self._cancelled(sent.future))

    async def _cancelled(self, future: Future[Any]) -> None:
        with contextlib.suppress(Exception):
            await future.cancel()

    def _stop(self) -> None:
        if self._client is not None:
            self._begin(self._stopped(self._client))

    async def _stopped(self, client: Client) -> None:
        asked: Any = client.run(far_worker.stop, self.campaign.name, on_error="ignore")
        with contextlib.suppress(Exception):
            await asked

    def _begin(self, what: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
