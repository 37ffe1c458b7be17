"""A cluster that adapts starts workers for what waits and ends idle ones; no run is lost or made twice by that."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from mmrace.runs.spec import RunSpec
from mmrace.runs.store import FindingStore
from mmrace.search.pool.drive import drive
from mmrace.search.pool.far import FarPool
from mmrace.search.pool.fleet import DEPTH, Fleet, quiet
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Job
from tests.search.pool.far_runs import passing
from tests.search.pool.stand_ins import Notes, jobs

pytestmark = pytest.mark.slow
distributed = pytest.importorskip("distributed")

WORKERS = 2


class Growing(Notes):
    """Runs without end, until so many workers are there.  `seen`: how many there were, one after the other."""

    def __init__(self, pool: FarPool) -> None:
        super().__init__((Job("main", "", i, RunSpec("alpha", seed=i)) for i in count()), size=5)
        self.pool = pool
        self.seen: list[int] = []

    def next_batch(self) -> Batch | None:
        self.look()
        return None if WORKERS in self.seen and self.taken else super().next_batch()

    def look(self) -> None:
        threads = self.pool.places // DEPTH
        if self.seen[-1:] != [threads]:
            self.seen.append(threads)


@pytest.mark.timeout(300)  # four processes are started, two of them twice
def test_a_cluster_that_adapts_grows_from_nobody_shrinks_again_and_loses_nothing(tmp_path: Path) -> None:
    """BUG once: a cluster without workers got nothing to do before it had one, and never had one."""
    quiet()
    with distributed.LocalCluster(
        n_workers=0, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=100
    ) as cluster:
        cluster.adapt(minimum=0, maximum=WORKERS, interval="200ms", wait_count=5, target_duration="1ms")
        with FarPool(Fleet(cluster.scheduler_address), Making(passing, FindingStore(tmp_path))) as pool:
            source = Growing(pool)
            drive(pool, source)
            while source.seen[-1]:
                assert pool.poll(1.0) == []
                source.look()
            assert sorted(job.index for job in source.taken) == list(range(len(source.taken)))
            later = Notes(jobs(7), size=3)
            drive(pool, later)
    assert sorted(job.index for job in later.taken) == list(range(7))
    assert not source.losses and not later.losses and not source.troubles and not later.troubles
