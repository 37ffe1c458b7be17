"""Runs whose strategy was given a schedule: how much of it they were is told, and none of it proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.installed import MAKERS, run_one
from mmrace.report.single import show_run
from mmrace.runs.follow import replay_record
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.search.explore.ask import Ask
from tests.report.test_campaign_report import console, text
from tests.runs.program_files import GOOD, write
from tests.search.explore.explorations import SMALL, explore

LATE = "script:text=migrator until end; committer until end; rest fair"
"""Reaches the bug of the variant double-put while the migrator runs."""


def scripted(script: str, variant: str = "", engine: str = "fiber") -> RunResult:
    """Make a run of a script."""
    params = (("dirtied", 1), ("idle", 0))
    return run_one(RunSpec("async-vs-commit", params, variant, engine, script), True)


@pytest.mark.parametrize("engine", ["fiber", "gate"])
def test_a_script_that_meets_the_bug_before_its_last_clause_fails_with_a_record(engine: str, tmp_path: Path) -> None:
    result = scripted(LATE, "double-put", engine)
    assert result.verdict == "FAIL" and result.record is not None
    assert result.findings[0].rule == "put without reference"
    assert result.followed is not None
    assert result.followed[:3] == (0, 2, "clauses")
    assert ["migrator until end" in line for line in result.followed.left] == [True, False]
    result.record.write(tmp_path / "run.jsonl")
    again = replay_record(str(tmp_path / "run.jsonl"), MAKERS)
    assert (again.verdict, again.findings, again.followed) == ("FAIL", result.findings, result.followed)


def test_a_clause_that_was_not_reached_is_told_beside_the_finding() -> None:
    shown = console()
    show_run(scripted(LATE, "double-put"), shown)
    lines = text(shown).splitlines()
    assert "script followed 0 of 2 clauses" in lines
    assert any(line.startswith("script clause 2, 'committer until end', was never reached") for line in lines)
    assert lines[-1] == "FAIL"


def test_a_clause_that_was_not_reached_is_a_wrong_call_if_nothing_failed() -> None:
    with pytest.raises(UsageError, match="script clause 2, 'nobody until end', was never reached"):
        scripted("script:text=migrator until end; nobody until end; rest fair")


def test_a_script_that_was_reached_whole_says_so() -> None:
    result = scripted("script:text=migrator until end; rest fair")
    assert (result.verdict, result.followed) == ("PASS", (1, 1, "clauses", ()))


@pytest.fixture
def kept(tmp_path: Path) -> str:
    """Give a strategy that is guided by the record of a small run."""
    result = run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", seed=3), True)
    assert result.record is not None
    sited = tmp_path / "plain.jsonl"
    result.record.write(sited)
    again = replay_record(str(sited), MAKERS).record
    assert again is not None
    again.write(tmp_path / "kept.jsonl")
    return f"guided:record={tmp_path / 'kept.jsonl'}"


def test_guided_follows_every_turning_point_of_its_own_program(kept: str) -> None:
    result = run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", strategy=kept), True)
    record = Record.read(kept.partition("=")[2])
    assert result.record is not None and list(result.record.plain()) == list(record.plain())
    assert result.followed is not None and result.followed.done == result.followed.of > 50
    assert result.record.header["followed"]["done"] == result.followed.done


def test_guided_says_how_much_of_another_program_it_followed(kept: str) -> None:
    result = run_one(RunSpec("sync-vs-commit", SMALL, engine="fiber", strategy=kept))
    assert result.verdict == "PASS" and result.followed is not None
    assert 0 < result.followed.done < result.followed.of
    shown = console()
    show_run(result, shown)
    done, of = result.followed[:2]
    assert f"guided followed {done} of {of} turning points" in text(shown).splitlines()


def test_a_run_that_followed_nothing_is_unknown(kept: str, tmp_path: Path) -> None:
    program = write(tmp_path / "good.py", GOOD)
    spec = RunSpec(f"{program}:main", maker="function", engine="fiber", strategy=kept)
    result = run_one(spec)
    assert result.followed is not None and result.followed.done == 0 < result.followed.of
    assert result.verdict == "UNKNOWN" and result.record is not None
    assert result.record.verdict["verdict"] == "UNKNOWN"
    assert result.unknown["every judge"] == f"the run followed none of {result.followed.of} turning points"


def test_an_exploration_says_how_much_was_followed_and_nothing_is_unknown(kept: str, tmp_path: Path) -> None:
    result = explore(Ask("sync-vs-commit", runs=2, jobs=0, params=SMALL, strategy=kept), tmp_path)
    assert result.verdict == "PASS"
    assert result.followed is not None and 0 < result.followed.done < result.followed.of
    program = write(tmp_path / "good.py", GOOD)
    ask = Ask(f"{program}:main", maker="function", runs=2, jobs=0, strategy=kept)
    nothing = explore(ask, tmp_path)
    assert nothing.verdict == "UNKNOWN"
    assert "the run followed none of" in nothing.unknown_because()


@pytest.mark.parametrize("engine", ["free", "gate", "fiber"])
def test_a_run_that_plays_nobody_is_unknown(engine: str) -> None:
    nobody = (("without", "committer,migrator,reader,writer"),)
    result = run_one(RunSpec("async-vs-commit", nobody, engine=engine))
    assert result.verdict == "UNKNOWN"
    why = (
        "no interleaving was exercised: every actor of async-vs-commit is left out; "
        "try: leave fewer actors out (--param without=...)"
    )
    assert result.unknown == {"every judge": why}
