"""A campaign and the ledger of its store: what is written, what the next one takes, how an interrupted one goes on."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import UsageError
from mmrace.search.campaign import logbook, resuming
from mmrace.search.campaign.identity import of_row
from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.sequences import rows
from mmrace.search.campaign.standing import LANE_TURNS, SHARD_TURNS, Standing, of_new
from mmrace.search.ledger.entry import Met
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.sums import Sums
from mmrace.search.pool.contract import RunFunction
from tests.search.campaign import stand_ins
from tests.search.campaign.stand_ins import StandInCanary, stand_in_catalogue
from tests.search.campaign.stored import Ending, Killed, Stored, index_of, resumed, stored, turns

KNOWN = stand_in_catalogue(StandInCanary("c", cap_runs=7), workloads=("real",))
ALONE = Request(("alpha",), runs=20, engine="free", canaries=False)
RUNS = 60


def mixed(spec: RunSpec, keep_record: bool) -> RunResult:
    """Pass most, find the planted bug at some run, judge nothing of some, fail a few."""
    if spec.variant and spec.seed % 4 == 0:
        return stand_ins.failing(spec, keep_record)
    if not spec.variant and spec.seed % 23 == 0:
        return stand_ins.failing(spec, keep_record, signature="rare" if spec.seed % 2 else "odd")
    if spec.seed % 11 == 0:
        return stand_ins.unknowing(spec, keep_record)
    return stand_ins.passing(spec, keep_record)


def told(result: CampaignResult) -> object:
    """Return what the report says of runs, but for how long they took."""
    named = {"twins": result.twins, **result.scenarios, **result.workloads}
    return {name: replace(tally, seconds=0.0) for name, tally in named.items()}


def test_every_run_is_in_the_ledger_once(tmp_path: Path) -> None:
    result = stored(tmp_path, KNOWN, Request(runs=RUNS), mixed)
    assert result is not None
    made = turns(tmp_path)
    assert len(made) == len(set(made)) == RUNS + sum(trial.tried + trial.twin_runs for trial in result.trials)
    index = index_of(tmp_path)
    main, twin = index.sums(role="main").tally(), index.sums(role="twin").tally()
    assert (main.runs, twin.runs) == (RUNS, result.twins.runs)
    main.merge(twin)
    total = result.total()
    assert (main.verdicts, main.counters, main.marks) == (total.verdicts, total.counters, total.marks)
    assert main.unknown == total.unknown
    (campaign,) = index.campaigns()
    assert campaign.begun is not None and campaign.ended is not None and not campaign.running
    assert campaign.ended.verdict == result.verdict
    hits: Counter[str] = Counter()
    for role in ("main", "twin"):
        hits.update(index.sums(role=role).hits)
    assert hits == {name: hit.times for name, hit in result.hits.items()}
    (trial,) = index.trials()
    assert (trial.canary, trial.found_after, trial.tried) == ("c", result.trials[0].found_after, result.trials[0].tried)
    assert {met.signature for met in index.mets()} == set(result.hits)


def test_the_next_campaign_takes_the_next_turns(tmp_path: Path) -> None:
    first = stored(tmp_path, KNOWN, Request(runs=50), mixed)
    before = set(turns(tmp_path))
    second = stored(tmp_path, KNOWN, Request(runs=50), mixed)
    assert first is not None and second is not None
    after = turns(tmp_path)
    assert len(after) == len(set(after)) and before < set(after)
    assert second.trials[0].first == first.trials[0].tried, "planted bugs, too, are looked for in new runs"


def test_each_short_campaign_of_a_store_draws_its_planted_bugs_anew(tmp_path: Path) -> None:
    """And one that goes on has those that it had."""
    known = stand_in_catalogue(*(StandInCanary(f"c{number}", cap_runs=61) for number in range(40)))
    request = Request(("alpha",), seconds=60.0)
    drawn = []
    for _ in range(2):
        stored(tmp_path, known, request, stand_ins.passing, Ending(1))
        with Ledger.open(tmp_path) as ledger:
            row, begun = resuming.last_interrupted(ledger, None)
            asked = resuming.request_of(begun, "")
            standing = resuming.standing_of(ledger, row, begun)
            made = Stored(asked, known, stand_ins.passing, tmp_path, Ending(), ledger=ledger, standing=standing)
        drawn.append(set(made.trials))
        assert drawn[-1] == standing.firsts.keys()
    assert drawn[0] != drawn[1] and len(drawn[0]) == len(drawn[1]) == 10


def test_a_campaign_with_a_seed_is_that_seed_s_and_a_repeat_is_counted_once(tmp_path: Path) -> None:
    for _ in range(2):
        assert stored(tmp_path, KNOWN, replace(ALONE, anew=True), mixed) is not None
    assert Counter(Counter(turns(tmp_path)).values()) == {2: 20}
    assert index_of(tmp_path).sums().runs == 20


def test_a_gap_is_filled_first(tmp_path: Path) -> None:
    def broken_at_five(spec: RunSpec, keep_record: bool) -> RunResult:
        if spec == request_spec:
            raise ZeroDivisionError
        return mixed(spec, keep_record)

    (row,) = rows(complete(KNOWN, ALONE), KNOWN)
    request_spec = row.spec(5)
    stored(tmp_path, KNOWN, ALONE, broken_at_five)
    assert {turn for _, turn in turns(tmp_path)} == set(range(20)) - {5}
    stored(tmp_path, KNOWN, replace(ALONE, runs=2), mixed)
    assert {turn for _, turn in turns(tmp_path)} == set(range(21))


@pytest.mark.slow
@pytest.mark.parametrize("how", [KeyboardInterrupt, Killed])
@pytest.mark.parametrize("anew", [False, True])
def test_an_interrupted_campaign_goes_on_wherever_it_was(tmp_path: Path, how: type[BaseException], anew: bool) -> None:
    """Nothing is made twice that is in the ledger, and the report is that of a campaign that nobody interrupted."""
    request = Request(runs=RUNS, anew=anew)
    whole = stored(tmp_path / "whole", KNOWN, request, mixed)
    assert whole is not None
    drawn = random.Random(11)
    for number in range(3):
        store = tmp_path / str(number)
        if anew:
            stored(store, KNOWN, replace(request, runs=RUNS // 2), mixed)
        stored(store, KNOWN, request, mixed, Ending(drawn.randrange(1, RUNS), how))
        result = resumed(store, KNOWN, mixed, Ending(drawn.randrange(1, RUNS), how))
        while result is None or result.interrupted:
            result = resumed(store, KNOWN, mixed)
        assert told(result) == told(whole)
        assert {name: hit.times for name, hit in result.hits.items()} == {
            name: hit.times for name, hit in whole.hits.items()
        }
        assert [(trial.found_after, trial.tried, trial.twin_runs) for trial in result.trials] == [
            (trial.found_after, trial.tried, trial.twin_runs) for trial in whole.trials
        ]
        made = turns(store, index_of(store).campaigns()[-1].campaign)
        assert len(made) == len(set(made)) == len(set(turns(tmp_path / "whole")))
        assert result.exit_code == whole.exit_code == 1
        with pytest.raises(UsageError, match="which ended in FAIL"):
            resumed(store, KNOWN, mixed)


def test_the_last_one_that_was_interrupted_is_gone_on_with_whatever_came_after(tmp_path: Path) -> None:
    stored(tmp_path, KNOWN, ALONE, mixed, Ending(5))
    stored(tmp_path, KNOWN, replace(ALONE, runs=7), mixed)
    result = resumed(tmp_path, KNOWN, mixed)
    assert result is not None and result.total().runs == 20
    made = turns(tmp_path)
    assert len(made) == len(set(made)) == 27
    assert {turn for _, turn in made} == set(range(27))


def test_time_that_is_over_is_not_begun_again(tmp_path: Path) -> None:
    request = Request(("alpha",), seconds=5000.0, canaries=False)
    stored(tmp_path, KNOWN, request, mixed, Ending(10))
    with Ledger.open(tmp_path) as ledger:
        row, begun = resuming.last_interrupted(ledger, None)
        standing = resuming.standing_of(ledger, row, begun)
        assert row.ended is not None and standing.seconds == row.ended.seconds > 0
    standing.seconds = 5000.0
    result = stored(tmp_path, KNOWN, complete(KNOWN, request), mixed, None, standing)
    assert result is not None and result.seconds >= 5000.0
    assert result.total().runs == standing.runs


def test_findings_of_before_are_taken_in_without_counts(tmp_path: Path) -> None:
    first = stored(tmp_path, KNOWN, ALONE, stand_ins.failing)
    assert first is not None and first.hits
    shutil.rmtree(tmp_path / "ledger")
    stored(tmp_path, KNOWN, replace(ALONE, runs=1), stand_ins.passing)
    (met,) = index_of(tmp_path).mets()
    assert (met.signature, met.oracle, met.title) == ("abc123", "content", "page 4 shows an old word")
    assert met.program == "alpha" and met.folder == "abc123" and met.when > 0
    assert index_of(tmp_path).sums().hits == {}


class Removing(Ending):
    """Removes the store while the campaign runs, once."""

    def __init__(self, store: Path) -> None:
        super().__init__()
        self.store = store

    def progress(self, result: CampaignResult) -> None:
        if result.hits and (self.store / "ledger").exists():
            shutil.rmtree(self.store)


def test_of_a_store_that_is_removed_nothing_is_claimed_that_is_gone(tmp_path: Path) -> None:
    """What is still known goes into the ledger again; a finding that lost its folder is told whole."""
    store = tmp_path / "store"
    result = stored(store, KNOWN, ALONE, failing_at_first, Removing(store))
    assert result is not None and result.exit_code == 1
    (hit,) = result.hits.values()
    assert (hit.saved.folder, hit.saved.error) == ("", f"{store / 'findings' / 'abc123'} was removed meanwhile")
    assert (result.unkept, len(turns(store))) == (0, 20)


def failing_at_first(spec: RunSpec, keep_record: bool) -> RunResult:
    """Fail the first of the runs."""
    (row,) = rows(complete(KNOWN, ALONE), KNOWN)
    return (stand_ins.failing if spec == row.spec(0) else stand_ins.passing)(spec, keep_record)


def test_what_a_full_disk_does_not_take_is_told(tmp_path: Path) -> None:
    """The runs count in the report; the ledger says how many it lacks; the next campaign makes them."""
    written: list[bytes] = []

    def write(descriptor: int, content: bytes) -> int:
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(content)
        return os.write(descriptor, content)

    request = complete(KNOWN, ALONE)
    with Ledger.open(tmp_path, write=write) as ledger:
        result = Stored(request, KNOWN, stand_ins.passing, tmp_path, Ending(), ledger=ledger).run()
    assert (result.total().runs, result.verdict, result.exit_code) == (20, "PASS", 0)
    assert 0 < result.unkept == 20 - len(turns(tmp_path))
    assert "No space left on device" in result.unkept_because
    again = stored(tmp_path, KNOWN, replace(ALONE, runs=result.unkept), stand_ins.passing)
    assert again is not None and {turn for _, turn in turns(tmp_path)} == set(range(20))


def test_shards_have_no_turn_in_common_and_share_the_planted_bugs(tmp_path: Path) -> None:
    known = stand_in_catalogue(*(StandInCanary(name, cap_runs=3) for name in "abcde"))
    looked: list[str] = []
    for number in (1, 2, 3):
        result = stored(tmp_path, known, Request(("alpha",), runs=10, shard=(number, 3)), mixed)
        assert result is not None and not result.unplanted
        looked += [trial.canary.name for trial in result.trials]
    assert sorted(looked) == [*"abcde"]
    made = turns(tmp_path)
    assert len(made) == len(set(made))
    assert {turn // SHARD_TURNS for _, turn in made} == {0, 1, 2}
    assert not list((tmp_path / "ledger").glob("*.sqlite*")), "a network file system has no room for it"


def test_an_interrupted_shard_goes_on_as_that_shard(tmp_path: Path) -> None:
    request = Request(("alpha",), runs=40, canaries=False)
    for number in (1, 2):
        stored(tmp_path, KNOWN, replace(request, shard=(number, 2)), mixed, Ending(7))
    with pytest.raises(UsageError, match="campaigns of shard 2/2 only"):
        resumed(tmp_path, KNOWN, mixed)
    result = resumed(tmp_path, KNOWN, mixed, shard=(1, 2))
    assert result is not None and result.total().runs == 40
    assert {turn // SHARD_TURNS for _, turn in turns(tmp_path)} == {0, 1}


def test_a_campaign_beside_another_on_one_store_takes_other_turns(tmp_path: Path) -> None:
    request = complete(KNOWN, ALONE)
    with Ledger.open(tmp_path) as ledger:
        ledger.begin(request={"first": of_new(request, ledger).first})
        ledger.flush()
        with Ledger.open(tmp_path) as second:
            assert of_new(request, second).first == LANE_TURNS
            assert of_new(replace(request, anew=True), second).first == 0
    with Ledger.open(tmp_path) as third:
        assert of_new(request, third).first == 0


def test_the_index_keeps_up_with_a_campaign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BUG once: after a night that was killed, resuming took in all of it first."""
    monkeypatch.setattr(logbook, "BEAT_SECONDS", 0.0)
    stored(tmp_path, KNOWN, replace(ALONE, runs=400), mixed, Ending(300, Killed))
    with closing(sqlite3.connect(tmp_path / "ledger" / "index.sqlite")) as db:
        ((made,),) = db.execute("SELECT sum(stop - first) FROM batch")
    assert made >= 200


