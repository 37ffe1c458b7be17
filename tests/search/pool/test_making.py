"""How a run becomes an outcome: what was found is kept, whatever becomes of making it again under control."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.conversion import FOLLOWED, NEITHER, Conversion
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import EXIT_INTERNAL
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Job, Role
from mmrace.strategies import retrace
from tests.search.campaign.stand_ins import record_of

FREE = RunSpec("alpha", seed=3)


def fails(spec: RunSpec, keep_record: bool) -> RunResult:
    """Fail with two findings, one of which is known."""
    found = [Finding("content", "rule", "title", {}, "new"), Finding("content", "rule", "title", {}, "old", "C7")]
    return RunResult(spec, "FAIL", found, record=record_of(spec))


class Converting:
    """Stands in for conversions.  Args: how: they end.  `asked`: (signatures, whether to search) of each."""

    def __init__(self, how: str = FOLLOWED) -> None:
        self.how = how
        self.asked: list[tuple[list[str], bool]] = []

    def __call__(self, free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
        self.asked.append((list(wanted), search))
        told = Conversion(self.how, 9, 10)
        if self.how == NEITHER:
            return {name: replace(free, conversion=told) for name in wanted}
        spec = replace(free.spec, engine="fiber", strategy=retrace.text(""))
        finding = Finding("content", "rule", "title", {}, "new")
        made = RunResult(spec, "FAIL", [finding], record=record_of(spec), free=free.record, conversion=told)
        return dict.fromkeys(wanted, made)


def job(spec: RunSpec = FREE, role: Role = "main") -> Job:
    return Job(role, "", 0, spec)


def test_a_new_failure_of_free_threads_is_made_again_at_once_and_what_is_known_is_not(tmp_path: Path) -> None:
    converting = Converting()
    making = Making(fails, FindingStore(tmp_path), convert=converting)
    saved = making.make(job()).saved
    assert converting.asked == [(["new"], True)]
    assert saved["new"].conversion == Conversion(FOLLOWED, 9, 10) and saved["old"].conversion is None
    assert (tmp_path / "new" / "free.jsonl").exists() and not (tmp_path / "old" / "free.jsonl").exists()
    again = making.make(job(replace(FREE, seed=4))).saved
    assert len(converting.asked) == 1 and again["new"].before


def test_where_it_was_searched_for_in_vain_a_later_run_is_followed_only(tmp_path: Path) -> None:
    converting = Converting(NEITHER)
    making = Making(fails, FindingStore(tmp_path), convert=converting)
    for seed in range(3):
        making.make(job(replace(FREE, seed=seed)))
    assert converting.asked == [(["new"], True), (["new"], False), (["new"], False)]
    converting.how = FOLLOWED
    saved = making.make(job(replace(FREE, seed=5))).saved["new"]
    assert saved.conversion is not None and saved.conversion.came and not saved.before


@pytest.mark.parametrize("run", [job(role="canary"), job(replace(FREE, engine="gate"))])
def test_planted_bugs_and_controlled_runs_are_left_as_they_are(tmp_path: Path, run: Job) -> None:
    converting = Converting()
    Making(fails, FindingStore(tmp_path), tmp_path / "canaries", converting).make(run, Batch((), "content"))
    assert converting.asked == []


def test_a_conversion_that_breaks_is_told_and_loses_nothing(tmp_path: Path) -> None:
    def breaks(free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
        raise ZeroDivisionError("nobody expected this")

    outcome = Making(fails, FindingStore(tmp_path), convert=breaks).make(job())
    assert outcome.result is not None and outcome.trouble is not None and outcome.trouble[0] == EXIT_INTERNAL
    assert "nobody expected this" in outcome.trouble[1]
    assert set(outcome.saved) == {"new", "old"} and (tmp_path / "new" / "record.jsonl").exists()


@pytest.mark.parametrize("breaks", [False, True])
def test_who_asks_is_told_that_it_is_being_made_again_under_control_and_when_that_is_over(
    tmp_path: Path, breaks: bool
) -> None:
    told: list[object] = []
    converting = Converting()

    def convert(free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
        told.append("now")
        if breaks:
            raise ZeroDivisionError("nobody expected this")
        return converting(free, wanted, search=search)

    Making(fails, FindingStore(tmp_path), convert=convert).make(job(), Batch(()), told.append)
    assert told == [True, "now", False]
