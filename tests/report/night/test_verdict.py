"""What a night amounts to: the rules of one campaign, for many."""

from __future__ import annotations

from dataclasses import replace

from mmrace.report.night.facts import Canary, Night
from mmrace.report.night.verdict import verdict_of
from tests.report.night.nights import BEGAN, HOUR, campaign, finding, night, trial

LATER = BEGAN + HOUR


def word(night: Night) -> str:
    return verdict_of(night).word


def because(night: Night) -> str:
    return "\n".join(verdict_of(night).because)


def test_a_night_in_which_all_went_well_passes() -> None:
    assert word(night()) == "PASS"
    assert not because(night())


def test_no_campaign_is_unknown() -> None:
    assert word(Night(store="x", chosen="none")) == "UNKNOWN"


def test_a_finding_that_is_known_of_before_fails_the_night_all_the_same() -> None:
    for state in ("new", "known", "came-back"):
        assert word(night(findings=(finding(state),))) == "FAIL", state


def test_an_expected_fault_fails_nothing_nor_does_one_that_was_not_seen_tonight() -> None:
    assert word(night(findings=(finding("known", known="R14"), finding("unseen", tonight=0)))) == "PASS"


def test_a_finding_that_is_noted_and_in_no_run_that_was_counted_fails_the_night() -> None:
    assert word(night(findings=(replace(finding(tonight=0), noted=True),))) == "FAIL"


def test_a_missed_canary_fails_and_one_that_was_found_later_does_not() -> None:
    missed = trial(None, tried=60)
    assert word(night(canaries=(Canary("async-backout", "refcount", (missed,)),))) == "FAIL"
    assert "canary async-backout was missed: no finding of oracle refcount in 60 runs, its cap" in because(
        night(canaries=(Canary("async-backout", "refcount", (missed,)),))
    )


def test_a_canary_that_is_not_decided_is_unknown() -> None:
    undecided = night(canaries=(Canary("async-backout", "refcount", (trial(None, tried=7),)),))
    assert word(undecided) == "UNKNOWN"
    assert "canary async-backout: 7 of 60 runs made, not found yet" in because(undecided)


def test_a_twin_that_lacks_runs_is_unknown() -> None:
    half = replace(trial(12), twin_runs=3)
    lacking = night(canaries=(Canary("async-backout", "refcount", (half,)),))
    assert word(lacking) == "UNKNOWN"
    assert because(lacking) == "twin of canary async-backout: 3 of 12 runs made"


def test_a_night_without_canaries_says_that_nothing_shows_the_judges_awake() -> None:
    rests = "\n".join(verdict_of(night(canaries=())).rests)
    assert "no canary was planted in this night, so nothing shows that the judges were awake" in rests


def test_a_campaign_without_an_end_is_unknown_unless_one_of_the_same_command_went_on_with_it() -> None:
    killed = campaign("", command="mmrace stress --for 8h")
    assert "has no end in the ledger" in because(night(campaigns=(killed,)))
    other = campaign("PASS", name="two", began=LATER, command="mmrace stress --engine gate")
    assert word(night(campaigns=(killed, other))) == "UNKNOWN"
    resumed = replace(other, command="mmrace stress --for 8h --resume")
    assert word(night(campaigns=(killed, resumed))) == "PASS"


def test_an_interrupted_campaign_is_unknown() -> None:
    stopped = replace(campaign("UNKNOWN"), interrupted=15)
    assert "was interrupted by signal 15" in because(night(campaigns=(stopped,)))
    assert word(night(campaigns=(stopped,))) == "UNKNOWN"


def test_a_campaign_that_ended_early_by_itself_is_told_so() -> None:
    ended = replace(campaign("UNKNOWN"), early=True, exit_code=5)
    assert "ended early, in UNKNOWN (exit code 5)" in because(night(campaigns=(ended,)))


def test_what_a_program_lacks_makes_the_night_unknown() -> None:
    (first, *rest) = night().programs
    lacking = night(programs=(replace(first, doubts=("nobody met",)), *rest))
    assert "async-vs-commit: nobody met" in because(lacking)
    assert word(lacking) == "UNKNOWN"


def test_a_fail_of_a_campaign_that_the_ledger_cannot_explain_stays_a_fail() -> None:
    assert word(night(campaigns=(campaign("FAIL"),))) == "FAIL"


def test_runs_that_were_not_kept_and_lines_that_were_damaged_are_told() -> None:
    rests = "\n".join(verdict_of(night(campaigns=(replace(campaign(), unkept_runs=40),), damage=("line 3",))).rests)
    assert "40 runs were made and could not be written down" in rests
    assert "1 place of the ledger could not be read" in rests