def interrupted(store: Path, run: RunFunction, request: Request = ALONE) -> str:
    """Leave a campaign that was interrupted; return its id."""
    stored(store, KNOWN, request, run, Ending(5))
    return index_of(store).campaigns()[-1].campaign


def test_a_finding_that_was_told_is_in_the_report_though_its_run_is_not_counted(tmp_path: Path) -> None:
    """BUG once: killed within a batch, a campaign that had told of a finding ended in PASS when it went on."""
    campaign = interrupted(tmp_path, stand_ins.passing)
    with Ledger.open(tmp_path) as ledger:
        ledger.met(Met("told", "content", "rule", "title", program="alpha", command="mmrace run", campaign=campaign))
    result = resumed(tmp_path, KNOWN, stand_ins.passing)
    assert result is not None and (result.verdict, [*result.hits]) == ("FAIL", ["told"])
    assert (result.hits["told"].times, result.hits["told"].command) == (0, "mmrace run")


def test_a_finding_that_is_kept_and_was_not_told_is_of_the_campaign_that_goes_on(tmp_path: Path) -> None:
    """BUG once: it was taken for one of before."""
    interrupted(tmp_path, stand_ins.passing)
    (row,) = rows(complete(KNOWN, ALONE), KNOWN)
    FindingStore(tmp_path / "findings").save(stand_ins.failing(row.spec(3), False))
    result = resumed(tmp_path, KNOWN, stand_ins.passing)
    assert result is not None and (result.verdict, [*result.hits]) == ("FAIL", ["abc123"])
    assert result.hits["abc123"].saved.folder == str(tmp_path / "findings" / "abc123")


