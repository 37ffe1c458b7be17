"""CONTRIBUTING names the targets that there are, and the folders and files that it speaks of exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_target_is_told_and_no_other() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)
    assert phony is not None
    assert set(re.findall(r"make ([a-z-]+)", TEXT)) == set(phony[1].split()) - {"clean"}


def test_coverage_counts_no_test_twice() -> None:
    printed = subprocess.run(
        ["make", "--dry-run", "coverage", "PYTHON=python3"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")
    first, then = (line.split() for line in printed.splitlines() if "--cov " in line)
    paths = [word for word in first if word.startswith("tests/")]
    assert paths and {f"--ignore={path}" for path in paths} <= {*then}
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_path_named_exists() -> None:
    named = re.findall(r"(?<![\w/.])(?:\.ci|mmrace|stress|tests|tools)/[\w./-]*\w", TEXT)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
