"""The far side without Dask: who makes no run, and on which core runs are made."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from mmrace.runs.revision import revision
from mmrace.runs.spec import RunResult
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_USAGE
from mmrace.search.pool import far_worker
from mmrace.search.pool.contract import Ended, Event, Lost, Reported
from mmrace.search.pool.cores import cores
from mmrace.search.pool.far_parcel import FarOutcome, Reply, packed, unpacked
from mmrace.search.pool.far_worker import Campaign, Core
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch
from tests.search.pool.far_runs import passing
from tests.search.pool.stand_ins import HEALTH, jobs

Make = Callable[[Campaign, Batch], Reply]
ORDER = Batch(tuple(jobs(3)))


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Have an order carried out by a worker, whose process ends with the test."""
    monkeypatch.setattr(far_worker, "_worker", lambda: ("w", "tcp://w:1"))
    with ExitStack() as stack:

        def make(campaign: Campaign, batch: Batch) -> Reply:
            reply: Reply = unpacked(far_worker.make(campaign, packed(batch)))
            host = far_worker._here.__dict__.pop("host", None)
            if host is not None:
                stack.enter_context(closing(host))
            return reply

        yield make


def campaign(folder: Path, name: str, of: str = "") -> Campaign:
    return Campaign(name, of or revision(), packed(Making(passing, FindingStore(folder))), str(folder))


def test_a_worker_of_another_revision_refuses_each_batch(tmp_path: Path, make: Make) -> None:
    reply = make(campaign(tmp_path, "a", "0.0.0+other"), ORDER)
    assert "expected mmrace 0.0.0+other" in reply.refused and f"got mmrace {revision()}" in reply.refused
    assert (reply.address, reply.outcomes) == ("tcp://w:1", [])


def test_a_campaign_that_was_stopped_has_nothing_made_any_more(tmp_path: Path, make: Make) -> None:
    far_worker.stop("b")
    reply = make(campaign(tmp_path, "b"), ORDER)
    assert (reply.outcomes, reply.refused, reply.loss) == ([], "", None)


@pytest.mark.slow
def test_runs_are_made_in_a_process_below_the_worker(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:

    reply = make(campaign(tmp_path, "c"), ORDER)
    assert [position for position, _ in reply.outcomes] == [0, 1, 2] and reply.health is not None
    assert reply.worker == "w/free" and reply.small


def outcome(code: int) -> FarOutcome:
    return FarOutcome(None, trouble=(code, "the program is another one here"))


def test_a_program_that_is_another_one_here_is_a_refusal_since_the_client_could_make_it() -> None:
    made = FarOutcome(RunResult(ORDER.jobs[0].spec, "PASS"))
    events: list[Event] = [Reported([(ORDER.jobs[0], made), (ORDER.jobs[1], outcome(EXIT_USAGE))])]
    assert far_worker._reply(ORDER, "w", "a", events).refused == "the program is another one here"
    events = [Reported([(ORDER.jobs[0], made), (ORDER.jobs[1], outcome(EXIT_INTERNAL))])]
    assert not far_worker._reply(ORDER, "w", "a", events).refused


def test_a_reply_says_what_was_made_how_the_process_feels_and_how_it_was_lost() -> None:
    first, culprit, last = ORDER.jobs
    made = FarOutcome(RunResult(first.spec, "PASS"))
    ended = far_worker._reply(ORDER, "w", "a", [Reported([(first, made)]), Ended("x", ORDER, [culprit, last], HEALTH)])
    assert ([position for position, _ in ended.outcomes], ended.health, ended.loss) == ([0], HEALTH, None)
    lost = Lost("x", ORDER, culprit, [last], "worker hung", "hung and was ended", in_vain=False)
    reply = far_worker._reply(ORDER, "w", "a", [Reported([(first, made)]), lost])
    assert reply.loss is not None and (reply.loss.position, reply.loss.rule) == (1, "worker hung")


def test_workers_of_one_machine_have_a_core_each_and_share_all_cores_evenly_when_there_are_more() -> None:
    name = f"a test's core {uuid.uuid4().hex}"
    with ExitStack() as stack:
        held = [Core(name) for _ in [*cores(), *cores(), None]]
        for core in held:
            stack.callback(core.release)
        first, second = (Counter(core.numbers for core in held[: turns * len(cores())]) for turns in (1, 2))
        assert first == Counter({(number,): 1 for number in cores()})
        assert second == Counter({(number,): 2 for number in cores()})
        assert held[-1].numbers == held[0].numbers
        held[1].release()
        stack.callback((again := Core(name)).release)
        assert again.numbers == held[1].numbers
