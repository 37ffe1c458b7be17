"""A campaign over stand-ins for runs: what it plans, what it survives, what it says in the end."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from mmrace.report.campaign import refusals_by_reason
from mmrace.runs.conversion import FOLLOWED
from mmrace.runs.spec import RunResult
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.search.campaign.driver import Campaign
from mmrace.search.campaign.plan import canary_spec, planted
from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.sequences import rows
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.catalogue import Catalogue
from mmrace.search.pool import parent
from mmrace.search.pool.contract import ConvertFunction, RunFunction
from mmrace.search.totals import Hit
from tests.search.campaign import stand_ins
from tests.search.campaign.stand_ins import StandInCanary, stand_in_catalogue

RunCampaign = Callable[..., CampaignResult]


class Watcher:
    """Keeps what a campaign tells; `interrupt_after` that many runs it raises KeyboardInterrupt, as Ctrl-C does."""

    def __init__(self, interrupt_after: int | None = None) -> None:
        self.interrupt_after = interrupt_after
        self.hits: list[Hit] = []
        self.trials: list[CanaryTrial] = []

    def progress(self, result: CampaignResult) -> None:
        if self.interrupt_after is not None and result.total().runs >= self.interrupt_after:
            self.interrupt_after = None
            raise KeyboardInterrupt

    def found(self, hit: Hit) -> None:
        self.hits.append(hit)

    def canary(self, trial: CanaryTrial) -> None:
        self.trials.append(trial)


@pytest.fixture
def campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunCampaign:
    """Run a campaign over stand-ins in real worker processes."""
    monkeypatch.setenv(stand_ins.SCRATCH, str(tmp_path))

    def go(
        run: RunFunction,
        request: Request,
        known: Catalogue | None = None,
        watcher: Watcher | None = None,
        hang_seconds: float = 60.0,
        convert: ConvertFunction | None = None,
    ) -> CampaignResult:
        known = known or stand_in_catalogue()
        made = Campaign(
            complete(known, request),
            known,
            run,
            tmp_path / ".mmrace",
            watcher or Watcher(),
            convert=convert,
            hang_seconds=hang_seconds,
        )
        return made.run()

    return go


def runs_made(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("run-*")}


# -- planning


def test_twin_runs_are_the_canary_runs_without_the_bug() -> None:
    canary = StandInCanary("lost-copy")
    request = Request(("alpha",))
    planted, twin = (canary_spec(request, canary, 3, planted=planted) for planted in (True, False))
    assert planted.variant == "lost-copy"
    assert twin == replace(planted, variant="")


def test_trial_is_concluded_after_as_many_twin_runs() -> None:
    trial = CanaryTrial(Request(), StandInCanary("c", cap_runs=5))
    roles = []
    while batch := trial.next_batch(2):
        for job in batch.jobs:
            roles.append(job.role)
            found = stand_ins.failing(job.spec, False).findings if roles.count("canary") == 3 else []
            trial.take(job, RunResult(job.spec, "FAIL" if found else "PASS", list(found)))
            if trial.found_after and job.role == "canary":
                break
        trial.release()
    assert (trial.found_after, trial.concluded, trial.missed) == (3, True, False)
    assert roles == ["canary"] * 3 + ["twin"] * 3


@pytest.mark.parametrize(
    ("request_", "needle"),
    [
        (Request(("alhpa",)), "did you mean alpha?"),
        (Request(noise="lout"), "did you mean loud"),
        (Request(variant="nothing"), "the name of a variant"),
        (Request(runs=3, seconds=3.0), "expected --for or --runs"),
        (Request(("alpha",), workload="real"), "without scenario names, or with: played"),
        (Request(("played",)), "--workload FILE"),
        (Request(jobs=1000), "64 jobs"),
    ],
)
def test_wrong_request_is_refused_with_what_to_try(request_: Request, needle: str) -> None:
    with pytest.raises(UsageError) as caught:
        complete(stand_in_catalogue(), request_)
    assert needle in str(caught.value)


@pytest.mark.parametrize(
    ("pair", "needle"), [("pages", "KEY=VALUE"), ("page=3", "did you mean pages?"), ("pages=two", "a number in 1..9")]
)
def test_wrong_parameter_is_refused_with_what_to_try(pair: str, needle: str) -> None:
    with pytest.raises(UsageError) as caught:
        complete(stand_in_catalogue(), Request(), [pair])
    assert needle in str(caught.value)


TEN = tuple(StandInCanary(f"bug-{number}") for number in range(10))


@pytest.mark.parametrize(("seconds", "planted"), [(None, 10), (90.0, 10), (60.0, 10), (30.0, 5), (10.0, 1), (3.0, 0)])
def test_a_short_campaign_plants_as_many_canaries_as_its_share_of_a_minute(
    tmp_path: Path, seconds: float | None, planted: int
) -> None:
    """BUG once: ten seconds for a cast of one's own went into planted bugs, and ended UNKNOWN."""
    known = stand_in_catalogue(*TEN)
    made = [
        Campaign(
            complete(known, Request(("alpha",), seed=seed, seconds=seconds)), known, stand_ins.passing, tmp_path, w
        )
        for seed in (1, 1, 2, 3, 4)
        for w in (Watcher(),)
    ]
    for one in made:
        assert len(one.trials) == planted
        assert sorted([*one.trials, *one.result.unplanted]) == [canary.name for canary in TEN]
    assert made[0].trials.keys() == made[1].trials.keys(), "the seed chooses"
    assert planted in (0, 10) or len({tuple(one.trials) for one in made}) > 1


