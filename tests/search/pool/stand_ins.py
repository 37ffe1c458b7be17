"""Stand-ins for the two sides of the loop: a pool that plays a script, and a source that takes notes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mmrace.runs.spec import RunResult, RunSpec
from mmrace.search.pool.contract import Ended, Event, Lost, Reported
from mmrace.search.pool.drive import Queue, Source
from mmrace.search.pool.messages import Batch, Health, Job, Outcome

HEALTH = Health(0, 0)

Turn = Callable[["ScriptedPool"], list[Event]]


def jobs(count: int) -> list[Job]:
    """Return so many jobs."""
    return [Job("main", "", i, RunSpec("alpha", seed=i)) for i in range(count)]


def outcome(job: Job, verdict: str = "PASS") -> Outcome:
    """Return what came of a run."""
    return Outcome(RunResult(job.spec, verdict))


class ScriptedPool:
    """A pool of one place.  Args: turns: what each poll gives, in order.

    Attributes: batches: all that were submitted.  stops: how often it was told to stop.
    """

    places = 1
    converting = 0

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.batches: list[Batch] = []
        self.out: Batch | None = None
        self.stops = 0

    @property
    def free(self) -> int:
        return int(self.out is None)

    @property
    def idle(self) -> bool:
        return self.out is None

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.out = batch

    def poll(self, timeout: float) -> list[Event]:
        turn = self.turns.pop(0) if self.turns else all_done
        return turn(self)

    def stop(self) -> None:
        self.stops += 1


def _batch(pool: ScriptedPool) -> Batch:
    assert pool.out is not None
    batch, pool.out = pool.out, None
    return batch


def all_done(pool: ScriptedPool) -> list[Event]:
    """The batch is done."""
    batch = _batch(pool)
    return [Reported([(job, outcome(job)) for job in batch.jobs]), Ended("w", batch, [], HEALTH)]


def ended_after(count: int) -> Turn:
    """The batch ended after so many runs."""

    def turn(pool: ScriptedPool) -> list[Event]:
        batch = _batch(pool)
        done, undone = batch.jobs[:count], list(batch.jobs[count:])
        return [Reported([(job, outcome(job)) for job in done]), Ended("w", batch, undone, HEALTH)]

    return turn


def died_at(position: int | None, *, outside: bool = False) -> Turn:
    """The worker died at the run of this position, or before it had begun any."""

    def turn(pool: ScriptedPool) -> list[Event]:
        batch = _batch(pool)
        done = batch.jobs[: position or 0]
        culprit = None if position is None else batch.jobs[position]
        undone = [job for job in batch.jobs[len(done) :] if job is not culprit]
        lost = Lost("w", batch, culprit, undone, "worker died", "was ended by SIGKILL", not done, outside)
        return [*([Reported([(job, outcome(job)) for job in done])] if done else []), lost]

    return turn


def nothing_yet(pool: ScriptedPool) -> list[Event]:
    """The batch is still out."""
    return []


def interrupted(pool: ScriptedPool) -> list[Event]:
    """Ctrl-C comes while the pool is polled."""
    raise KeyboardInterrupt


class Notes(Source):
    """A source of so many jobs a batch, which takes notes.  Args: over_after: it is over once it took so many."""

    def __init__(self, made: Iterable[Job], size: int = 100, over_after: int | None = None) -> None:
        self.queue = Queue(iter(made))
        self.size, self.over_after = size, over_after
        self.taken: list[Job] = []
        self.troubles: list[tuple[int, str]] = []
        self.given_up: list[Job] = []
        self.unstarted_because: list[str] = []
        self.losses: list[Lost] = []
        self.told = 0

    def next_batch(self) -> Batch | None:
        made = self.queue.next(self.size)
        return Batch(tuple(made)) if made else None

    def take(self, job: Job, outcome: Outcome) -> None:
        self.taken.append(job)

    def give_back(self, batch: Batch, undone: list[Job]) -> None:
        self.queue.give_back(undone)

    def trouble(self, exit_code: int, text: str, spec: RunSpec) -> None:
        self.troubles.append((exit_code, text))

    def buried(self, lost: Lost) -> None:
        self.losses.append(lost)

    @property
    def lost(self) -> int:
        """How many workers were lost."""
        return len(self.losses)

    def unstarted(self, why: str) -> None:
        self.unstarted_because.append(why)

    def give_up(self, job: Job) -> None:
        self.given_up.append(job)

    def over(self) -> bool:
        return self.over_after is not None and len(self.taken) >= self.over_after

    def tell(self) -> None:
        self.told += 1

    def left(self) -> Iterator[Job]:
        """Return the jobs that it would hand out next."""
        return iter(self.queue.next(1000))