def test_what_is_expected_of_another_program_is_not_expected_here(tmp_path: Path) -> None:
    """BUG once: the first words of a signature in the store decided, whosever they were."""
    with Ledger.open(tmp_path) as ledger:
        ledger.met(Met("abc123", known="R14", program="beta", when=1.0))
    interrupted(tmp_path, stand_ins.failing)
    result = resumed(tmp_path, KNOWN, stand_ins.failing)
    assert result is not None and (result.verdict, [*result.hits], [*result.known]) == ("FAIL", ["abc123"], [])
    assert result.hits["abc123"].times == 20


def test_runs_that_were_given_up_before_count_against_a_pass(tmp_path: Path) -> None:
    request = complete(KNOWN, ALONE)
    (row,) = rows(request, KNOWN)
    standing = Standing(sums={of_row(row).key: Sums(runs=16, given_up=4, verdicts={"PASS": 16})})
    result = Stored(request, KNOWN, stand_ins.passing, tmp_path, Ending(), standing=standing).run()
    assert result.verdict == "UNKNOWN" and "4 of 36 runs could not be judged" in result.unknown_because()[0]


class Leaving(Ending):
    """A worker keeps a finding, and is ended before it tells."""

    def __init__(self, store: Path) -> None:
        super().__init__()
        self.store = store

    def progress(self, result: CampaignResult) -> None:
        if not result.losses:
            result.losses["was ended by SIGKILL during a run, from outside"] += 1
            (row,) = rows(complete(KNOWN, ALONE), KNOWN)
            FindingStore(self.store / "findings").save(stand_ins.failing(row.spec(3), False))


