"""A campaign and the ledger of its store: what is written, what the next one takes, how an interrupted one goes on."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.search.campaign import resuming
from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.campaign.standing import LANE_TURNS, SHARD_TURNS, part_of
from mmrace.search.ledger.ledger import Ledger
from tests.search.campaign import stand_ins
from tests.search.campaign.stand_ins import StandInCanary, stand_in_catalogue
from tests.search.campaign.stored import Ending, Killed, index_of, resumed, stored, turns

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

    from mmrace.search.campaign.sequences import rows  # noqa: PLC0415

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


def test_time_that_is_over_is_not_begun_again(tmp_path: Path) -> None:
    request = Request(("alpha",), seconds=5000.0, canaries=False)
    stored(tmp_path, KNOWN, request, mixed, Ending(10))
    with Ledger.open(tmp_path) as ledger:
        row, begun = resuming.last_interrupted(ledger, None)
        standing = resuming.standing_of(ledger, row, begun, resuming.request_of(begun, ""))
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
        ledger.begin(request={"first": part_of(request, ledger)})
        ledger.flush()
        with Ledger.open(tmp_path) as second:
            assert part_of(request, second) == LANE_TURNS
            assert part_of(replace(request, anew=True), second) == 0
    with Ledger.open(tmp_path) as third:
        assert part_of(request, third) == 0


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
