"""A pool of far workers: those of a Dask scheduler, or of a cluster on this machine.

The client owns the truth: a batch is out until its last outcome came here, whatever becomes of schedulers and workers.
What a lost scheduler had is sent again once there is one; each order has a number, and what comes of an older one is
not counted.  A batch goes out in orders, one after the other, of so many runs that a reply stays small.  A batch that
has taken several workers with it goes out run by run, until it is known which one does so.
Invariant: as `contract.Pool` has it.  Findings come whole and are kept here.  Not here: Dask (`far_link.py`).
"""

from __future__ import annotations

import contextlib
import os
import queue
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from loguru import logger

from mmrace.runs import stops
from mmrace.runs.kept import owner_of
from mmrace.runs.revision import revision
from mmrace.runs.spec import RunResult
from mmrace.runs.store import FOLDERS_MAX, FindingStore, Saves
from mmrace.search.pool.contract import Ended, Event, Lost, Reported
from mmrace.search.pool.far_link import RECONNECT_SECONDS, Dead, Down, Failed, Killed, Link, Replied, Told, Up, Workers
from mmrace.search.pool.far_parcel import FarOutcome, Reply, name_of, packed, unpacked
from mmrace.search.pool.far_worker import Campaign
from mmrace.search.pool.fleet import DEPTH, Fleet, FleetGone
from mmrace.search.pool.inline import ends
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Has, Job, Outcome
from mmrace.search.pool.parent import DIED
from mmrace.search.pool.reply_size import ReplySize

STOP_SECONDS = 30.0
"""For batches to come back once it was said to stop; a run takes a second or two, and its conversion is given up."""
FIRST_SECONDS = 120.0
"""For the first worker to be of use, where there is a scheduler; those of this machine are there in two."""


@dataclass(slots=True)
class _Out:
    """A batch that is out.

    `done`: jobs whose outcomes came.  `asked`: jobs of the order that is out.  `alone`: run by run.
    """

    batch: Batch
    done: int = 0
    asked: int = 0
    alone: bool = False

    @property
    def rest(self) -> list[Job]:
        """The jobs whose outcomes did not come."""
        return list(self.batch.jobs[self.done :])


def _carried(making: Making) -> Making:
    """Return what workers need of a making: nothing of where its findings are kept, and as what text."""
    return replace(making, store=FindingStore(Path()))


