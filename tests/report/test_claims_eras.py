"""The claims over the eras as a table; `MMRACE_GOLDEN=write` writes it anew, to be read in the diff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrace.claims.across import Across
from mmrace.claims.judges import CLAIMS, Example
from mmrace.claims.programs import SETTINGS, spec_of
from mmrace.claims.result import ClaimsResult, Failure, PartCounts, Witness
from mmrace.report.claims_eras import show
from mmrace.runtime.errors import EXIT_UNKNOWN, EXIT_USAGE
from tests import in_process
from tests.report.test_campaign_report import compare, text
from tests.report.test_claims_report import console


def witness(era: str) -> Witness:
    spec = spec_of(SETTINGS["async"], 1, 7, era)
    return Witness("async", 7, spec, Example((3,), "migrator moves page:0"), "folder/C15/record.jsonl", 5, 5)


def result(era: str, moved: int) -> ClaimsResult:
    made = ClaimsResult((CLAIMS["C15"], CLAIMS["C2"]), seed=1, era=era)
    made.evidence = {
        "C15": {"async": PartCounts(100, 40, moved, 7 if moved else -1), "async-dirty": PartCounts(9, 9, 0, -1, True)},
        "C15+": {"async": PartCounts(100, 40, moved, 7 if moved else -1)},
        "C15b": {"async": PartCounts(100, moved)},
        "C2": {"async": PartCounts(100, 0)},
    }
    if moved:
        made.witnesses = {"C15": witness(era)}
    made.runs, made.seconds = 109, 4.0
    return made


def test_table_of_eras() -> None:
    made = Across({"3.1": result("3.1", 0), "3.2": result("3.2", 2), "3.3": result("3.3", 20)})
    made.results["3.1"].failures.append(Failure(spec_of(SETTINGS["async"], 1, 9, "3.1"), "deadlock: cycle"))
    shown = console()
    show(made, shown)
    compare("claims_eras.txt", text(shown))


def test_an_interrupted_table_says_so_last() -> None:
    made = Across({"3.1": result("3.1", 0)})
    made.results["3.1"].interrupted = 2
    shown = console()
    show(made, shown, quiet=True)
    assert text(shown).splitlines()[-1].startswith("interrupted; 4 parts in 1 eras")


def test_command_asks_eras_and_writes_what_came_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    code = in_process.run(
        monkeypatch, "claims", "c10", "--era", "3.1", "--era", "3.3", "--store", str(tmp_path), "--json", str(out)
    )
    assert code != EXIT_USAGE and code != EXIT_UNKNOWN
    assert "0 parts in 2 eras" in capsys.readouterr().out
    assert list(json.loads(out.read_text())["eras"]) == ["3.1", "3.3"]


@pytest.mark.parametrize("words", [("--era", "2.6"), ("--json", "x.json")])
def test_command_refuses_an_unknown_era_and_json_without_one(
    words: tuple[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "claims", "c10", *words) == EXIT_USAGE
    assert "--era" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("claims", "c10", "--era", "3.1", "--store", str(tmp_path), "--json", str(tmp_path / "no" / "x.json"))
    assert in_process.run(monkeypatch, *words) == EXIT_USAGE
    assert "a claims file that can be written" in capsys.readouterr().err


def test_command_prints_the_mail_and_runs_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "claims", "--mail") == 0
    assert capsys.readouterr().out.startswith("# The mail, sentence by sentence")