@pytest.mark.parametrize(
    ("seconds", "runs", "rare"), [(60.0, None, 2), (120.0, None, 4), (180.0, None, 6), (240.0, None, 8), (None, 9, 8)]
)
def test_the_default_campaign_plants_what_is_found_quickly_and_a_share_of_the_rest(
    seconds: float | None, runs: int | None, rare: int
) -> None:
    quick = [StandInCanary(f"quick-{number}", cap_runs=60) for number in range(2)]
    slow = [StandInCanary(f"rare-{number}", cap_runs=61) for number in range(8)]
    known = stand_in_catalogue(*quick, *slow)
    made = [planted(Request(("alpha",), seed=seed, seconds=seconds, runs=runs), known) for seed in (1, 1, 2, 3, 4)]
    for names in made:
        assert {canary.name for canary in quick} <= {*names}
        assert len(names) == len(quick) + rare
    assert made[0] == made[1], "the seed chooses"
    assert rare == len(slow) or len({*made}) > 1


def test_without_canaries_none_is_missed_for_want_of_time(tmp_path: Path) -> None:
    known = stand_in_catalogue(*TEN)
    request = complete(known, Request(("alpha",), seconds=10.0, canaries=False))
    assert Campaign(request, known, stand_ins.passing, tmp_path, Watcher()).result.unplanted == ()


def test_a_planted_bug_whose_judge_is_switched_off_is_not_looked_for(tmp_path: Path) -> None:
    known = stand_in_catalogue(StandInCanary("unseen"), StandInCanary("seen", oracle="refcount"))
    oracle = known.canaries["unseen"].oracle
    request = complete(known, Request(("alpha",), without=(oracle,)))
    made = Campaign(request, known, stand_ins.passing, tmp_path, Watcher())
    assert [*made.trials] == ["seen"]
    assert made.result.unplanted == () and {row.spec(0).without for row in rows(request, known)} == {(oracle,)}


# -- running


def test_passing_campaign_counts_every_run_once(campaign: RunCampaign, tmp_path: Path) -> None:
    known = stand_in_catalogue(workloads=("real",))
    result = campaign(stand_ins.passing, Request(runs=40, jobs=2), known)
    assert (result.verdict, result.exit_code) == ("PASS", 0)
    total = result.total()
    assert (total.runs, total.ops) == (40, 400)
    assert refusals_by_reason(total) == {"page-lock": 40}
    assert result.marks_missed() == ["never seen"]
    assert len(runs_made(tmp_path)) == 40
    played = result.workloads["real"].counters
    assert played["workload.pairs_kept"] * 6 == played["workload.pairs"] * 5
    assert result.workers and result.stray_threads() == 0
    assert all(life.growth(result.seconds)[2] > 0 for life in result.workers.values())


