"""The parent's side of real workers: who cannot begin, who does not move, and who could not."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import signal
from collections.abc import Callable, Iterator
from itertools import pairwise
from multiprocessing import Pipe
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime import silence
from mmrace.search.pool import parent
from mmrace.search.pool.child import NO_POSITION
from mmrace.search.pool.contract import STARTS_AGAIN_MAX, Ended, Event
from mmrace.search.pool.drive import ATTEMPTS_MAX, drive
from mmrace.search.pool.heart import OPS
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Job, Outcome
from mmrace.search.pool.parent import ProcessPool
from tests.runtime.engines import fiber
from tests.search.campaign import stand_ins
from tests.search.pool.stand_ins import Notes, jobs

PID, BEGUN, ENOUGH = "pid", "begun", "enough"  # files
BEATS = 3


def passes(spec: RunSpec, keep_record: bool) -> RunResult:
    return RunResult(spec, "PASS")


def stops(spec: RunSpec, keep_record: bool) -> RunResult:
    """Stop this process in the midst of a run, as Ctrl-Z does, once it has said which it is."""
    path = Path(os.environ[stand_ins.SCRATCH], PID)
    if spec.seed == 1 and not path.exists():
        path.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGSTOP)
    return RunResult(spec, "PASS")


def leaves(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: end this process in the midst of a run."""
    raise SystemExit(3)


def settled(spec: RunSpec, keep_record: bool) -> RunResult:
    """Say as ops how many objects the collector passes by."""
    return RunResult(spec, "PASS", ops=gc.get_freeze_count())


def made(pool: ProcessPool, count: int) -> Notes:
    """Have so many runs made, two a batch."""
    source = Notes(jobs(count), size=2)
    with pool:
        drive(pool, source)
    return source


def pool(tmp_path: Path, run: Callable[[RunSpec, bool], RunResult], count: int = 1, **more: object) -> ProcessPool:
    return ProcessPool(count, Making(run, FindingStore(tmp_path / "findings")), **more)  # type: ignore[arg-type]