class FarPool:
    """Workers of a fleet.  Use as a context manager: on exit it is left, and a cluster of its own is ended.

    Args: making: who makes a run there, and where findings go here.  Raises UsageError if there is no fleet, or none of
    use.
    """

    def __init__(
        self,
        fleet: Fleet,
        making: Making,
        *,
        reconnect_seconds: float = RECONNECT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        link: Callable[..., Link] = Link,
    ) -> None:
        self.fleet, self.making, self.clock = fleet, making, clock
        self._patience = reconnect_seconds
        self._inbox: queue.SimpleQueue[Told] = queue.SimpleQueue()
        campaign = Campaign(uuid.uuid4().hex, revision(), packed(_carried(making)), os.getcwd())
        self._link = link(fleet, campaign, self._inbox.put, reconnect_seconds=reconnect_seconds)
        self._out: dict[int, _Out] = {}  # by the number of the order that is out
        self._number = 0
        self._threads = 0
        self._up = self._begun = False
        self._alone_since = clock()  # since when no worker is there
        self._stopped_at: float | None = None
        self._dead: Exception | None = None
        self._has = Has()
        self.size = ReplySize()

    def __enter__(self) -> FarPool:
        self._link.start()
        try:
            self._wait_for_workers()
        except BaseException:
            self._link.close()
            raise
        self._begun = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._out.clear()
        self._link.close()

    # -- what the loop asks -----------------------------------------------------------------------------------------

    @property
    def places(self) -> int:
        """How many batches may be out: some per worker that is there, one where none is yet, 0 where none will be."""
        return 0 if self._dead is not None else max(1, DEPTH * self._threads)

    @property
    def free(self) -> int:
        """How many more batches can be submitted; one to a fleet that is gone, which says why."""
        return 1 if self._dead is not None else max(0, self.places - len(self._out))

    @property
    def idle(self) -> bool:
        """Whether no batch is out."""
        return not self._out

    @property
    def converting(self) -> int:
        """Far workers do not tell."""
        return 0

    def submit(self, batch: Batch) -> None:
        """Send a batch.  Raises FleetGone, or UsageError if none of it is of use."""
        if self._dead is not None:
            raise self._dead
        self._send(_Out(batch))

    def poll(self, timeout: float) -> list[Event]:
        """Wait up to `timeout` seconds for news; return all there is."""
        events = self._all_heard()
        until = self.clock() + timeout
        while not events and not self._hopeless() and (left := until - self.clock()) > 0:
            try:
                told = self._inbox.get(timeout=left)
            except queue.Empty:
                break
            events += [*self._heard(told), *self._all_heard()]
            if not isinstance(told, Replied):
                break  # there may be more places now
        self._check_alone()
        return events + (self._given_back() if self._hopeless() else [])

    def _all_heard(self) -> list[Event]:
        """Take in what is there already."""
        events: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while True:
                events += self._heard(self._inbox.get_nowait())
        return events

    def stop(self) -> None:
        """Let every batch end after the run in progress."""
        if self._stopped_at is None:
            self._stopped_at = self.clock()
            self._link.stop()

    def _hopeless(self) -> bool:
        """Say whether there is nothing to wait for: the fleet is gone, or is to stop and does not answer."""
        if self._dead is not None or self._stopped_at is None:
            return self._dead is not None
        return not self._up or not self._threads or self.clock() - self._stopped_at > STOP_SECONDS

    def _given_back(self) -> list[Event]:
        """Give back all batches that are out."""
        for number in self._out:
            self._link.drop(number)
        events: list[Event] = [Ended(self.fleet.name, out.batch, out.rest, None) for out in self._out.values()]
        self._out.clear()
        return events

    # -- workers and schedulers -------------------------------------------------------------------------------------

    def _wait_for_workers(self) -> None:
        """Wait until a worker is of use.  Raises UsageError or FleetGone if none will be."""
        began = self.clock()
        while not self._threads:
            left = FIRST_SECONDS - (self.clock() - began)
            stops.check()
            if self._dead is not None:
                raise self._dead
            if self._up and left <= 0:
                raise self._nobody(FIRST_SECONDS)
            try:
                self._heard(self._inbox.get(timeout=0.5))
            except queue.Empty:
                continue

    def _nobody(self, seconds: float) -> FleetGone:
        return FleetGone(f"UNKNOWN: {self.fleet.name} has had no worker for {seconds:g} s; try: dask worker ADDRESS")

    def _check_alone(self) -> None:
        """Give up a fleet that has had no worker for too long."""
        if self._threads or self._dead is not None:
            self._alone_since = self.clock()
        elif self._up and self.clock() - self._alone_since > self._patience:
            self._dead = self._nobody(self._patience)

    def _heard(self, told: Told) -> list[Event]:
        """Take in what happened."""
        if isinstance(told, Replied):
            return self._replied(told)
        if isinstance(told, Killed):
            return self._killed(told)
        if isinstance(told, Failed):
            return self._failed(told)
        if isinstance(told, Workers):
            return self._workers(told)
        if isinstance(told, Dead):
            if self._begun:  # else it is raised
                logger.bind(event="fleet-gone").error("{}", told.error)
            self._dead, self._threads = told.error, 0
        elif isinstance(told, Down):
            self._up, self._threads = False, 0
            text = "{}: {}; {} batches are sent again once it is back, which is waited for {:g} s"
            logger.bind(event="fleet-lost").warning(text, self.fleet.name, told.how, len(self._out), self._patience)
        elif isinstance(told, Up):
            self._up = True
            for number, out in list(self._out.items()):
                del self._out[number]
                self._send(out)
        return []

    def _workers(self, told: Workers) -> list[Event]:
        """Take in which workers there are; those that refuse are told as lost."""
        if told.threads != self._threads:
            logger.bind(event="fleet", threads=told.threads).info("{} far workers", told.threads)
        self._threads = told.threads
        return [
            Lost(address, Batch(()), None, [], "worker refused", f"{address} refused: {why}", in_vain=False)
            for address, why in told.refused.items()
        ]

    # -- batches ----------------------------------------------------------------------------------------------------

    def _send(self, out: _Out) -> None:
        """Send the next part of a batch."""
        batch = out.batch
        asked = 1 if out.alone else self.size.runs(batch.jobs[out.done].spec)
        jobs = batch.jobs[out.done : out.done + asked]
        out.asked = len(jobs)
        self._number += 1
        self._out[self._number] = out
        self._link.send(self._number, packed(replace(batch, jobs=jobs, has=self._has_of(jobs))))

    def _has_of(self, jobs: tuple[Job, ...]) -> Has:
        """Return what is kept of the programs of these jobs."""
        ends_of = tuple({owner_of(job.spec).beside("") for job in jobs})
        whole = frozenset(name for name in self._has.whole if name.endswith(ends_of))
        return Has(whole, frozenset(name for name in self._has.free if name.endswith(ends_of)))

    def _replied(self, told: Replied) -> list[Event]:
        """Take the outcomes of an order, and send what is left of its batch."""
        out = self._out.pop(told.serial, None)
        if out is None:
            return []  # of before the scheduler was lost, or given back
        reply: Reply = unpacked(told.content)
        if reply.refused:
            self._link.refuse(reply.address, reply.refused)
            self._send(out)
            return []
        first, batch = out.done, out.batch
        if reply.small and reply.outcomes:
            self.size.took(batch.jobs[first].spec, len(reply.outcomes), len(told.content))
        outcomes = [(batch.jobs[first + i], self._kept(batch.jobs[first + i], batch, got)) for i, got in reply.outcomes]
        out.done += len(outcomes)
        events: list[Event] = [Reported(outcomes)] if outcomes else []
        if reply.loss is not None:
            return [*events, self._loss(out, first, reply)]
        whole = len(outcomes) == out.asked and self._stopped_at is None
        if whole and out.rest and not ends(batch, outcomes[-1][1]):
            self._send(out)
            return events
        return [*events, Ended(reply.worker, batch, out.rest, reply.health)]

    @staticmethod
    def _loss(out: _Out, first: int, reply: Reply) -> Lost:
        """Return how the process that made the runs was lost."""
        loss, jobs = reply.loss, out.batch.jobs
        assert loss is not None
        culprit = None if loss.position is None else jobs[first + loss.position]
        undone = [job for job in out.rest if job is not culprit]
        return Lost(reply.worker, out.batch, culprit, undone, loss.rule, loss.how, loss.in_vain, loss.outside)

    def _killed(self, told: Killed) -> list[Event]:
        """Narrow down a batch that took its workers with it, or bury its run."""
        out = self._out.pop(told.serial, None)
        if out is None:
            return []
        if out.asked > 1:
            logger.bind(event="batch-killed").error("workers died of a batch; its runs are made one by one")
            out.alone = True
            self._send(out)
            return []
        culprit, *undone = out.rest
        how = f"and all before it that made the same run were lost, the last one {told.last},"
        return [Lost(self.fleet.name, out.batch, culprit, undone, DIED, how, in_vain=False)]

    def _failed(self, told: Failed) -> list[Event]:
        """Give back a batch that Dask could not have made."""
        out = self._out.pop(told.serial, None)
        if out is None:
            return []
        return [Lost(self.fleet.name, out.batch, None, out.rest, "batch failed", told.how, in_vain=True)]

    # -- findings ---------------------------------------------------------------------------------------------------

    def _kept(self, job: Job, batch: Batch, far: FarOutcome) -> Outcome:
        """Keep what a run found."""
        made = far.made()
        outcome = self.making.keep(job, batch, made)
        if job.role != "canary" and made.result is not None and made.result.record is not None:
            self._learn(made.result, outcome.saved)
        return outcome

    def _learn(self, result: RunResult, saved: Saves) -> None:
        """Take in what is kept now, so that workers need not send it again."""
        again = self.making.store.unrepeatable(result)
        whole, free = set(self._has.whole), set(self._has.free)
        for signature, place in saved.items():
            name = name_of(signature, result.spec)
            if place.error and len(whole) + len(free) < FOLDERS_MAX:
                continue  # tried again with the next one
            free.discard(name)
            if signature not in again:
                whole.add(name)
            elif again[signature] or self.making.convert is None:
                free.add(name)
        self._has = Has(frozenset(whole), frozenset(free))