@pytest.mark.slow
def test_runs_made_do_not_depend_on_jobs(campaign: RunCampaign, tmp_path: Path) -> None:
    campaign(stand_ins.passing, Request(runs=30, jobs=1))
    first = runs_made(tmp_path)
    campaign(stand_ins.passing, Request(runs=30, jobs=3))
    assert runs_made(tmp_path) == first


@pytest.mark.slow
def test_canary_is_found_after_the_same_runs_whatever_the_jobs(campaign: RunCampaign) -> None:
    known = stand_in_catalogue(StandInCanary("first"), StandInCanary("second"))
    watcher = Watcher()
    result = campaign(stand_ins.failing_on_the_third, Request(("beta",), runs=4, jobs=2), known, watcher)
    assert [(trial.canary.name, trial.found_after) for trial in result.trials] == [("first", 3), ("second", 3)]
    assert [trial.twin_runs for trial in result.trials] == [3, 3]
    assert (result.verdict, result.exit_code, len(result.hits)) == ("PASS", 0, 0)
    assert sorted(trial.canary.name for trial in watcher.trials) == ["first", "second"]


def test_canary_that_only_another_oracle_catches_is_missed(campaign: RunCampaign) -> None:
    known = stand_in_catalogue(StandInCanary("mute", cap_runs=6))
    result = campaign(stand_ins.failing_otherwise_on_canaries, Request(("alpha",), runs=2, jobs=1), known)
    (trial,) = result.trials
    assert trial.missed and trial.others == {"ledger": 6}
    assert (result.verdict, result.exit_code) == ("FAIL", 1)


def test_canary_that_was_never_measured_is_refused_unless_canaries_are_left_out(campaign: RunCampaign) -> None:
    known = stand_in_catalogue(StandInCanary("new", cap_runs=0))
    with pytest.raises(UsageError, match="measure it"):
        campaign(stand_ins.passing, Request(("alpha",), runs=1, jobs=1), known)
    assert campaign(stand_ins.passing, Request(("alpha",), runs=1, jobs=1, canaries=False), known).verdict == "PASS"


def test_failing_twin_is_a_finding_of_the_correct_protocol(campaign: RunCampaign) -> None:
    known = stand_in_catalogue(StandInCanary("c"))
    result = campaign(stand_ins.failing, Request(("alpha",), runs=1, jobs=1), known)
    assert result.trials[0].found_after == 1
    assert result.trials[0].twin_failed == 1
    assert {hit.role for hit in result.hits.values()} == {"twin"}
    assert result.exit_code == 1


@pytest.mark.slow
def test_record_of_a_canary_is_kept_on_request_only(campaign: RunCampaign, tmp_path: Path) -> None:
    known = stand_in_catalogue(StandInCanary("c"))
    request = Request(("alpha",), runs=1, jobs=1)
    campaign(stand_ins.failing_on_canaries, request, known)
    assert not (tmp_path / ".mmrace").exists()
    campaign(stand_ins.failing_on_canaries, replace(request, keep_canaries=True), known)
    assert [path.name for path in (tmp_path / ".mmrace" / "canaries" / "c").iterdir()] == ["abc123"]


@pytest.mark.slow
def test_finding_is_kept_once_and_further_hits_are_counted(campaign: RunCampaign, tmp_path: Path) -> None:
    watcher = Watcher()
    result = campaign(stand_ins.failing, Request(("alpha",), runs=12, jobs=2), watcher=watcher)
    assert result.exit_code == 1
    (hit,) = result.hits.values()
    assert hit.times == 12
    assert [seen.finding.signature for seen in watcher.hits] == ["abc123"]
    folder = tmp_path / ".mmrace" / "findings" / "abc123"
    assert hit.saved.folder == str(folder)
    assert len((folder / "hits.jsonl").read_text().splitlines()) == 11


