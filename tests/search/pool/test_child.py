"""The worker's side, without a process: what it makes of a batch, and when it stops."""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection, Mapping
from pathlib import Path

from mmrace.runs import stops
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.search.pool import child
from mmrace.search.pool.heart import CONVERTING, STOP
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch
from tests.search.pool import test_making
from tests.search.pool.stand_ins import jobs


def test_a_run_that_is_not_wanted_any_more_while_it_is_prepared_is_not_made(tmp_path: Path) -> None:
    pulse = [0, child.NO_POSITION, 0, 0]
    made: list[int] = []

    def run(spec: RunSpec, keep_record: bool) -> RunResult:
        pulse[STOP] = spec.seed  # the parent says so meanwhile
        stops.check_wanted()
        made.append(spec.seed)
        return RunResult(spec, "PASS")

    here, there = multiprocessing.Pipe()
    with here, there:
        child._serve(Making(run, FindingStore(tmp_path)), Batch(tuple(jobs(3))), there, pulse)
        kind, outcomes = here.recv()
        assert (kind, [position for position, _ in outcomes], made) == ("done", [0], [0])
        assert not here.poll()


def test_the_parent_sees_while_a_failure_is_made_again_under_control(tmp_path: Path) -> None:
    pulse, seen = [0, child.NO_POSITION, 0, 0, 0], []

    def convert(free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
        seen.append(pulse[CONVERTING])
        return {}

    here, there = multiprocessing.Pipe()
    with here, there:
        making = Making(test_making.fails, FindingStore(tmp_path), convert=convert)
        child._serve(making, Batch((test_making.job(),)), there, pulse)
    assert (seen, pulse[CONVERTING]) == ([1], 0)
