"""The floor of branch coverage only rises: `fail_under` in pyproject.toml is held against its own history.

    python tools/coverage_floor.py [MEASURED]        (percent; by default what `coverage report` says)

Fails if the floor is lower than it was in any commit there is to see; says so if there are none (a clone without
history, no git).  Says when what was measured allows for a higher one.  Whether the floor is kept is not checked here:
coverage does that.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARGIN = 0.5  # percent that real threads, which never run twice alike, cover now and then
STEP = 0.5  # percent; a smaller rise is not worth a commit


def floor_of(text: str) -> float | None:
    """Return the floor that a pyproject.toml sets."""
    try:
        floor = tomllib.loads(text)["tool"]["coverage"]["report"]["fail_under"]
    except (tomllib.TOMLDecodeError, LookupError):
        return None
    return float(floor)


def earlier_floors(root: Path) -> dict[str, float] | None:
    """Return the floor of each commit that changed pyproject.toml, newest first; None where there is no history."""
    commits = _git(root, "log", "--format=%h", "HEAD", "--", "pyproject.toml")
    if commits is None:
        return None
    texts = {commit: _git(root, "show", f"{commit}:./pyproject.toml") for commit in commits.split()}
    floors = {commit: floor_of(text or "") for commit, text in texts.items()}
    return {commit: floor for commit, floor in floors.items() if floor is not None}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None


def verdict(root: Path, measured: float) -> tuple[bool, str]:
    """Say whether the floor is as high as it ever was, and what there is to tell of it."""
    floor = floor_of((root / "pyproject.toml").read_text(encoding="utf-8"))
    if floor is None:
        return False, "expected fail_under in [tool.coverage.report] of pyproject.toml, found none"
    earlier = earlier_floors(root)
    if earlier is not None:
        commit, highest = max(earlier.items(), key=lambda item: item[1], default=("", floor))
        if floor < highest:
            return False, f"the floor only rises: {floor:g} % now, {highest:g} % in {commit}; try tests for what is new"
    told = f"floor {floor:g} %, measured {measured:.2f} %"
    if earlier is None:
        told += "; no history here to hold the floor against"
    possible = (measured - MARGIN) // STEP * STEP
    if possible >= floor + STEP:
        told += f"; it can rise: fail_under = {possible:.2f}"
    return True, told


def _measured() -> float:
    report = [sys.executable, "-m", "coverage", "report", "--format=total", "--fail-under=0"]
    return float(subprocess.run(report, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> int:
    """Print what there is to say of the floor; return the exit code."""
    fine, told = verdict(ROOT, float(sys.argv[1]) if len(sys.argv) > 1 else _measured())
    print(f"coverage: {told}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