@pytest.mark.slow
def test_nothing_judged_is_unknown(campaign: RunCampaign) -> None:
    result = campaign(stand_ins.unknowing, Request(("alpha",), runs=5, jobs=1))
    assert (result.verdict, result.exit_code) == ("UNKNOWN", 5)
    assert "5 of 5 runs could not be judged" in result.unknown_because()[0]
    assert result.total().unknown["content: nothing to check"] == 5


@pytest.mark.parametrize(
    ("run", "code", "needle"),
    [
        (stand_ins.misused, 2, "a workload that exists"),
        (stand_ins.diverging, 3, "diverged at step 7"),
        (stand_ins.crashing, 4, "nobody expected this"),
        (stand_ins.broken, 4, "mmrace bug: a lock that was free could not be taken"),
    ],
)
def test_trouble_has_its_exit_code(campaign: RunCampaign, run: RunFunction, code: int, needle: str) -> None:
    result = campaign(run, Request(("alpha",), runs=3, jobs=1))
    assert result.exit_code == code
    assert needle in result.troubles[0].text


def test_thread_left_behind_is_a_finding(campaign: RunCampaign) -> None:
    result = campaign(stand_ins.leaking, Request(("alpha",), runs=3, jobs=1))
    assert result.stray_threads() == 3
    (hit,) = result.hits.values()
    assert (hit.finding.oracle, hit.finding.rule, result.exit_code) == ("harness", "threads left behind", 1)


# -- surviving


@pytest.mark.slow
def test_killed_worker_loses_nothing(campaign: RunCampaign, tmp_path: Path) -> None:
    request = Request(("alpha",), runs=40, jobs=2, engine="free", seed=3)
    result = campaign(stand_ins.killed_once, request)
    killed = list(tmp_path.glob("death-*"))
    assert killed
    assert result.losses.total() == len(killed)
    assert result.total().runs == 40
    assert len(runs_made(tmp_path)) == 40
    assert not result.given_up
    (hit,) = result.hits.values()
    assert (hit.finding.oracle, hit.finding.rule, hit.times) == ("harness", "worker died", len(killed))
    assert "SIGSEGV" in hit.finding.title
    folder = Path(hit.saved.folder)
    assert (folder / "seed").read_text().strip() == str(hit.spec.seed)
    assert not (folder / "record.jsonl").exists()
    assert result.exit_code == 1


@pytest.mark.slow
def test_worker_that_somebody_ends_is_told_and_no_finding(campaign: RunCampaign, tmp_path: Path) -> None:
    """BUG once: a person, or a machine without memory, made the protocol fail."""
    result = campaign(stand_ins.ended_once, Request(("alpha",), runs=40, jobs=2, engine="free", seed=3))
    killed = list(tmp_path.glob("death-*"))
    assert killed
    assert result.losses == {"was ended by SIGKILL during a run, from outside": len(killed)}
    assert (result.total().runs, result.hits, result.given_up) == (40, {}, [])
    assert (result.verdict, result.exit_code) == ("PASS", 0)


@pytest.mark.slow
def test_run_that_no_worker_survives_is_given_up_and_the_rest_is_run(campaign: RunCampaign, tmp_path: Path) -> None:
    result = campaign(stand_ins.killed_always, Request(("alpha",), runs=40, jobs=2, engine="free", seed=3))
    deadly = {path.name.rpartition("-")[2] for path in tmp_path.glob("death-*")}
    assert {str(spec.seed) for spec in result.given_up} == deadly
    assert result.losses.total() == 2 * len(deadly)
    assert result.total().runs == 40 - len(deadly)


