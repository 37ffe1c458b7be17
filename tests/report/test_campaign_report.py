"""The report of a campaign against golden files; `MMRACE_GOLDEN=write` writes them anew, to be read in the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mmrace.oracles.general.judgement import Finding
from mmrace.report.campaign import finding_text, show
from mmrace.report.numbers import count, duration, share, size
from mmrace.report.progress import CampaignLines, Display, canary_line, line, observer
from mmrace.runs.conversion import REFOUND, Conversion
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import Saved
from mmrace.search.campaign.request import Request
from mmrace.search.campaign.result import CampaignResult, WorkerLife
from mmrace.search.campaign.trial import CanaryTrial
from mmrace.search.pool.messages import Health, Job
from mmrace.search.totals import Hit, Trouble
from tests.search.campaign.stand_ins import StandInCanary

GOLDEN = Path(__file__).parent / "golden"
FINDING = Finding("content", "word went back", "page:4 shows [an old] word", {"expected": 2, "got": 1}, "abc123abc123")
SPEC = RunSpec("alpha", seed=7, noise="gentle")


def console() -> Console:
    return Console(file=StringIO(), width=110, color_system=None)


def text(shown: Console) -> str:
    assert isinstance(shown.file, StringIO)
    return "\n".join(row.rstrip() for row in shown.file.getvalue().splitlines()) + "\n"


def compare(name: str, got: str) -> None:
    path = GOLDEN / name
    if os.environ.get("MMRACE_GOLDEN") == "write":
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")


def outcome(**counters: int) -> RunResult:
    named = {"migrations.tried": 3, "migrations.moved": 2, "migrations.refused.page-lock": 1, **counters}
    return RunResult(SPEC, "PASS", ops=1200, seconds=0.01, counters=named, marks={"seen": 2})


def trial(found: bool, runs: int) -> CanaryTrial:
    made = CanaryTrial(Request(), StandInCanary("lost-copy" if found else "no-freeze", cap_runs=4))
    for i in range(runs):
        findings = [FINDING] if found and i == runs - 1 else [Finding("ledger", "r", "t", {}, "s")]
        made.take(Job("canary", made.canary.name, i, SPEC), RunResult(SPEC, "FAIL", findings))
    return made


def passed() -> CampaignResult:
    result = CampaignResult(Request(("alpha", "played"), seed=5, seconds=60.0), marks_known=("seen", "unseen"))
    counters = {"workload.commit.recorded": 10, "workload.commit.performed": 9}
    counters.update({"workload.pairs": 200, "workload.pairs_kept": 199})
    for i in range(1500):
        result.count(Job("main", "", i, SPEC), outcome())
        result.count(Job("main", "", i, RunSpec("played", workload="real")), outcome(**counters))
    result.trials = [trial(True, 3)]
    for i in range(3):
        result.trials[0].take(Job("twin", "lost-copy", i, SPEC), outcome())
        result.count(Job("twin", "lost-copy", i, SPEC), outcome())
    life = result.workers["free.0"] = WorkerLife()
    for second, mebibytes in ((0.5, 40), (16.0, 50), (60.0, 51)):
        life.add(second, Health(mebibytes << 20, 0))
    result.seconds = 60.4
    return result


def failed() -> CampaignResult:
    result = passed()
    result.trials.append(trial(False, 4))
    result.hits.add(Hit(FINDING, SPEC, "main", 3, Saved(".mmrace/findings/abc123abc123")))
    result.hits.add(Hit(FINDING, SPEC, "main", 9))
    other = Finding("ledger", "count", "count differs from owners", {"count": 3, "owners": ["slot"]}, "def456def456")
    result.hits.add(Hit(other, SPEC, "main", 4, Saved(error="OSError: [Errno 28] No space left on device")))
    result.troubles.append(Trouble(4, "mmrace bug: a lock that was free could not be taken", SPEC))
    result.given_up.append(SPEC)
    result.losses.update(
        {"ended with exit code 3 during a run": 2, "was ended by SIGKILL during a run, from outside": 1}
    )
    return result


@pytest.mark.parametrize(("name", "make"), [("passed.txt", passed), ("failed.txt", failed)])
def test_report_is_as_recorded(name: str, make: Callable[[], CampaignResult]) -> None:
    shown = console()
    show(make(), shown)
    compare(name, text(shown))


@pytest.mark.parametrize(("term", "kind"), [("dumb", CampaignLines), ("xterm", Display)])
def test_a_terminal_that_cannot_redraw_has_lines(term: str, kind: type) -> None:
    assert type(observer(Console(force_terminal=True, _environ={"TERM": term}), quiet=False)) is kind


def test_a_campaign_that_sigterm_ended_says_so() -> None:
    result, shown = passed(), console()
    result.interrupted = 15
    show(result, shown)
    assert "interrupted by SIGTERM; this is what was known by then" in text(shown)


def test_interrupted_campaign_says_so() -> None:
    shown, result = console(), passed()
    result.interrupted = 2
    show(result, shown, quiet=True)
    assert "interrupted" in text(shown)
    assert text(shown).splitlines()[-1].startswith("UNKNOWN")


def test_campaign_without_a_run_is_unknown() -> None:
    shown = console()
    show(CampaignResult(Request(("alpha",), seed=1, runs=1)), shown)
    assert "unknown: alpha: no run" in text(shown)
    assert "marks reached: 0 (mmrace list marks tells of all)" in text(shown), "none is expected"


def test_a_campaign_that_ended_too_early_for_a_verdict_says_what_to_try() -> None:
    result, shown = passed(), console()
    result.trials.append(trial(False, 3))
    show(result, shown, quiet=True)
    assert text(shown).splitlines()[-3:-1] == [
        "unknown: canary no-freeze: 3 of 4 runs made, not found yet",
        "try: a longer --for, or --no-canaries, which leaves the planted bugs out",
    ]
    shown = console()
    show(CampaignResult(Request(("alpha",), seed=1, runs=1)), shown)
    assert "try: more --runs" in text(shown)


def test_runs_that_could_not_be_judged_say_why_in_the_last_lines() -> None:
    result, shown = CampaignResult(Request(("alpha",), seed=1, runs=1)), console()
    result.count(Job("main", "", 0, SPEC), RunResult(SPEC, "UNKNOWN", unknown={"content": "nothing to check"}))
    show(result, shown, quiet=True)
    assert "1 of 1 runs could not be judged, mostly content: nothing to check" in text(shown)


def test_canaries_that_the_time_is_too_short_for_are_named() -> None:
    result, shown = passed(), console()
    result.unplanted = ("double-put", "no-freeze")
    show(result, shown, quiet=True)
    *_, named, verdict = text(shown).splitlines()
    assert named.startswith("not planted, for want of time: double-put, no-freeze; a campaign of 4 min 00 s plants")
    assert verdict.startswith("PASS") and "canaries planted 1 of 3, found 1," in verdict


def test_unsaved_finding_is_printed_whole() -> None:
    shown = finding_text(Hit(FINDING, SPEC, "main", 3, Saved(error="disk full")), {})
    assert "COULD NOT BE SAVED: disk full" in shown
    assert "expected: 2" in shown
    assert f"repeat: {SPEC.command()}" in shown


def test_runs_that_are_not_in_the_ledger_are_told_to_whoever_wants_the_verdict_only() -> None:
    result = passed()
    result.unkept, result.unkept_because = 1204, "No space left on device"
    for quiet in (False, True):
        shown = console()
        show(result, shown, quiet=quiet)
        assert "unkept: 1,204 runs are not in the ledger: No space left on device (try: --store" in text(shown)
    assert result.exit_code == passed().exit_code


def test_a_campaign_of_functions_has_no_word_of_the_kernel_model() -> None:
    result, shown = CampaignResult(Request(("bank.py:main",), runs=3, seconds=None)), console()
    result.count(Job("main", "", 0, RunSpec("bank.py:main", maker="function")), RunResult(SPEC, "PASS", ops=12))
    show(result, shown)
    assert text(shown).startswith("programs\n") and "pass" in text(shown)
    told = text(shown) + line(result)
    assert not [word for word in ("scenario", "tried", "moved", "refused", "marks", "migrations") if word in told]


def test_progress_line_has_every_number() -> None:
    shown = line(passed())
    assert "runs 3,003" in shown
    assert "migrations tried 9,009, moved 6,006" in shown
    assert "refused page-lock 3,003" in shown
    assert "marks 1 of 2" in shown
    assert "canaries 1 of 1" in shown
    assert "converting" not in shown


def test_progress_says_while_workers_make_failures_again_instead_of_runs() -> None:
    result = passed()
    result.converting = 2
    assert line(result).endswith("; converting 2 of free threads, again under control")


def test_plain_lines_tell_findings_and_canaries_at_once() -> None:
    shown = console()
    with CampaignLines(shown) as lines:
        lines.found(Hit(FINDING, SPEC, "main", 3))
        lines.canary(trial(False, 4))
    assert text(shown) == (
        "FINDING abc123abc123  page:4 shows [an old] word\n"
        "canary no-freeze MISSED: 4 runs, no finding of oracle content\n"
    )


def test_live_display_needs_a_terminal_and_no_terminal_gets_lines() -> None:
    assert isinstance(observer(console(), quiet=False), CampaignLines)
    terminal = Console(file=StringIO(), width=110, force_terminal=True)
    with observer(terminal, quiet=False) as display:
        display.progress(passed())
        display.found(Hit(FINDING, SPEC, "main", 3))
        display.canary(trial(True, 3))
    assert isinstance(terminal.file, StringIO)
    assert "page:4 shows [an old] word" in terminal.file.getvalue()


def test_missed_canary_is_named() -> None:
    assert "no-freeze MISSED: 4 runs" in canary_line(trial(False, 4))


def test_numbers_read_well() -> None:
    assert (count(1234567), share(1, 8), share(0, 0)) == ("1,234,567", "12.5 %", "-")
    assert [duration(seconds) for seconds in (3600, 30600, 86399.9)] == ["1 h 00 min", "8 h 30 min", "24 h 00 min"]
    assert (size(3 << 19), duration(59.94), duration(61.2)) == ("1.5 MiB", "59.9 s", "1 min 01 s")


def test_a_free_finding_says_that_its_command_makes_another_run_and_how_often_it_hits() -> None:
    hit = Hit(FINDING, SPEC, "main", 3, Saved("kept/abc"), times=3)
    lines = finding_text(hit, {hit.kind: 80}).splitlines()
    assert lines[-2] == f"  repeat: {SPEC.command()}"
    assert lines[-1].endswith(
        "engine free never runs twice alike: hit rate about 0.037 (3 of 80 runs of alpha under free with noise gentle)"
    )
    assert finding_text(hit, {}).endswith("never runs twice alike: hit rate unknown")
    controlled = Hit(FINDING, replace(SPEC, engine="gate"), "main", 3, Saved("kept/abc"))
    assert "another run" not in finding_text(controlled, {controlled.kind: 80})


def test_the_rate_of_a_finding_counts_the_runs_of_its_program_engine_and_noise() -> None:
    result = CampaignResult(Request(("alpha",)))
    specs = [SPEC] * 4 + [replace(SPEC, noise="yield")] * 20 + [replace(SPEC, engine="gate")] * 10
    for index, spec in enumerate(specs):
        hit = index != 1
        result.count(Job("main", "", index, spec), RunResult(spec, "FAIL" if hit else "PASS"))
        if hit:
            result.hits.add(Hit(FINDING, spec, "main", index, Saved("kept/abc")))
    (found,) = result.hits.values()
    assert found.times == 33
    assert finding_text(found, result.kinds).endswith("about 0.75 (3 of 4 runs of alpha under free with noise gentle)")


def test_a_finding_of_free_threads_says_whether_it_came_again_under_control() -> None:
    told = Conversion(REFOUND, 40, 200, "parted at op 41: writer, at f:x, did y", 7, 35, 1.5, 5)
    lines = finding_text(Hit(FINDING, SPEC, "main", 3, Saved("findings/abc", conversion=told)), {}).splitlines()
    at = lines.index("  new; saved in findings/abc")
    assert lines[at + 1].startswith("  under control: re-found by search; 7 runs that began with the record")
    assert lines[at + 2 : at + 4] == [
        "    before that 40 of 200 recorded ops followed (20 %)",
        "    parted at op 41: writer, at f:x, did y",
    ]
