"""Sampling: schedule i is what it is whoever draws it; findings are kept once; Ctrl-C and a dead worker cost little."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mmrace.installed import MAKERS, replay_record
from mmrace.runs.replay import REPLAYS
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_UNKNOWN, UsageError
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.generations import Loop
from mmrace.search.explore.one import explore_one
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.drive import IN_VAIN_MAX
from mmrace.search.pool.making import Making
from mmrace.search.pool.parent import ProcessPool
from mmrace.strategies.feedback import Shown
from tests.search.campaign import stand_ins
from tests.search.explore.explorations import Notes, Watching, ask, explore

drawn = partial(explore_one, makers=MAKERS)
SCHEDULES = 12  # two of each member of the portfolio
Run = Callable[[RunSpec, bool], RunResult]


class StoodIn(Watching):
    """An exploration whose workers run a stand-in."""

    run_one: Run = stand_ins.passing

    def pool(self) -> ProcessPool:
        return ProcessPool(self.ask.jobs, Making(type(self).run_one, self.store))


def stood_in(what: Ask, folder: Path, run: Run, observer: Notes | None = None) -> tuple[Exploration, StoodIn]:
    """Explore with a stand-in for a run."""
    made = type("Made", (StoodIn,), {"run_one": staticmethod(run)})(what, MAKERS, folder, observer or Notes())
    return made.run(), made


# -- what a schedule is a function of ----------------------------------------------------------------------------


@pytest.mark.slow
def test_schedules_are_the_same_whatever_the_number_of_workers(tmp_path: Path) -> None:
    what: dict[str, Any] = {"strategy": "portfolio", "runs": SCHEDULES, "variant": "double-put"}
    one, two = (Watching(ask(jobs=jobs, **what), MAKERS, tmp_path / str(jobs), Notes()) for jobs in (1, 2))
    results = one.run(), two.run()
    assert one.seen == two.seen and set(one.seen) == set(range(SCHEDULES))
    assert {verdict for _, verdict in one.seen.values()} == {"PASS", "FAIL"}
    assert results[0].hits.keys() == results[1].hits.keys()
    assert results[0].tally.marks == results[1].tally.marks
    assert results[0].profile == results[1].profile is not None
    _found_once_and_proved(results[0])


def _found_once_and_proved(result: Exploration) -> None:
    """Each signature has a record, which was replayed, and no more than one of its own; its hits were counted."""
    assert (result.verdict, result.exit_code) == ("FAIL", EXIT_FAIL)
    assert result.replayed == dict.fromkeys(result.hits, (REPLAYS, REPLAYS))
    assert max(hit.times for hit in result.hits.values()) > 1
    folders = {hit.saved.folder for hit in result.hits.values()}
    kept = {str(path.parent) for folder in folders for path in Path(folder).parent.glob("*/record.jsonl")}
    assert kept >= folders and len(kept) <= len(result.hits) < max(hit.times for hit in result.hits.values())
    hit = next(iter(result.hits.values()))
    again = replay_record(str(Path(hit.saved.folder, "record.jsonl")))
    assert hit.finding.signature in [finding.signature for finding in again.findings]


def test_another_seed_draws_other_schedules() -> None:
    specs = [ask(seed=seed).spec("pos", seed) for seed in (1, 2)]
    one, two = (drawn(spec).digest for spec in specs)
    assert one != two and drawn(specs[0]).digest == one


@pytest.mark.slow
def test_generations_are_the_same_whatever_the_number_of_workers(tmp_path: Path) -> None:
    what: dict[str, Any] = {"strategy": "feedback:generation=6", "runs": 15, "seed": 3}
    one, two = (Watching(ask(jobs=jobs, **what), MAKERS, tmp_path / str(jobs), Notes()) for jobs in (1, 2))
    for made in (one, two):
        assert made.run().verdict == "PASS"
    assert one.seen == two.seen and set(one.seen) == set(range(15))
    corpora = [sorted(path.name for path in (tmp_path / str(jobs)).glob("explore/*.json")) for jobs in (1, 2)]
    assert corpora[0] == corpora[1] and len(corpora[0]) == 3


def test_a_schedule_of_a_generation_is_drawn_again_from_its_corpus(tmp_path: Path) -> None:
    loop = Loop("feedback:generation=4", lambda text: ask().spec(text, 5), tmp_path)
    first = [drawn(loop.spec(index)).shown for index in loop.indices(None)]
    loop.learn([shown for shown in first if shown is not None])
    assert list(loop.indices(6)) == [4, 5]
    child = loop.spec(4)
    assert f"corpus={tmp_path}" in child.command()
    assert drawn(child).shown == drawn(child).shown != first[0]


def test_a_corpus_that_cannot_be_read_or_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="corpus file"):
        Loop(f"feedback:corpus={tmp_path / 'none.json'}", lambda text: ask().spec(text, 5), tmp_path)
    (tmp_path / "explore").write_text("in the way")
    with pytest.raises(UsageError, match="can be written"):
        Loop("feedback", lambda text: ask().spec(text, 5), tmp_path).learn([Shown((0.5,), frozenset("a"))])


# -- workers and Ctrl-C ------------------------------------------------------------------------------------------


def fragile(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: some schedules crash their process."""
    if spec.seed % 16 == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    return stand_ins.passing(spec, keep_record)