def test_a_finding_that_a_lost_worker_kept_and_never_told_is_a_finding(tmp_path: Path) -> None:
    """BUG once: its run was made again, and passed."""
    result = stored(tmp_path, KNOWN, ALONE, stand_ins.passing, Leaving(tmp_path))
    assert result is not None and (result.verdict, [*result.hits]) == ("FAIL", ["abc123"])


def test_a_campaign_whose_runs_could_not_be_made_can_be_gone_on_with(tmp_path: Path) -> None:
    """BUG once: only a signal counted as an interruption, not the loss of all workers."""
    (row,) = rows(complete(KNOWN, ALONE), KNOWN)

    def broken(spec: RunSpec, keep_record: bool) -> RunResult:
        return (stand_ins.crashing if spec == row.spec(5) else stand_ins.passing)(spec, keep_record)

    first = stored(tmp_path, KNOWN, ALONE, broken)
    assert first is not None and (first.verdict, first.exit_code) == ("UNKNOWN", 4)
    result = resumed(tmp_path, KNOWN, stand_ins.passing)
    assert result is not None and (result.verdict, result.total().runs) == ("PASS", 20)


def test_two_that_begin_at_once_have_turns_of_their_own(tmp_path: Path) -> None:
    """BUG once: each looked for others before either had said that it runs."""
    request = complete(KNOWN, ALONE)
    with Ledger.open(tmp_path) as one, Ledger.open(tmp_path) as other:
        made = [Stored(request, KNOWN, stand_ins.passing, tmp_path, Ending(), ledger=each) for each in (one, other)]
        assert [campaign.standing.first for campaign in made] == [0, 0]
        for campaign in made:
            campaign._begin()
        assert [campaign.standing.first for campaign in made] == [0, LANE_TURNS]


