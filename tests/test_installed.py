"""Installed, without the checkout: the entry point of the plugin, and a race from its finding to its green test.

As pip would leave it: the package, and beside it what `pyproject.toml` says of it.  No package index is asked; the
wheel itself goes through the same story in `make wheel-test`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mmrace.version import __version__

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder of installed packages that has mmrace."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "mmrace", folder / "mmrace", ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    facts = folder / f"mmrace-{__version__}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mmrace\nVersion: {__version__}\n", encoding="utf-8")
    (facts / "RECORD").write_text("mmrace/__init__.py,,\nmmrace/plugin/hooks.py,,\n", encoding="utf-8")
    entries = project["entry-points"]["pytest11"]
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (facts / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]), encoding="utf-8")
    return folder


@pytest.mark.slow
def test_from_a_race_to_a_green_test_without_the_checkout(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "kept_story.py"), str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["found", "replayed", "kept", "red", "mended", "green"], done.stderr
