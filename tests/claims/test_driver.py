"""Claims put to the test: which programs, what is counted, what is proved, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace import scenarios
from mmrace.claims import one
from mmrace.claims.driver import ClaimsRun
from mmrace.claims.judges import CLAIMS, Claim, Example, Instances, Part, select
from mmrace.claims.programs import SETTINGS, TESTS, Setting, parts_for, spec_of
from mmrace.claims.result import ClaimsResult, Failure, PartCounts, Witness
from mmrace.installed import replay_record
from mmrace.runs.replay import REPLAYS
from mmrace.runtime.errors import (
    EXIT_FAIL,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_PASS,
    EXIT_UNKNOWN,
    UsageError,
)
from mmrace.runtime.record import Record
from mmrace.search.options import Options

ALONE = Setting("alone", "sync-vs-commit", (("idle", 0), ("migrations", 1), ("without", "writer,committer,reader")), 0)
"""A migrator with nobody to meet: one class, and C2 holds in it."""


def test_every_claim_has_its_programs_or_none_and_a_reason() -> None:
    assert TESTS.keys() == CLAIMS.keys()
    for name, settings in TESTS.items():
        assert set(settings) <= SETTINGS.keys()
        assert bool(settings) == bool(CLAIMS[name].parts)
    assert {name for names in TESTS.values() for name in names} == set(SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_every_program_has_only_parameters_of_its_scenario(setting: Setting) -> None:
    scenario = scenarios.get(setting.scenario)
    assert dict(setting.params).items() <= scenario.merged(dict(setting.params)).items()


def test_select_takes_names_in_any_case_and_refuses_others() -> None:
    assert [claim.name for claim in select(["c7", "C3"])] == ["C3", "C7"]
    assert len(select([])) == len(CLAIMS)
    with pytest.raises(UsageError, match="a claim out of C0"):
        select(["C99"])


def test_a_schedule_depends_on_seed_program_and_index_only() -> None:
    one = spec_of(SETTINGS["lookups"], 1, 4)
    assert one == spec_of(SETTINGS["lookups"], 1, 4)
    others = [spec_of(SETTINGS["lookups"], 2, 4), spec_of(SETTINGS["sync"], 1, 4), spec_of(SETTINGS["lookups"], 1, 10)]
    assert one.seed not in {other.seed for other in others}


def test_what_a_run_says_of_a_claim_does_not_depend_on_the_other_claims() -> None:
    spec = spec_of(SETTINGS["lookups"], 1, 0)
    alone, among = one.ask_one(spec, names=("C3",)), one.ask_one(spec, names=tuple(CLAIMS))
    assert alone.counters.keys() < among.counters.keys()
    assert alone.counters == {key: among.counters[key] for key in alone.counters}
    assert alone.counters["C3.tested"] > 0


@pytest.mark.slow
def test_c7_is_found_false_and_its_witness_repeats(tmp_path: Path) -> None:
    made = ClaimsRun(select(["C7"]), tmp_path, Options(runs=30))
    result = made.run()
    literal, companion = CLAIMS["C7"].parts
    assert result.verdict(literal) == "false as worded"
    assert result.verdict(companion) == "held"
    witness = result.witnesses["C7"]
    assert (witness.replayed, witness.tried) == (REPLAYS, REPLAYS)
    assert witness.path == str(tmp_path / "claims" / "C7" / "record.jsonl")
    assert result.exit_code == EXIT_PASS
    record = replay_record(witness.path).record
    assert record is not None
    assert literal.check(record).example == witness.example
    assert record.sites[witness.example.steps[1]]  # the witness was made again, with sites


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    first = ClaimsRun(select(["C3"]), tmp_path / "one", Options(runs=10, jobs=1)).run()
    again = ClaimsRun(select(["C3"]), tmp_path / "two", Options(runs=10, jobs=2)).run()
    assert first.evidence == again.evidence
    assert {name: (w.setting, w.index, w.example) for name, w in first.witnesses.items()} == {
        name: (w.setting, w.index, w.example) for name, w in again.witnesses.items()
    }


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, "alone", ALONE)
    monkeypatch.setitem(TESTS, "C2", ("alone",))


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_program_that_was_walked_to_its_end_is_exhausted(tmp_path: Path) -> None:
    result = ClaimsRun(select(["C2"]), tmp_path, Options()).run()
    (part,) = CLAIMS["C2"].parts
    ((setting, evidence),) = result.walked(part)
    assert setting is ALONE
    assert evidence.exhausted and evidence.runs == 1
    assert result.verdict(part) == "held"
    assert result.sampled(part) == PartCounts()


@pytest.mark.slow
def test_a_walk_that_was_cut_is_not_exhausted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TESTS, "C3", ("sync-reader",))
    result = ClaimsRun(select(["C3"]), tmp_path, Options(runs=3)).run()
    walked = [evidence for part in CLAIMS["C3"].parts for _, evidence in result.walked(part)]
    assert [evidence.runs for evidence in walked] == [3, 3, 3]  # of a page that is unmapped this program says nothing
    assert not any(evidence.exhausted for evidence in walked)


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_walked_class_can_be_a_witness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def says_no(record: Record) -> Instances:
        found = Instances(tested=1)
        found.decide("it is so", 0)
        return found

    part = Part("C2", "made up", "made up", says_no)
    result = ClaimsRun((Claim("C2", (part,)),), tmp_path, Options()).run()
    assert result.verdict(part) == "false as worded"
    assert result.witnesses["C2"].setting == "alone"
    assert result.witnesses["C2"].replayed == REPLAYS
    assert result.exit_code == EXIT_FAIL


@pytest.mark.slow
@pytest.mark.usefixtures("alone")
def test_a_run_that_did_not_finish_is_a_finding_and_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one, "FINISHED", "something else")
    result = ClaimsRun(select(["C2"]), tmp_path, Options()).run()
    (part,) = CLAIMS["C2"].parts
    assert result.verdict(part) == "not tested yet"
    assert [finding.how for finding in result.failures] == ["finished"]
    assert result.exit_code == EXIT_FAIL


@pytest.mark.slow
def test_a_witness_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("a file where a folder should be")
    result = ClaimsRun(select(["C0"]), tmp_path, Options(runs=2)).run()
    assert "Error" in result.witnesses["C0"].error
    assert result.exit_code == EXIT_UNKNOWN


def test_ctrl_c_ends_with_what_is_known(tmp_path: Path) -> None:
    def interrupt(result: ClaimsResult) -> None:
        raise KeyboardInterrupt

    ticks = iter(range(0, 10_000, 10))
    result = ClaimsRun(
        select(["C0"]), tmp_path, Options(runs=2), tell=interrupt, clock=lambda: float(next(ticks))
    ).run()
    assert result.interrupted
    assert result.exit_code == EXIT_INTERRUPTED


HOLDS = Part("X", "says", "checks", lambda record: Instances())
FALSE = Part("Y", "says", "checks", lambda record: Instances(), expected="false")
SHOWN = Part("Z", "says", "checks", lambda record: Instances(), exists=True)


def _result(tested: int, times: int, *parts: Part) -> ClaimsResult:
    result = ClaimsResult((Claim("X", parts),), seed=1)
    for part in parts:
        result.evidence[part.name] = {"sync": PartCounts(10, tested, times, 0 if times else -1)}
    return result


@pytest.mark.parametrize(
    ("result", "words", "code"),
    [
        (_result(5, 0, HOLDS), "held", EXIT_PASS),
        (_result(5, 1, HOLDS), "false as worded", EXIT_FAIL),
        (_result(0, 0, HOLDS), "not tested yet", EXIT_UNKNOWN),
        (_result(5, 1, FALSE), "false as worded", EXIT_PASS),
        (_result(5, 0, FALSE), "held", EXIT_PASS),
        (_result(5, 1, SHOWN), "true", EXIT_PASS),
        (_result(5, 0, SHOWN), "not shown", EXIT_UNKNOWN),
    ],
)
def test_verdict_and_exit_code(result: ClaimsResult, words: str, code: int) -> None:
    assert result.verdict(result.claims[0].parts[0]) == words
    assert result.exit_code == code


def test_a_failed_run_goes_before_trouble_and_trouble_before_ignorance() -> None:
    result = _result(0, 0, HOLDS)
    result.troubles.append("mmrace bug")
    assert result.exit_code == EXIT_INTERNAL
    result.failures.append(Failure(spec_of(ALONE, 1, 0), "deadlock: cycle"))
    assert result.exit_code == EXIT_FAIL
    result.interrupted = 2
    assert result.exit_code == EXIT_INTERRUPTED


def test_a_witness_that_does_not_repeat_leaves_the_claim_unknown() -> None:
    result = _result(5, 1, FALSE)
    example = Example((1,), "it is so")
    result.witnesses["Y"] = Witness("sync", 0, spec_of(ALONE, 1, 0), example, "record.jsonl", 4, 5)
    assert result.exit_code == EXIT_UNKNOWN


def test_parts_for_a_program_are_those_of_the_claims_that_name_it() -> None:
    names = [part.name for part in parts_for(select([]), "writeback-light")]
    assert names == ["C6", "C6p", "C6s", "C6b", "C6+", "C13", "C13b", "C17", "C17n", "C19"]
