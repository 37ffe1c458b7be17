"""The table of claims against a golden file; `MMRACE_GOLDEN=write` writes it anew, to be read in the diff."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mmrace.claims.judges import CLAIMS, Example
from mmrace.claims.programs import SETTINGS, spec_of
from mmrace.claims.result import ClaimsResult, Failure, PartCounts, Witness
from mmrace.report.claims import line, show
from mmrace.runtime.errors import EXIT_PASS, EXIT_USAGE
from tests import in_process
from tests.report.test_campaign_report import compare, text


def console() -> Console:
    """As the command line's on a pipe."""
    return Console(file=StringIO(), width=120, color_system=None)


def witness(setting: str, replayed: int = 5, error: str = "") -> Witness:
    spec = spec_of(SETTINGS[setting], 1, 7)
    example = Example((3, 17), "reader reads slot:1:0.page and finds [page:1]")
    path = "" if error else "folder/claims/C7/record.jsonl"
    return Witness(setting, 7, spec, example, path, 0 if error else replayed, 0 if error else 5, error)


def result() -> ClaimsResult:
    made = ClaimsResult((CLAIMS["C2"], CLAIMS["C3"], CLAIMS["C7"], CLAIMS["C10"], CLAIMS["C11"]), seed=1)
    made.evidence = {
        "C2": {"sync": PartCounts(100, 4000), "sync-reader": PartCounts(575, 1118, exhausted=True)},
        "C3": {"sync": PartCounts(100, 250)},
        "C3n": {"sync": PartCounts(100, 0)},
        "C3+": {"sync": PartCounts(100, 250, 1, 7)},
        "C7": {"lookups": PartCounts(200, 600, 12, 7), "sync-reader": PartCounts(575, 559, 300, 2, exhausted=True)},
        "C7+": {"lookups": PartCounts(200, 20), "sync-reader": PartCounts(40, 11)},
        "C11": {"async": PartCounts(100, 250)},
        "C11b": {"async": PartCounts(100, 30)},
        "C11r": {"async": PartCounts(100, 250)},
    }
    made.witnesses = {"C3+": witness("sync", error="OSError: disk full"), "C7": witness("lookups")}
    made.runs, made.seconds, made.cut = 1550, 61.5, 2
    return made


def test_report_of_claims() -> None:
    shown = console()
    made = result()
    made.failures.append(Failure(spec_of(SETTINGS["sync"], 1, 9), "deadlock: cycle"))
    made.troubles.append("mmrace bug: [a line] of it")
    made.losses["was ended by SIGKILL during a run, from outside"] = 2
    show(made, shown)
    compare("claims.txt", text(shown))


def test_the_counts_of_the_last_line_add_up_to_its_parts() -> None:
    for made in (result(), ClaimsResult(tuple(CLAIMS.values()), seed=1)):
        shown = console()
        show(made, shown, quiet=True)
        (parts,) = re.findall(r"claims in (\d+) parts", text(shown))
        counts = re.findall(
            r"[:,] (\d+) (?:held|true|false as worded|not shown|not tested yet)", text(shown).splitlines()[-1]
        )
        assert sum(map(int, counts)) == int(parts)


def test_report_of_claims_fits_the_width_and_ends_with_its_summary() -> None:
    shown = console()
    made = result()
    made.interrupted = 2
    show(made, shown, quiet=True)
    lines = text(shown).splitlines()
    assert lines[-1].startswith("interrupted; 5 claims in 11 parts: ")
    table = lines[: next(i for i, line in enumerate(lines) if line.startswith("C3+:"))]
    assert max(map(len, table)) <= 120
    assert "programs:" not in lines


def test_progress_tells_time_and_runs() -> None:
    assert line(result()) == "1 min 02 s: 1,550 runs"


def test_command_tells_a_claim_that_cannot_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "claims", "c10", "--store", str(tmp_path)) == EXIT_PASS
    assert "1 claims in 1 parts: 1 not tested yet" in capsys.readouterr().out


def test_command_refuses_a_claim_that_nobody_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process.run(monkeypatch, "claims", "C99") == EXIT_USAGE
    assert "a claim out of C0, C1" in capsys.readouterr().err
