"""The report of an exploration: what was covered, each finding with its proof, and a last line that claims no more."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mmrace import installed
from mmrace.oracles.general.judgement import Finding
from mmrace.report import explore
from mmrace.report.terminal import Lines
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore, Saved
from mmrace.runtime.errors import EXIT_INTERNAL
from mmrace.search.catalogue import CanaryLike
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.result import Covered, Exploration
from mmrace.search.totals import Hit, Trouble
from tests.search.campaign.stand_ins import record_of

ASK = Ask("alpha", strategy="portfolio", params=(("pages", 1),), jobs=2)
FINDING = Finding("content", "word went back", "page 4 shows an old word", {"got": 1}, "abc123")


def made(runs: int = 100, ask: Ask = ASK) -> Exploration:
    """Make an exploration: half of its classes were met once, the others twice or more."""
    result = Exploration(ask, seconds=2.0, promoted=("Page.words", "Slot.page"))
    result.tally.runs, result.tally.ops = runs, 1_000 * runs
    result.tally.verdicts["PASS"] = runs
    for run in range(runs):
        result.classes.add(run if run % 2 else run % 10)
    result.by_strategy = {"pos": [50, 30], "pct": [50, 25]}
    return result


def shown(result: Exploration, *, quiet: bool = False, canary: CanaryLike | None = None) -> str:
    """Return the report."""
    out = StringIO()
    explore.show(result, Console(file=out, width=1000), canary, quiet=quiet)
    return out.getvalue()


def last(result: Exploration) -> str:
    return shown(result).strip().splitlines()[-1]


def found(result: Exploration, folder: str = "", known: bool = False) -> Exploration:
    """Add a finding."""
    result.hits.add(Hit(FINDING, result.ask.spec("pos", 7), "main", 3, Saved(folder, known), times=4))
    return result


def kept(folder: Path, spec: RunSpec) -> str:
    """Keep the finding of a run; return its folder."""
    return FindingStore(folder).save(RunResult(spec, "FAIL", [FINDING], record=record_of(spec)))["abc123"].folder


def test_a_sampled_exploration_says_what_it_saw_and_what_is_left() -> None:
    text = shown(made())
    assert "scenario alpha, parameters pages=1, variant (correct, era 3.3)" in text
    assert "strategy portfolio, engine fiber, seed 1, 2 processes: 100 schedules, 100,000 ops in 2.0 s" in text
    assert "plain accesses that are switch points: Page.words, Slot.page" in text
    assert "classes of interleavings: 55 distinct" in text
    assert "a new class with a chance of about 0.500" in text
    assert "first to meet a class, of its schedules: pct 25 of 50, pos 30 of 50" in text


def test_looks_are_told_from_a_strategy_that_was_asked_for() -> None:
    result = made()
    result.by_strategy["random"], result.looks = [4, 4], 4
    assert "pct 25 of 50, pos 30 of 50, random 4 of 4 (looks)" in shown(result)
    result.looks = 3
    assert "random 4 of 4 (looks)" not in shown(result)
    assert last(made()) == "PASS over 100 schedules, 55 classes; not exhaustive"


def test_switch_points_that_had_to_be_looked_for_are_told_with_the_schedule_that_had_them_first() -> None:
    result = made()
    result.since, result.looks = {4: ("Page.words", "Slot.page"), 1024: ("Box.x",)}, 24
    known = "Page.words, Slot.page (from schedule 4 on); Box.x (from schedule 1,024 on)"
    assert f"switch points: {known}; all accesses in 24 schedules that looked for races" in shown(result)
    result = made()
    result.promoted, result.looks = (), 4
    assert "switch points: none is known to race; all accesses in 4 schedules that looked for races" in shown(result)


@pytest.mark.parametrize(
    ("covered", "line"),
    [
        (Covered(exhausted=True), "PASS exhaustive: all 55 classes of interleavings"),
        (Covered(bound=1), "PASS every schedule up to bound 1, not exhaustive"),
        (Covered(), "PASS over 100 schedules, 55 classes; not exhaustive"),
    ],
    ids=["exhaustive", "bounded", "cut"],
)
def test_a_walk_claims_what_it_walked_and_no_more(covered: Covered, line: str) -> None:
    result = made(ask=replace(ASK, strategy="dpor", jobs=1))
    result.covered = covered
    assert last(result) == line
    assert "unseen" not in shown(result)


def test_an_exploration_that_proves_nothing_says_why() -> None:
    result = made()
    result.tally.alone["nothing to interleave"] = result.tally.verdicts["UNKNOWN"] = result.tally.runs
    assert last(result) == "UNKNOWN nothing to interleave"
    result.tally.alone["nothing to interleave"] -= 1  # one run had something, and could not be judged: few
    result.tally.runs += 1
    assert last(result).startswith("PASS over 101 schedules")
    result = made()
    result.tally.verdicts.update(UNKNOWN=10)
    assert last(result) == "UNKNOWN 10 of 100 runs could not be judged"
    result = made(ask=replace(ASK, strategy="dpor", exhaustive=True))
    result.covered = Covered()
    why = "its 100 schedules prove nothing of the rest; try: smaller parameters"
    assert last(result).startswith(f"UNKNOWN the tree was not walked to its end: {why}")
    assert last(Exploration(ASK)) == "UNKNOWN no schedule was run"


def test_an_interrupted_one_and_one_that_broke_say_so() -> None:
    result = made()
    result.interrupted = 2
    assert last(result) == "UNKNOWN interrupted"
    result = made()
    result.troubles.append(Trouble(EXIT_INTERNAL, "mmrace bug: [red]no markup[/]", ASK.spec("pos", 1)))
    assert "trouble: mmrace bug: [red]no markup[/]" in shown(result)
    assert last(result) == "UNKNOWN 1 run could not be made"
    result.troubles *= 2
    assert shown(result).count("trouble: ") == 1 and "no markup[/] (2 times)" in shown(result)


def test_a_finding_has_its_facts_its_commands_and_its_proof(tmp_path: Path) -> None:
    result = found(made(), kept(tmp_path, ASK.spec("pos", 7)))
    result.replayed["abc123"] = 5, 5
    text = shown(result)
    assert "page 4 shows an old word [abc123]" in text and "oracle: content" in text
    assert f"repeat: mmrace replay {tmp_path / 'abc123' / 'record.jsonl'}" in text
    assert "repeat: mmrace run alpha --engine fiber --seed 7 --strategy pos --promote racing --param pages=1" in text
    assert "seen in 4 of 100 schedules; replayed 5 of 5\n" in text
    assert last(result) == "FAIL 1 distinct finding"


def test_a_finding_of_a_walk_is_repeated_by_a_walk() -> None:
    result = found(made(ask=replace(ASK, strategy="dpor", jobs=1)))
    result.hits["abc123"].spec = result.ask.spec("dpor", 1)
    result.covered = Covered()
    again = "repeat: mmrace explore alpha --exhaustive --until abc123 --engine fiber --seed 1 --strategy dpor"
    assert again in shown(result)


def test_a_finding_that_was_waited_for_in_vain_is_named() -> None:
    result = found(made(ask=replace(ASK, until="def456")))
    assert last(result) == "FAIL 1 distinct finding; not found: def456"
    result = found(made(ask=replace(ASK, until="abc123")))
    assert last(result) == "FAIL 1 distinct finding"


def test_a_planted_bug_that_was_not_found_is_named_with_what_to_give() -> None:
    """BUG once: it ended in the PASS of a program that is correct."""
    canary = installed.catalogue().canaries["lost-put"]
    result = made(ask=replace(ASK, variant="lost-put"))
    assert last(result) == "PASS over 100 schedules, 55 classes; not exhaustive; planted and not found: lost-put"
    assert "lost-put was planted and not found in 100 schedules" in shown(result)
    assert "--schedules 1000" in shown(result)
    told = shown(result, canary=canary)
    words = f"mmrace explore {canary.scenario} --variant lost-put --until-found --param"
    assert words in told and f"--schedules {canary.cap_under('fiber')}" in told
    assert "planted" not in shown(found(result)) and "planted" not in shown(made())


def test_one_of_something_is_one_and_a_beginning_says_what_is_done() -> None:
    assert last(made(1)) == "PASS over 1 schedule, 1 class; not exhaustive"
    assert "1.0/s; 1 class; " in explore.line(replace(made(1), seconds=1.0))
    assert explore.line(Exploration(ASK, seconds=3.0)).startswith("3.0 s: 2 processes at work: the program is made")


def test_a_record_that_an_earlier_session_kept_and_that_does_not_replay_is_named(tmp_path: Path) -> None:
    result = found(made(), str(tmp_path), known=True)
    result.replayed["abc123"] = 0, 5
    assert "replayed 0 of 5 (kept by an earlier session" in shown(result)
    assert f"remove {tmp_path} for a new record" in shown(result)


@pytest.mark.parametrize(("met", "text"), [("", "predicted only"), ("def456", "realised, see def456")])
def test_a_prediction_says_what_became_of_it(met: str, text: str) -> None:
    result = found(made())
    result.realised["abc123"] = met
    assert text in shown(result)


def test_lost_workers_are_told_with_how_and_when_and_what_none_survived() -> None:
    result = made()
    result.losses.update({"was ended by SIGKILL during a run, from outside": 2, "hung and was ended during a run": 1})
    result.given_up.append(result.ask.spec("pos", 7))
    text = shown(result, quiet=True)
    assert "workers lost: 3, their runs were made again: was ended by SIGKILL during a run, from outside (2); " in text
    assert "given up, no worker survived it: mmrace run alpha --engine fiber --seed 7" in text
    assert last(result).startswith("PASS")


def test_an_exploration_that_lost_many_schedules_proves_nothing() -> None:
    result = made()
    result.given_up += [result.ask.spec("pos", seed) for seed in range(10)]
    assert last(result) == "UNKNOWN 10 of 100 runs could not be judged"


def test_quiet_prints_findings_and_the_verdict_only() -> None:
    assert shown(made(), quiet=True) == "PASS over 100 schedules, 55 classes; not exhaustive\n"
    assert "abc123" in shown(found(made()), quiet=True)


def test_a_line_of_progress_comes_no_more_often_than_asked() -> None:
    now = [0.0]
    out = StringIO()
    lines = Lines(Console(file=out, width=200), explore.line, clock=lambda: now[0])
    for now[0] in (1.0, 4.9, 5.0, 5.1, 9.0, 10.0):
        lines.progress(made())
    assert out.getvalue().count("\n") == 2
    assert "2.0 s: 100 schedules, 50/s; 55 classes; unseen: " in out.getvalue()


def test_a_line_of_a_walk_tells_what_was_abandoned() -> None:
    result = made()
    result.covered = Covered(blocked=7)
    assert "7 abandoned" in explore.line(result)


FUNCTION = Ask("bank.py:main", maker="function", strategy="dpor", jobs=1)


def test_a_function_has_no_variant_and_nothing_that_is_counted() -> None:
    lines = shown(made(ask=FUNCTION)).splitlines()
    assert lines[0] == "function bank.py:main, parameters (defaults)"
    assert not any(line.startswith("what happened") for line in lines)


def test_a_scenario_says_when_nothing_happened_and_a_function_says_what_did() -> None:
    assert "what happened: nothing that is counted" in shown(made())
    counting = made(ask=FUNCTION)
    counting.tally.counters["rounds"] = 3
    assert "what happened: rounds 3" in shown(counting)


def test_a_finding_of_a_function_is_repeated_by_its_record_first(tmp_path: Path) -> None:
    folder = kept(tmp_path, FUNCTION.spec("dpor", 1))
    result = found(made(ask=FUNCTION), folder)
    result.hits["abc123"].spec = FUNCTION.spec("dpor", 1)
    result.covered = Covered()
    lines = shown(result).splitlines()
    assert "function: bank.py:main" in lines and not any(line.startswith("variant") for line in lines)
    repeats = [line for line in lines if line.startswith("repeat: ")]
    assert repeats[0] == f"repeat: mmrace replay {folder}/record.jsonl"
    assert repeats[1].startswith("repeat: mmrace explore bank.py:main --exhaustive --until abc123")


@pytest.mark.parametrize(("exhaustive", "quiet", "told"), [(True, False, 1), (True, True, 0), (False, False, 0)])
def test_a_walk_without_an_end_in_sight_is_told_once(exhaustive: bool, quiet: bool, told: int) -> None:
    result = made(ask=replace(ASK, strategy="dpor", jobs=1, exhaustive=exhaustive))
    result.covered = Covered()
    out = StringIO()
    lines = explore.WalkLines(Console(file=out, width=200), explore.line, quiet=quiet, clock=lambda: 0.0)
    for seconds in (1.0, explore.ENDLESS_SECONDS - 1, explore.ENDLESS_SECONDS, explore.ENDLESS_SECONDS + 1):
        result.seconds = seconds
        lines.progress(result)
    assert out.getvalue().count("no end in sight: trees grow fast") == told
    assert out.getvalue().count("try: smaller parameters") == told