@pytest.mark.parametrize("told", [{"shard": 5}, {"first": "x"}, {"before": None}])
def test_a_request_of_another_shape_is_a_wrong_call_or_taken_for_none(tmp_path: Path, told: dict[str, object]) -> None:
    interrupted(tmp_path, stand_ins.passing)
    with Ledger.open(tmp_path) as ledger:
        row, begun = resuming.last_interrupted(ledger, None)
        begun.request.update(told)
        assert resuming.standing_of(ledger, row, begun).first == 0


def test_what_is_no_campaign_to_go_on_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="got 'no campaign at all'"):
        resumed(tmp_path, KNOWN, mixed)
    stored(tmp_path, KNOWN, ALONE, mixed, Ending(5))
    with Ledger.open(tmp_path) as ledger:
        _, begun = resuming.last_interrupted(ledger, None)
        request = resuming.request_of(begun, "")
        with pytest.raises(UsageError, match=r"--runs as campaign .* has it, 20, or not at all, got '30'"):
            resuming.check_given({"scenarios": ("alpha",), "runs": 30}, request, begun)
        resuming.check_given({"scenarios": ("alpha",), "runs": 20}, request, begun)
        begun.revision = "0+other"
        with pytest.raises(UsageError, match=r"mmrace as it was when campaign .* began, 0\+other"):
            resuming.request_of(begun, "")


def test_a_file_that_changed_is_refused(tmp_path: Path) -> None:
    stored(tmp_path, KNOWN, ALONE, mixed, Ending(5))
    known = replace(KNOWN, scenarios={"alpha": replace(KNOWN.scenarios["alpha"], digest="now")})  # type: ignore[type-var]
    with Ledger.open(tmp_path) as ledger:
        _, begun = resuming.last_interrupted(ledger, None)
        with pytest.raises(UsageError, match="changed: alpha"):
            resuming.check_files(resuming.request_of(begun, ""), begun, known, (), "")
