"""What judging costs: the figures are ratios of sums, of this checkout or of two."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.scenarios.maker import JUDGES
from stress.bench import judging

SCRIPT = Path(judging.__file__)


def run(playing: float, crash: tuple[float, float], events: int = 100) -> judging.Figures:
    return {"events": events, "playing": playing, "without": {"content": (4.0, 3.0), "crash": crash}}


def test_a_cast_is_told_in_milliseconds_and_by_what_judging_adds_to_its_run() -> None:
    told = judging.cast_line("four", [run(4.0, (4.0, 3.0)), run(4.0, (4.0, 1.0))]).split()
    assert told == ["four", "100", "4000.0", "4000.0", "2.00", "1.50"]


def test_a_judge_is_told_by_what_the_others_cost() -> None:
    assert judging.judge_line("content", [run(4.0, (4.0, 3.0))] * 3).split() == ["content", "1.333", "25.0%"]


def test_two_checkouts_are_compared_by_run_and_by_event() -> None:
    here = [{"events": 200, "playing": 3.0, "judging": 3.0}]
    there = [{"events": 100, "playing": 2.0, "judging": 1.0}]
    assert judging.ratios(here, there) == {"events": 2.0, "playing": 1.5, "judging": 3.0, "event": 1.5, "run": 2.0}


def test_a_run_is_judged_without_each_judge_in_turn() -> None:
    found = judging.costs("migrate-vs-reclaim", 0, by_judge=True)
    assert found["without"].keys() == JUDGES.keys() and found["events"] > 0


@pytest.mark.slow
def test_a_checkout_is_compared_with_itself(tmp_path: Path) -> None:
    asked = ["--against", str(judging.ROOT), "--runs", "1", "--cast", "migrate-vs-reclaim", "--json", "figures.json"]
    ended = subprocess.run([sys.executable, SCRIPT, *asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, 1), ended.stderr  # by the clock
    figures = json.loads((tmp_path / "figures.json").read_text())["migrate-vs-reclaim"]
    assert figures["events"] == 1.0


@pytest.mark.slow
def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mmrace").mkdir()
    (tmp_path / "mmrace" / "__init__.py").touch()
    asked = ["--against", str(tmp_path), "--runs", "1", "--cast", "migrate-vs-reclaim"]
    ended = subprocess.run([sys.executable, SCRIPT, *asked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "is it a checkout of mmrace?" in ended.stderr