@pytest.mark.slow
def test_where_one_worker_of_two_cannot_be_started_the_other_makes_all_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: all ended there, as a bug of mmrace."""
    process = parent.Process

    def begin(slot: int, *others: object) -> parent.Process:
        if slot == 1:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return process(slot, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(parent, "Process", begin)
    workers = pool(tmp_path, passes, 2)
    source = made(workers, 9)
    assert len(source.taken) == 9 and not source.troubles
    why = source.unstarted_because  # once, or again if the other takes seconds to begin
    assert why and all(text.startswith("could not be started: ") and os.strerror(errno.EAGAIN) in text for text in why)
    assert workers.places == 1


class Started:
    """A worker that has begun a run, and does not end it."""

    def __init__(self, slot: int, engine: str, ordinal: int, orders: object) -> None:
        self.slot, self.batch = slot, None
        self.pulse = [1, 0, 0, 0]
        self.connection, self.theirs = Pipe()
        self.process = Alive(self.theirs.fileno())

    def submit(self, batch: Batch, now: float) -> None:
        self.batch = batch  # type: ignore[assignment]

    def receive(self) -> Iterator[Event]:
        return iter(())

    def hangs(self, now: float, limit: float) -> bool:
        return False


class Alive:
    """A process, as far as a pool asks."""

    def __init__(self, sentinel: int) -> None:
        self.sentinel = sentinel
        self.kill = self.join = lambda *_: None

    def is_alive(self) -> bool:
        return True


@pytest.mark.parametrize("failures", [1, 3, 100])
def test_a_place_whose_worker_could_not_be_started_is_tried_again_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """BUG once: a night's campaign had one worker less for want of memory in its first second."""
    tries: list[float] = []
    now = [0.0]

    def begin(slot: int, *others: object) -> Started:
        if slot == 1:
            tries.append(now[0])
            if len(tries) <= failures:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return Started(slot, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(parent, "Process", begin)
    workers = pool(tmp_path, passes, 2, clock=lambda: now[0])
    workers.submit(Batch(tuple(jobs(1))))
    for second in range(2_000):
        now[0] = float(second)
        workers.poll(0.0)
        if workers.free:
            with contextlib.suppress(OSError):
                workers.submit(Batch(tuple(jobs(1))))
    waits = [5.0 * 2**i for i in range(STARTS_AGAIN_MAX)]
    assert [round(after - before) for before, after in pairwise(tries)] == waits[: min(failures, len(waits))]
    assert (workers.places, workers.free) == ((2, 0) if failures <= STARTS_AGAIN_MAX else (1, 0))


@pytest.mark.slow
def test_a_worker_that_goes_of_itself_is_not_taken_for_one_that_somebody_ended(tmp_path: Path) -> None:
    """Its pipe is closed some time before the process has ended."""
    source = made(pool(tmp_path, leaves), 1)
    assert source.given_up == jobs(1)
    assert [lost.told for lost in source.losses] == ["ended with exit code 3 during a run"] * ATTEMPTS_MAX


@pytest.mark.slow
def test_a_worker_that_was_stopped_and_let_go_is_not_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes on by a second each time that it is read while the worker is stopped, hundreds of times, and then
    never again: a loaded machine may let the worker wait for a while before it stops, and before it goes on."""
    monkeypatch.setenv(stand_ins.SCRATCH, str(tmp_path))
    monkeypatch.setattr(parent, "BOOT_SECONDS", 1e6)
    monkeypatch.setattr("mmrace.search.pool.drive.POLL_SECONDS", 0.001)
    now = [0.0]

    def clock() -> float:
        with contextlib.suppress(OSError, ValueError):  # it has not begun, or is gone
            pid = int((tmp_path / PID).read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "T" and now[0] < 300.0:
                now[0] += 1.0
            elif state == "T":
                os.kill(pid, signal.SIGCONT)
        return now[0]

    source = made(pool(tmp_path, stops, hang_seconds=20.0, clock=clock), 4)
    assert (len(source.taken), source.lost, now[0]) == (4, 0, 300.0)


@pytest.mark.parametrize(("ops", "hung"), [(1, False), (0, True)])
def test_a_run_is_hung_by_its_ops_however_long_it_takes(tmp_path: Path, ops: int, hung: bool) -> None:
    """BUG once: a run of more than two minutes was."""
    with pool(tmp_path, passes) as workers:
        workers.submit(Batch(tuple(jobs(1))))
        [process] = workers._processes.values()
        process.pulse = [1, 0, 0, 0]  # what it shows
        looks = []
        for second in range(600):
            process.pulse[OPS] += ops
            looks.append(process.hangs(float(second), 120.0))
        assert any(looks) is hung


def test_a_worker_that_waits_for_its_turn_on_a_slow_machine_is_not_hung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: a run that was judged behind other processes for two minutes was a finding."""
    second = 0
    monkeypatch.setattr("mmrace.runtime.allotted.times", lambda pid: {str(pid): (0.0, float(second))})
    with pool(tmp_path, passes) as workers:
        workers.submit(Batch(tuple(jobs(1))))
        [process] = workers._processes.values()
        process.pulse = [1, 0, 0, 0]  # what it shows
        for second in range(600):
            assert not process.hangs(float(second), 120.0)


def test_a_stop_does_not_wait_for_a_worker_that_has_not_begun(tmp_path: Path) -> None:
    """BUG once: on a loaded machine the report came when the workers had imported what they need, to make no run."""
    batch = Batch(tuple(jobs(3)))
    with pool(tmp_path, passes, 2) as workers:
        for _ in range(2):
            workers.submit(batch)
        one, other = workers._processes.values()
        one.pulse, other.pulse = [0, NO_POSITION, 0, 0], [1, 0, 0, 0]  # what they show
        assert workers.poll(0.0) == []
        workers.stop()
        assert workers.poll(0.0) == [Ended(one.name, batch, jobs(3), None)]
        assert not one.process.is_alive() and not workers.idle, "who has begun is waited for"


def test_a_pool_knows_how_many_workers_make_a_failure_again_under_control(tmp_path: Path) -> None:
    with pool(tmp_path, passes, 2) as workers:
        for _ in range(2):
            workers.submit(Batch(tuple(jobs(1))))
        one, other = workers._processes.values()
        one.pulse, other.pulse = [1, 0, 0, 0, 1], [1, 0, 0, 0, 0]  # what they show
        assert workers.converting == 1
        one.batch = None
        assert workers.converting == 0, "who has no batch makes nothing"


def test_the_collector_passes_by_what_is_there_after_the_first_batch(tmp_path: Path) -> None:
    passed_by: list[int] = []

    class Counted(Notes):
        def take(self, job: Job, outcome: Outcome) -> None:
            assert outcome.result is not None
            passed_by.append(outcome.result.ops)

    with pool(tmp_path, settled) as workers:
        drive(workers, Counted(jobs(4), size=2))
    assert passed_by[:2] == [0, 0] and min(passed_by[2:]) > 1000


def long(spec: RunSpec, keep_record: bool) -> RunResult:
    """Go on doing ops until the parent has looked often enough."""
    folder = Path(os.environ[stand_ins.SCRATCH])
    (folder / BEGUN).touch()

    def main() -> None:
        while not (folder / ENOUGH).exists():
            rt.schedule()

    assert fiber(main, steps_max=10**9).how == "finished"
    return RunResult(spec, "PASS")


@pytest.mark.slow
def test_a_worker_whose_run_goes_on_and_on_is_not_hung_since_its_ops_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock goes on by ten seconds each time that the worker's heart has beaten; hung is who is silent for two."""
    monkeypatch.setenv(stand_ins.SCRATCH, str(tmp_path))
    monkeypatch.setattr(silence, "STEP_SECONDS_MAX", 10.0)
    monkeypatch.setattr("mmrace.search.pool.drive.POLL_SECONDS", 0.01)
    told: set[int] = set()

    def clock() -> float:
        if (tmp_path / BEGUN).exists():
            told.update(process.pulse[OPS] for process in workers._processes.values())
            if len(told) > BEATS:
                (tmp_path / ENOUGH).touch()
        return 10.0 * len(told)

    workers = pool(tmp_path, long, hang_seconds=20.0, clock=clock)
    source = made(workers, 1)
    assert (len(source.taken), source.lost) == (1, 0)
    assert 10.0 * len(told) > 20.0