@pytest.mark.slow
def test_death_during_a_canary_does_not_cost_the_canary(campaign: RunCampaign) -> None:
    known = stand_in_catalogue(StandInCanary("c", cap_runs=64))
    result = campaign(stand_ins.killed_always, Request(("alpha",), runs=1, jobs=1, seed=3), known)
    (trial,) = result.trials
    assert (trial.tried, trial.twin_runs, trial.missed) == (64, 64, True)


@pytest.mark.slow
def test_hung_worker_is_ended_and_reported(campaign: RunCampaign, tmp_path: Path) -> None:
    result = campaign(stand_ins.hanging, Request(("alpha",), runs=12, jobs=1, engine="free", seed=3), hang_seconds=1.0)
    hung = list(tmp_path.glob("hang-*"))
    assert hung
    assert result.total().runs == 12
    assert result.losses.total() >= len(hung)
    assert {hit.finding.rule for hit in result.hits.values()} == {"worker hung"}


@pytest.mark.slow
def test_worker_that_cannot_begin_ends_the_campaign_as_a_bug(
    campaign: RunCampaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    here_only = ModuleType("here_only")
    exec("def run(spec, keep_record): ...", vars(here_only))
    monkeypatch.setitem(sys.modules, "here_only", here_only)
    result = campaign(here_only.run, Request(("alpha",), runs=3, jobs=1))
    assert (result.exit_code, result.total().runs) == (4, 0)
    assert "4 workers in a row died before they ended a run" in result.troubles[0].text


def test_processes_none_of_which_can_be_started_end_the_campaign_at_once(
    campaign: RunCampaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(parent, "Process", full)
    result = campaign(stand_ins.passing, Request(("alpha",), runs=3, jobs=2))
    assert result.exit_code == 5
    assert "the machine has no process for a worker left: [Errno 28]" in result.troubles[0].text
    assert result.losses.total() == 2, "each place was tried"


def test_full_disk_loses_no_finding(campaign: RunCampaign, tmp_path: Path) -> None:
    result = campaign(stand_ins.full_disk, Request(("alpha",), runs=3, jobs=1))
    (hit,) = result.hits.values()
    assert hit.times == 3
    assert "No space left" in hit.saved.error
    assert hit.saved.folder == ""
    assert result.exit_code == 1
    assert list((tmp_path / ".mmrace" / "findings").iterdir()) == []


def test_interrupt_keeps_what_was_known(campaign: RunCampaign, tmp_path: Path) -> None:
    request = Request(("alpha",), seconds=600.0, jobs=2)
    result = campaign(stand_ins.failing, request, watcher=Watcher(interrupt_after=8))
    assert (result.interrupted, result.exit_code) == (2, 130)
    assert result.total().runs == sum(hit.times for hit in result.hits.values()) > 0
    summary = json.loads((tmp_path / ".mmrace" / "findings" / "abc123" / "summary.json").read_text())
    assert summary["findings"][0]["rule"] == "word went back"


# -- under control


def test_a_failure_of_free_threads_is_kept_as_it_is_made_again(campaign: RunCampaign, tmp_path: Path) -> None:
    request = Request(("alpha",), runs=6, jobs=2, engine="free", canaries=False)
    result = campaign(stand_ins.failing, request, convert=stand_ins.made_again)
    hit = result.hits["abc123"]
    assert (hit.times, result.exit_code) == (6, 1)
    assert hit.saved.conversion is not None and hit.saved.conversion.how == FOLLOWED
    assert Record.read(Path(hit.saved.folder, "record.jsonl")).header["engine"] == "fiber"
    assert Record.read(Path(hit.saved.folder, "free.jsonl")).header["engine"] == "free"


def test_a_conversion_that_breaks_is_a_trouble_beside_the_finding(campaign: RunCampaign) -> None:
    request = Request(("alpha",), runs=1, jobs=1, engine="free", canaries=False)
    result = campaign(stand_ins.failing, request, convert=stand_ins.breaking_when_made_again)
    assert result.hits["abc123"].saved.folder and result.exit_code == 1
    assert [(trouble.exit_code, "nobody expected this" in trouble.text) for trouble in result.troubles] == [(4, True)]
