"""What travels: a finding whole, and no more of it than is of use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.examples import lost_update
from mmrace.installed import MAKERS
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.conversion import FOLLOWED, NEITHER, Conversion
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime import record_file
from mmrace.search.pool.far_parcel import FarMaking, FarOutcome, name_of, packed, unpacked
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Batch, Has, Job
from tests.search.pool.test_making import FREE, Converting, fails, job

LOST_UPDATE = RunSpec(f"{lost_update.__file__}:main", maker="function", engine="fiber", strategy="random")
SEEDS = range(200)  # a seed of them fails: one in three does


def real(spec: RunSpec, keep_record: bool) -> RunResult:
    return run_one(spec, keep_record, makers=MAKERS)


def failing_job() -> Job:
    """Return a job whose run fails, with a real record."""
    jobs = (Job("main", "", seed, replace(LOST_UPDATE, seed=seed)) for seed in SEEDS)
    return next(job for job in jobs if real(job.spec, False).verdict == "FAIL")


def sent(made: FarOutcome) -> FarOutcome:
    """Return an outcome as it arrives."""
    arrived = unpacked(packed(made))
    assert isinstance(arrived, FarOutcome)
    return arrived


def content(folder: Path, *, without: Collection[str] = ()) -> Mapping[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name not in without
    }


def test_a_finding_that_travelled_is_kept_as_one_that_was_made_here(tmp_path: Path) -> None:
    one = failing_job()
    near, far = (Making(real, FindingStore(tmp_path / name)) for name in ("near", "far"))
    near.make(one)
    outcome = far.keep(one, Batch((one,)), sent(FarMaking(far).make(one)).made())
    assert outcome.result is not None and outcome.result.record is None
    assert outcome.saved and all(Path(saved.folder).is_dir() and not saved.error for saved in outcome.saved.values())
    dated = ("summary.json", "command.txt")
    assert content(tmp_path / "near", without=dated) == content(tmp_path / "far", without=dated)
    assert any(name.endswith("record.jsonl") for name in content(tmp_path / "far"))


def test_what_is_kept_whole_already_travels_as_a_hit(tmp_path: Path) -> None:
    one = failing_job()
    making = Making(real, FindingStore(tmp_path))
    first = FarMaking(making).make(one)
    assert not first.small and first.result is not None
    making.keep(one, Batch((one,)), sent(first).made())
    has = Has(frozenset(name_of(finding.signature, one.spec) for finding in first.result.findings))
    again = FarMaking(making).make(one, Batch((one,), has=has))
    assert again.small and len(packed(again)) < len(packed(first)) / 2
    for saved in making.keep(one, Batch((one,)), sent(again).made()).saved.values():
        assert saved.before and len(Path(saved.folder, "hits.jsonl").read_text().splitlines()) == 1


def test_a_failure_of_free_threads_is_made_again_where_it_was_found_and_both_records_travel(tmp_path: Path) -> None:
    converting = Converting()
    making = Making(fails, FindingStore(tmp_path), convert=converting)
    made = sent(FarMaking(making).make(job()))
    assert converting.asked == [(["new"], True)] and set(made.again) == {"new"}
    saved = making.keep(job(), Batch((job(),)), made.made()).saved
    assert saved["new"].conversion == Conversion(FOLLOWED, 9, 10)
    assert (tmp_path / "new" / "free.jsonl").exists() and (tmp_path / "old" / "record.jsonl").exists()


@pytest.mark.parametrize(
    ("whole", "free", "asked", "travels"),
    [
        ((), (), [(["new"], True)], True),
        (("new",), (), [], True),  # the other finding is not kept yet
        (("new", "old"), (), [], False),
        (("old",), ("new",), [(["new"], False)], False),
    ],
)
def test_what_is_kept_decides_what_is_made_again_and_what_travels(
    tmp_path: Path, whole: tuple[str, ...], free: tuple[str, ...], asked: list[object], travels: bool
) -> None:
    converting = Converting(NEITHER if free else FOLLOWED)
    has = Has(*(frozenset(name_of(each, FREE) for each in some) for some in (whole, free)))
    made = FarMaking(Making(fails, FindingStore(tmp_path), convert=converting)).make(job(), Batch((job(),), has=has))
    assert converting.asked == asked and (made.run is not None) is travels


def test_of_a_planted_bug_only_what_is_kept_travels(tmp_path: Path) -> None:
    run = job(role="canary")
    batch = Batch((run,), "content")
    for canaries, until, travels in ((None, "content", False), (tmp_path, "content", True), (tmp_path, "other", False)):
        making = FarMaking(Making(fails, FindingStore(tmp_path), canaries))
        assert (making.make(run, replace(batch, until=until)).run is not None) is travels


def test_a_record_that_would_not_be_read_again_stays_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = failing_job()
    making = Making(real, FindingStore(tmp_path))
    monkeypatch.setattr(record_file, "BYTES_MAX", 1000)
    made = sent(FarMaking(making).make(one))
    assert made.run is not None and made.run.record is None
    for saved in making.keep(one, Batch((one,)), made.made()).saved.values():
        assert Path(saved.folder, "summary.json").exists() and not Path(saved.folder, "record.jsonl").exists()


def test_what_breaks_while_it_is_made_again_is_told_and_the_run_travels(tmp_path: Path) -> None:
    def breaks(free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
        raise ZeroDivisionError("nobody expected this")

    made = sent(FarMaking(Making(fails, FindingStore(tmp_path), convert=breaks)).make(job()))
    assert made.trouble is not None and "nobody expected this" in made.trouble[1] and made.run is not None


def test_what_a_run_raises_travels_as_its_trouble(tmp_path: Path) -> None:
    def raises(spec: RunSpec, keep_record: bool) -> RunResult:
        raise ZeroDivisionError("nobody expected this")

    made = sent(FarMaking(Making(raises, FindingStore(tmp_path))).make(job()))
    outcome = Making(raises, FindingStore(tmp_path)).keep(job(), Batch((job(),)), made.made())
    assert outcome.result is None and outcome.trouble is not None and not outcome.saved


def test_findings_have_names_of_their_programs() -> None:
    finding = Finding("content", "rule", "title", {}, "abc")
    assert name_of(finding.signature, FREE) != name_of(finding.signature, replace(FREE, program="beta"))
