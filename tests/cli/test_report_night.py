"""`mmrace report-night`: a summary or a page, the night that is asked for, and calls that are wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests import in_process
from tests.report.night import stores

Told: TypeAlias = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    monkeypatch.setenv("COLUMNS", "140")

    def run(*words: str) -> tuple[int, str, str]:
        code = in_process.run(monkeypatch, "report-night", *words)
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_a_summary_ends_with_the_verdict_and_has_its_exit_code(told: Told, tmp_path: Path) -> None:
    stores.write(tmp_path / "bad")
    code, out, _ = told("--store", str(tmp_path / "bad"))
    assert code == 1
    assert out.splitlines()[-1].startswith("FAIL  2 findings (1 new, 1 known of before); over 40 runs of 2 programs")
    assert "new: a lost copy [fresh]" in out
    assert "marks reached: 1; expected and never reached: 1" in out
    assert "migrations refused, 10.0 % of 440: buffer-lock 44" in out
    assert "lost workers: was killed by SIGKILL (2)" in out
    stores.write(tmp_path / "good", good=True)
    code, out, _ = told("--store", str(tmp_path / "good"))
    assert (code, out.splitlines()[-1].split()[0]) == (0, "PASS")


def test_a_page_is_written_and_its_verdict_told(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    stores.write(tmp_path / "store")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "store").rglob("*"))
    page = tmp_path / "night.html"
    code, out, _ = told("--store", str(tmp_path / "store"), "--html", str(page))
    assert (code, out.splitlines()[-1].split()[0]) == (1, "FAIL")
    assert f"page: {page}" in out
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "There are no charts on this page" in text
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "store").rglob("*")) == before


def test_a_store_that_nothing_can_be_written_to_is_read(told: Told, tmp_path: Path) -> None:
    stores.write(tmp_path)
    for path in (*tmp_path.rglob("*"), tmp_path):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert told("--store", str(tmp_path))[0] == 1
    finally:
        for path in (tmp_path, *tmp_path.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_an_empty_store_is_unknown_and_none_is_a_wrong_call(told: Told, tmp_path: Path) -> None:
    code, out, _ = told("--store", str(tmp_path))
    assert (code, out.splitlines()[-1].split()[0]) == (5, "UNKNOWN")
    code, _, err = told("--store", str(tmp_path / "nowhere"))
    assert code == 2
    assert "expected a store, which `mmrace stress` makes" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "yesterday"), "a day or a moment, as ISO 8601 has it"),
        (("--campaign", "x", "--since", "2026-11-30"), "--campaign or --since"),
        (("--campaign", "x"), "a campaign of this store"),
        (("--html", "/nowhere/night.html"), "a page file that can be written"),
    ],
)
def test_a_wrong_call_says_what_is_right(words: tuple[str, ...], said: str, told: Told, tmp_path: Path) -> None:
    stores.write(tmp_path, good=True)
    code, _, err = told("--store", str(tmp_path), *words)
    assert code == 2
    assert said in err


def test_since_takes_a_moment_of_another_zone(told: Told, tmp_path: Path) -> None:
    stores.write(tmp_path)
    assert "over 56 runs" in told("--store", str(tmp_path), "--since", "2026-11-29")[1]
    assert "over 40 runs" in told("--store", str(tmp_path), "--since", "2026-11-30T22:00+01:00")[1]


@pytest.mark.slow
def test_no_other_command_pays_for_what_a_page_needs() -> None:
    heavy = "{'jinja2', 'matplotlib'}"
    code = f"import sys, mmrace.cli.group; sys.exit(str({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert done.stderr.strip() == "set()"
