"""Files with small programs of a user's own, written for a test, and the command line over them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from mmrace import history
from mmrace.runs import registrations
from mmrace.scenarios import casts
from mmrace.strategies import registry

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
from mmrace import runtime as rt

class Box(rt.Struct):
    x: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()

def add(box):
    rt.mutex_lock(box.lock)
    box.x = box.x + 1
    rt.mutex_unlock(box.lock)

def hasty(box):
    box.x = box.x + 1
"""

GOOD = f"""{HEAD}
def main(tasks: int = 2) -> None:
    box = Box("box")
    for _ in range(tasks):
        rt.spawn(add, box)
    rt.join_others()
    assert box.x == tasks
"""

RACY = GOOD.replace("rt.spawn(add", "rt.spawn(hasty")
"""BUGGY: updates get lost."""


def write(path: Path, text: str) -> Path:
    """Write a file, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def mmrace(*words: str, cwd: Path, stdin: IO[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with the folder of the console script as the first of its path."""
    return python(f"import sys; sys.argv = ['mmrace', *{words!r}]; from mmrace.cli import main; main()", cwd, stdin)


def python(code: str, cwd: Path, stdin: IO[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own; what is in the current folder is not on its path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=environment,
        stdin=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def additions_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget after the test what the files that it loads add, and for its time the bugs that other tests planted."""
    for module, name in (
        (registry, "_registered"),
        (casts, "_registered"),
        (registrations, "_added"),
        (registrations, "_digests"),
    ):
        monkeypatch.setattr(module, name, dict(vars(module)[name]))
    monkeypatch.setattr(history, "_registered", {})


@contextmanager
def imports_restored(folder: Path) -> Iterator[None]:
    """Forget afterwards what the block imports from a folder, and where it looks for modules."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None)).startswith(str(folder.resolve())):
                del sys.modules[name]


def script(name: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python file as a script."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, name, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
