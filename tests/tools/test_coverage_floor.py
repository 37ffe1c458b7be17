"""The floor of coverage may rise and never fall, as far as there is history to tell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tools.coverage_floor import ROOT, floor_of, verdict

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


def text(floor: float | None) -> str:
    return "[tool.coverage.report]\n" + ("" if floor is None else f"fail_under = {floor}\n")


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def project(folder: Path, *floors: float | None, commit: bool = True) -> Path:
    """Make a project whose floor was each of these in turn; the last is not committed."""
    if commit:
        git(folder, "init", "-q")
    for number, floor in enumerate(floors):
        (folder / "pyproject.toml").write_text(text(floor) + f"# {number}\n")
        if commit and number < len(floors) - 1:
            git(folder, "add", "pyproject.toml")
            git(folder, "commit", "-q", "-m", "A floor")
    return folder


@pytest.mark.parametrize("floors", [(90.0, 90.0), (80.0, 90.0), (None, 90.0), (90.0, None, 91.5)])
def test_a_floor_that_rises_or_stays_is_fine(tmp_path: Path, floors: tuple[float | None, ...]) -> None:
    fine, told = verdict(project(tmp_path, *floors), 91.6)
    assert fine
    assert told == f"floor {floors[-1]:g} %, measured 91.60 %" + (
        "; it can rise: fail_under = 91.00" * (floors[-1] == 90)
    )


@pytest.mark.parametrize("floors", [(90.0, 89.9), (90.0, 80.0, 85.0), (80.0, 90.0, None, 85.0)])
def test_a_floor_that_falls_is_told_with_the_commit_that_had_more(
    tmp_path: Path, floors: tuple[float | None, ...]
) -> None:
    fine, told = verdict(project(tmp_path, *floors), 99.0)
    assert not fine
    assert told.startswith(f"the floor only rises: {floors[-1]:g} % now, 90 % in ")


def test_without_history_nothing_is_held_against_the_floor_and_that_is_told(tmp_path: Path) -> None:
    fine, told = verdict(project(tmp_path, 90.0, commit=False), 90.2)
    assert fine
    assert told.endswith("; no history here to hold the floor against")


def test_no_floor_is_no_pass(tmp_path: Path) -> None:
    fine, told = verdict(project(tmp_path, None, commit=False), 99.0)
    assert not fine
    assert "expected fail_under" in told


def test_a_clone_without_history_sees_its_own_commit_only(tmp_path: Path) -> None:
    source, clone = tmp_path / "source", tmp_path / "clone"
    source.mkdir()
    project(source, 90.0, 80.0, 80.0)
    git(tmp_path, "clone", "-q", "--depth", "1", source.as_uri(), "clone")
    assert verdict(clone, 80.2) == (True, "floor 80 %, measured 80.20 %")


def test_this_checkout_has_a_floor() -> None:
    assert floor_of((ROOT / "pyproject.toml").read_text()) is not None
