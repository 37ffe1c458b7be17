"""Which further Pythons of this machine can test mmrace: those named `python3.X` on PATH that really start.

    python tools/pythons.py        (a line each: name|its executable or nothing|why not)

A name on PATH proves nothing: pyenv puts a shim there for every version that was ever installed, which starts only if
that version is chosen.  So each is tried with ``-c pass``, and if that fails, once more with each version that the
folder beside the shims has, by ``PYENV_VERSION``.  The version that runs this script is left out, and so is what is too
old for mmrace.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST = 11  # of python3.X; as `requires-python` has it
START_SECONDS = 30.0  # a start takes some 20 ms; this is for a machine that swaps
ASK = """
import sys
print(sys.executable)
import venv, ensurepip
sys.version_info.releaselevel == "final" or sys.exit("Error: not released yet")
"""
"""Prints where a Python lies; fails if it makes no virtual environments, or is one that no package is made for."""


@dataclass(frozen=True, slots=True)
class Found:
    """One name on PATH.  `executable`: None if it cannot be used; `why`: says why not."""

    name: str
    executable: str | None
    why: str = ""


def names(path: str) -> dict[str, Path]:
    """Return the first `python3.X` of each X from `OLDEST` on, the lowest X first."""
    found: dict[int, Path] = {}
    for folder in filter(None, path.split(os.pathsep)):
        for file in Path(folder).glob("python3.*"):
            match = re.fullmatch(r"python3\.(\d+)", file.name)
            if match and int(match[1]) >= OLDEST and os.access(file, os.X_OK):
                found.setdefault(int(match[1]), file)
    return {found[minor].name: found[minor] for minor in sorted(found)}


def pyenv_versions(file: Path) -> list[str]:
    """Return the versions of pyenv that have this command, newest first, if `file` is one of its shims."""
    numbered = [
        ([int(part) for part in re.findall(r"\d+", program.parents[1].name)], program.parents[1].name)
        for program in file.parent.parent.glob(f"versions/*/bin/{file.name}")
    ]
    return [version for _, version in sorted(numbered, reverse=True)]


def tried(name: str, file: Path, environment: Mapping[str, str]) -> Found:
    """Start a Python; say where it lies, or why it cannot be used."""
    why = ""
    for version in (None, *pyenv_versions(file)):
        chosen = {} if version is None else {"PYENV_VERSION": version}
        code, told, failed = _start(file, ["-c", "pass"], {**environment, **chosen})
        if code:
            why = why or f"does not start: {failed}"
            continue
        code, told, failed = _start(file, ["-c", ASK], {**environment, **chosen})
        return Found(name, told) if code == 0 else Found(name, None, f"cannot be used: {failed}")
    return Found(name, None, why)


def _start(file: Path, arguments: list[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Return the exit code, the first line that it printed, and the first of its lines that says what is wrong."""
    try:
        done = subprocess.run(
            [file, *arguments], env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    telling = [line for line in done.stderr.splitlines() if "Error" in line or "command" in line]
    return done.returncode, done.stdout.partition("\n")[0], (*telling, f"exit code {done.returncode}")[0]


def others(environment: Mapping[str, str], own: int = sys.version_info.minor) -> Iterator[Found]:
    """Yield every Python on PATH but that of version 3.`own`."""
    for name, file in names(environment.get("PATH", "")).items():
        if name != f"python3.{own}":
            yield tried(name, file, environment)


if __name__ == "__main__":
    for python in others(os.environ):
        print(python.name, python.executable or "", python.why, sep="|")
