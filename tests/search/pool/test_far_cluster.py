"""Far workers as they are: a real scheduler and real Dask workers, of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmrace.examples import lost_update
from mmrace.installed import MAKERS
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import UsageError
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.pool import far, far_link
from mmrace.search.pool.contract import Event, Lost, Reported
from mmrace.search.pool.drive import drive
from mmrace.search.pool.far import FarPool
from mmrace.search.pool.far_link import Link
from mmrace.search.pool.fleet import Fleet, quiet, started
from mmrace.search.pool.making import Making, PoolFactory
from mmrace.search.pool.messages import Batch
from mmrace.search.pool.reply_size import REPLY_BYTES_MAX
from tests.search.pool.far_runs import CULPRIT, crashing, killing_worker, passing
from tests.search.pool.stand_ins import Notes, jobs

pytestmark = pytest.mark.slow
distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")  # which Dask needs

key_of = Link._key
PROGRAM = f"{lost_update.__file__}:main"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Two workers, for all tests of this file; a batch that has killed one is looked at run by run."""
    import dask  # noqa: PLC0415

    quiet()
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=100,
            scheduler_kwargs={"allowed_failures": 0},
        ) as cluster,
    ):
        yield Fleet(cluster.scheduler_address)


class Silent:
    """Told, and says nothing."""

    def progress(self, result: Exploration) -> None: ...

    def found(self, hit: object) -> None: ...


def explored(folder: Path, pool: PoolFactory | None = None) -> Exploration:
    ask = Ask(PROGRAM, maker="function", runs=40, jobs=1, strategy="random")
    return Explorer(ask, MAKERS, folder, Silent(), pool=pool).run()


def test_the_same_schedules_come_to_the_same_and_findings_are_kept_here(fleet: Fleet, tmp_path: Path) -> None:
    near = explored(tmp_path / "near")
    pools: list[FarPool] = []

    def pool(making: Making) -> FarPool:
        pools.append(FarPool(fleet, making))
        return pools[-1]

    far = explored(tmp_path / "far", pool)
    assert far.tally.runs == near.tally.runs == 40 and far.tally.verdicts == near.tally.verdicts
    assert far.tally.ops == near.tally.ops and far.classes.seen == near.classes.seen
    assert not far.losses and not far.troubles
    times = [{name: hit.times for name, hit in result.hits.items()} for result in (near, far)]
    assert times[0] == times[1] and times[0]
    for hit in far.hits.values():
        assert Path(hit.saved.folder).parent == tmp_path / "far" / "findings"
        assert Path(hit.saved.folder, "record.jsonl").is_file()
    assert 0 < pools[0].size.largest <= REPLY_BYTES_MAX


def test_a_run_that_crashes_its_process_is_told_and_all_others_are_made(fleet: Fleet, tmp_path: Path) -> None:
    source = Notes(jobs(6), size=5)
    with FarPool(fleet, Making(crashing, FindingStore(tmp_path))) as pool:
        drive(pool, source)
    assert sorted(job.index for job in source.taken) == [0, 1, 2, 4, 5]
    assert [job.index for job in source.given_up] == [CULPRIT]
    assert {lost.told for lost in source.losses} == {"was ended by SIGSEGV during a run"}


def test_a_run_that_kills_the_dask_worker_itself_is_told_and_the_rest_comes_back(fleet: Fleet, tmp_path: Path) -> None:
    """The batch is tried whole, then run by run; each time a nanny starts another worker, which joins late."""
    events: list[Event] = []
    with FarPool(fleet, Making(killing_worker, FindingStore(tmp_path))) as pool:
        pool.submit(Batch(tuple(jobs(6))))
        while not pool.idle:
            events += pool.poll(1.0)
    made = [job.index for event in events if isinstance(event, Reported) for job, _ in event.outcomes]
    [lost] = [event for event in events if isinstance(event, Lost)]
    assert lost.culprit is not None and lost.culprit.index == CULPRIT and lost.rule == "worker died"
    assert made == [0, 1, 2] and [job.index for job in lost.undone] == [4, 5]


def test_a_scheduler_that_asks_for_certificates_is_a_wrong_call_without_them(tmp_path: Path) -> None:
    """BUG once: a traceback."""
    with pytest.raises(UsageError, match=r"expected a Dask scheduler that answers within 10 s, got .*TLS"):
        FarPool(Fleet("tls://127.0.0.1:1"), Making(passing, FindingStore(tmp_path))).__enter__()


def kept_for_ever(pool: FarPool) -> list[object]:
    """Return what the scheduler of a cluster of this process keeps of orders as long as it runs."""
    cluster = pool._link._cluster
    assert cluster is not None and cluster.scheduler is not None
    spans = cluster.scheduler.extensions["spans"].spans.values()
    assert spans
    return [kind for span in spans for kind in span.metadata["collections"]]


def test_what_a_scheduler_remembers_of_orders_does_not_grow_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: of each order its key, up to a hundred thousand, and for ever what kind of call it was."""
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(far_link, "NUMBERS", 8)
    monkeypatch.setattr(Link, "_key", lambda link, client: asked.append(key_of(link, client)) or asked[-1])
    with FarPool(Fleet(local=1), Making(passing, FindingStore(tmp_path))) as pool:
        drive(pool, Notes(jobs(40), size=1))
        assert kept_for_ever(pool) == []
    assert len(asked) >= 40 and {number for _, number in asked} == set(range(8))


def test_a_cluster_of_this_machine_listens_on_this_machine_only() -> None:
    """BUG once: its scheduler told of workers and tasks on every network."""

    async def listening() -> tuple[set[str], str]:
        cluster = await started(0)
        try:
            sockets = psutil.Process().net_connections()
            heard = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
            return heard, cluster.new_spec["options"]["dashboard_address"]
        finally:
            await cluster.close()

    assert asyncio.run(listening()) == ({"127.0.0.1"}, "127.0.0.1:0")


def test_a_worker_of_another_revision_makes_no_run_and_says_so(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(far, "revision", lambda: "0.0.0+other")
    with pytest.raises(UsageError, match=r"expected mmrace 0\.0\.0\+other, as the client has it; got mmrace "):
        FarPool(fleet, Making(passing, FindingStore(tmp_path))).__enter__()
