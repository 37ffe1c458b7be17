"""The one loop over a pool: hand out a source's batches, take what comes back, bury who died.

Invariant: every job that a source handed out comes back to it once: taken with its outcome, given back undone, or given
up.  A run whose worker died is made once more, or twice if somebody else ended it; if no worker survives it, it is
given up.  Workers that die again and again before they end a single run end it all: then it is not the runs.  So
does a pool that cannot start any; with some, it goes on.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator

from loguru import logger

from mmrace.runs import stops
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_UNKNOWN, MachineError, MmraceError
from mmrace.search.pool.contract import STARTS_AGAIN_MAX, Ended, Event, Lost, Pool
from mmrace.search.pool.messages import Batch, Health, Job, Outcome

POLL_SECONDS = 0.25
GRACE_SECONDS = 2.0
"""For the runs in progress when somebody asks to stop: nearly all end sooner, and who waits for the report waits no
longer for the others, of which nothing is lost but themselves."""
ATTEMPTS_MAX = 2  # a run whose worker died is tried once more
ATTEMPTS_OUTSIDE_MAX = 3  # and once again if somebody else ended it; but it may be what needs all the memory
IN_VAIN_MAX = 4  # workers in a row that died before they ended a run


class Source:
    """Where runs come from, and where what came of them goes.  Subclass it and state what differs."""

    def next_batch(self) -> Batch | None:
        """Return the next jobs; None if there are none now."""
        raise NotImplementedError

    def take(self, job: Job, outcome: Outcome) -> None:
        """Take the outcome of a run."""
        raise NotImplementedError

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        """A batch is over; take back the jobs of it that were not made."""
        raise NotImplementedError

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        """Take note that runs cannot be made."""
        raise NotImplementedError

    def buried(self, lost: Lost) -> None:
        """A worker died or hung; what it leaves is given back after this."""

    def unstarted(self, why: str) -> None:
        """A worker could not be started; others go on."""

    def give_up(self, job: Job) -> None:
        """No worker survives this run; it is not made."""

    def worker(self, name: str, health: Health) -> None:
        """A worker ended a batch, and says how it feels."""

    def over(self) -> bool:
        """Say whether nothing more is to begin, and the batches that are out are to end."""
        return False

    def tell(self) -> None:
        """Called some times a second."""


def drive(pool: Pool, source: Source) -> None:
    """Have a source's runs made until it has no more, or is over.

    Ctrl-C, or another wish to stop (`runs/stops.py`), lets the runs in progress end, takes what they give, and goes on
    as KeyboardInterrupt; a second one drops them.
    """
    driver = _Driver(pool, source)
    try:
        driver.loop()
    except KeyboardInterrupt:
        logger.bind(event="interrupted").warning("interrupted: waiting for the runs in progress")
        try:
            driver.drain()
        except KeyboardInterrupt:
            logger.warning("interrupted again: runs in progress are dropped")
        raise


class _Driver:
    """One call of `drive`."""

    def __init__(self, pool: Pool, source: Source) -> None:
        self.pool, self.source = pool, source
        self.stopped = False
        self.in_vain = 0
        self.deaths: Counter[tuple[str, str, int]] = Counter()

    def loop(self) -> None:
        pool, source = self.pool, self.source
        while True:
            stops.check()
            if self.stopped or source.over():
                pool.stop()
            else:
                while pool.free and not self.stopped and (batch := source.next_batch()) is not None:
                    self.submit(batch)
            if pool.idle:
                return
            for event in pool.poll(POLL_SECONDS):
                self.handle(event)
            source.tell()

    def drain(self) -> None:
        """Stop, and take what still comes within the grace."""
        self.pool.stop()
        end = time.monotonic() + GRACE_SECONDS
        while not self.pool.idle and (left := end - time.monotonic()) > 0:
            for event in self.pool.poll(left):
                self.handle(event)

    def submit(self, batch: Batch) -> None:
        try:
            self.pool.submit(batch)
        except MmraceError as error:
            self.source.give_back(batch, list(batch.jobs))
            self.fail(error.exit_code, str(error), batch)
        except OSError as error:  # no more processes, memory, or room for what they share: the rest still counts
            self.source.give_back(batch, list(batch.jobs))
            logger.bind(event="worker-unstarted").error("a worker could not be started: {}", error)
            again = f" (tried again later, {STARTS_AGAIN_MAX} times at most)" if self.pool.places else ""
            self.source.unstarted(f"could not be started: {error}{again}")
            if not self.pool.places:
                machine = MachineError("process for a worker", str(error))
                self.fail(machine.exit_code, str(machine), batch)

    def handle(self, event: Event) -> None:
        if isinstance(event, Ended):
            if event.health is not None:
                self.source.worker(event.worker, event.health)
            self.source.give_back(event.batch, event.undone)
        elif isinstance(event, Lost):
            self.bury(event)
        else:
            self.in_vain = 0
            for job, outcome in event.outcomes:
                self.source.take(job, outcome)

    def bury(self, event: Lost) -> None:
        """Report a worker that died or hung, and hand its work out again; the run it was at, once."""
        logger.bind(event="worker-lost", worker=event.worker).error("worker {} {}", event.worker, event.how)
        culprit, undone = event.culprit, event.undone
        self.in_vain = self.in_vain + 1 if event.in_vain else 0
        self.source.buried(event)
        if culprit is not None:
            key = (culprit.role, culprit.source, culprit.index)
            self.deaths[key] += 1
            if self.deaths[key] < (ATTEMPTS_OUTSIDE_MAX if event.outside else ATTEMPTS_MAX):
                undone = [culprit, *undone]
            else:
                self.source.give_up(culprit)
        self.source.give_back(event.batch, undone)
        if self.in_vain >= IN_VAIN_MAX and not self.stopped:
            text = f"{self.in_vain} workers in a row died before they ended a run; the last one {event.how}"
            if culprit is not None and not event.outside:
                text += "; it is the program, or what it calls in C, that ends the process"
                self.fail(EXIT_UNKNOWN, f"UNKNOWN: {text}", event.batch)
            elif event.outside:
                text += " from outside: by a person, or for want of memory (fewer --jobs need less)"
                self.fail(EXIT_UNKNOWN, f"UNKNOWN: {text}", event.batch)
            else:
                self.fail(EXIT_INTERNAL, f"mmrace bug: {text}", event.batch)

    def fail(self, exit_code: int, text: str, batch: Batch) -> None:
        self.stopped = True
        self.source.trouble(exit_code, text, batch.jobs[0].spec)


class Pace:
    """How many runs go into a batch, from how long they took.

    A batch lasts about `seconds`: what it costs to send is lost in that, and the end of the time is met.
    """

    BATCH_SECONDS = 0.25
    BATCH_RUNS_MAX = 1000
    FIRST_BATCH_RUNS = 8  # before anybody knows how long a run takes

    def __init__(self, seconds: float = BATCH_SECONDS) -> None:
        self._seconds = seconds
        self._each: dict[str, float] = {}

    def took(self, seconds: float, kind: str = "") -> None:
        """Take in how long a run took."""
        old = self._each.get(kind, seconds)
        self._each[kind] = 0.9 * old + 0.1 * seconds

    def size(self, kind: str = "") -> int:
        """Return how many runs of a kind the next batch should have."""
        each = self._each.get(kind)
        if each is None:
            return self.FIRST_BATCH_RUNS
        return max(1, min(self.BATCH_RUNS_MAX, int(self._seconds / max(each, 1e-6))))


class Queue:
    """Jobs that came back undone go first, then those of an endless or ended row."""

    def __init__(self, jobs: Iterator[Job]) -> None:
        self._jobs = jobs
        self._back: deque[Job] = deque()

    def next(self, size: int) -> list[Job]:
        """Return up to `size` jobs."""
        taken = [self._back.popleft() for _ in range(min(size, len(self._back)))]
        taken += [job for _, job in zip(range(size - len(taken)), self._jobs, strict=False)]
        return taken

    def give_back(self, undone: list[Job]) -> None:
        """Take back jobs, to be handed out first."""
        self._back.extendleft(reversed(undone))