def deadly(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: every schedule crashes its process."""
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("still here")


def fragile_feedback(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: schedule 2 crashes its process; the others show something."""
    index = int(spec.strategy.rpartition("=")[2])
    if index == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    result = stand_ins.passing(spec, keep_record)
    result.shown = Shown((0.25,), frozenset({str(index)}))
    return result


@pytest.mark.slow
def test_a_worker_that_crashes_twice_costs_its_run_and_is_a_finding(tmp_path: Path) -> None:
    what = ask(strategy="pos", runs=40, jobs=2)
    result, made = stood_in(what, tmp_path, fragile)
    doomed = {i for i in range(40) if made.spec(i).seed % 16 == 0}
    assert doomed
    assert set(made.seen) == set(range(40)) - doomed
    assert result.losses.total() == 2 * len(doomed)  # each is tried once more
    assert {hit.finding.oracle for hit in result.hits.values()} == {"harness"}
    assert result.exit_code == EXIT_FAIL


@pytest.mark.slow
def test_a_worker_that_somebody_ends_costs_no_schedule_and_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(stand_ins.SCRATCH, str(tmp_path))
    result, made = stood_in(ask(strategy="pos", runs=40, jobs=2), tmp_path, stand_ins.ended_once)
    ended = len(list(tmp_path.glob("death-*")))
    assert ended and result.losses == {"was ended by SIGKILL during a run, from outside": ended}
    assert set(made.seen) == set(range(40))
    assert (result.hits, result.given_up, result.troubles) == ({}, [], [])


@pytest.mark.slow
def test_a_worker_that_crashes_does_not_end_its_generation(tmp_path: Path) -> None:
    what = ask(strategy="feedback:generation=4", runs=8)
    result, made = stood_in(what, tmp_path, fragile_feedback)
    assert set(made.seen) == set(range(8)) - {2}
    assert result.losses.total() == 2


@pytest.mark.slow
def test_workers_that_die_again_and_again_in_a_run_end_the_exploration_as_the_programs_doing(tmp_path: Path) -> None:
    result, _ = stood_in(ask(runs=40), tmp_path, deadly)
    assert result.losses.total() == IN_VAIN_MAX
    assert [trouble.exit_code for trouble in result.troubles] == [EXIT_UNKNOWN]
    assert result.verdict == "FAIL"
    assert f"UNKNOWN: {IN_VAIN_MAX} workers in a row died" in result.troubles[0].text


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["pos", "feedback"])
def test_ctrl_c_keeps_what_was_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str) -> None:
    monkeypatch.setattr("mmrace.search.explore.driver.TELL_SECONDS", 0.0)
    observer = Notes()

    def interrupt(result: Exploration) -> None:
        if result.tally.runs:
            raise KeyboardInterrupt

    monkeypatch.setattr(observer, "progress", interrupt)
    result, _ = stood_in(ask(strategy=strategy, runs=None), tmp_path, stand_ins.failing, observer)
    assert result.interrupted and result.exit_code == EXIT_INTERRUPTED
    assert result.tally.runs and list(result.hits) == ["abc123"]
    assert Path(result.hits["abc123"].saved.folder, "record.jsonl").exists()
    assert not result.replayed


def test_a_run_that_breaks_mmrace_is_a_trouble_and_ends_the_search(tmp_path: Path) -> None:
    result, _ = stood_in(ask(runs=None, seconds=60.0), tmp_path, stand_ins.crashing)
    assert (result.verdict, result.exit_code) == ("UNKNOWN", EXIT_INTERNAL)
    assert "nobody expected this" in result.troubles[0].text


@pytest.mark.slow
def test_until_found_stops_at_the_first_finding(tmp_path: Path) -> None:
    what = ask(variant="double-put", runs=200, until_found=True)
    observer = Notes()
    result = explore(what, tmp_path, observer)
    assert result.tally.runs < 50
    assert [hit.finding.signature for hit in observer.hits] == list(result.hits)


def test_judges_that_are_switched_off_see_nothing() -> None:
    spec = ask(variant="double-put").spec("pos", 0)
    seeds = (replace(spec, seed=seed) for seed in range(30))  # 6 of 10 fail: all of them pass with a chance of 1e-12
    failing = next(spec for spec in seeds if drawn(spec).verdict == "FAIL")
    oracles = {finding.oracle for finding in drawn(failing).findings}
    without = drawn(replace(failing, without=tuple(sorted(oracles))))
    assert not without.findings and without.verdict != "FAIL"
