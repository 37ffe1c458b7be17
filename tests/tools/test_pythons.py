"""The search for further Pythons takes what starts, looks behind the shims of pyenv, and says why it leaves one out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tools.pythons import Found, others, pyenv_versions

SHIM = """#!/bin/sh
case "$PYENV_VERSION" in
  {version}) exec "{real}" "$@" ;;
  *) echo "pyenv: {name}: command not found" >&2; exit 127 ;;
esac
"""


def program(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text)
    file.chmod(0o755)
    return file


def python(folder: Path, name: str) -> Path:
    """Put a Python that starts there."""
    return program(folder, name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')


def found(*folders: Path) -> list[Found]:
    """Search these folders, from a Python that is none of those in them."""
    return list(others({"PATH": os.pathsep.join(map(str, folders))}, own=99))


def test_what_starts_is_found_with_its_executable(tmp_path: Path) -> None:
    python(tmp_path, "python3.12")
    assert found(tmp_path) == [Found("python3.12", sys.executable)]


def test_a_shim_is_started_with_the_version_that_has_it(tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    program(shims, "python3.13", SHIM.format(version="3.13.10", real=sys.executable, name="python3.13"))
    for version in ("3.13.9", "3.13.10"):
        python(tmp_path / "versions" / version / "bin", "python3.13")
    assert pyenv_versions(shims / "python3.13") == ["3.13.10", "3.13.9"]
    assert found(shims) == [Found("python3.13", sys.executable)]


def test_a_shim_without_its_version_is_left_out_with_what_it_said(tmp_path: Path) -> None:
    program(tmp_path, "python3.14", SHIM.format(version="none", real="", name="python3.14"))
    assert found(tmp_path) == [
        Found("python3.14", None, "does not start: pyenv: python3.14: command not found"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\nexit 3\n", "does not start: exit code 3"),
        ("#!/no/such/program\n", "does not start: [Errno 2] No such file or directory"),
        (
            '#!/bin/sh\n[ "$2" = pass ] || { echo "ModuleNotFoundError: venv" >&2; exit 1; }\n',
            "cannot be used: ModuleNotFoundError: venv",
        ),
    ],
)
def test_what_cannot_be_used_is_told(tmp_path: Path, text: str, why: str) -> None:
    program(tmp_path, "python3.12", text)
    (only,) = found(tmp_path)
    assert only.executable is None
    assert only.why.startswith(why)


def test_one_of_each_version_is_found_the_lowest_first_and_none_that_is_too_old(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, name in (
        (first, "python3.14"), (first, "python3.9"), (first, "python3.12-config"), (first, "python3.13t"),
        (second, "python3.14"), (second, "python3.12"), (second, "python3.100"),
    ):  # fmt: skip
        python(folder, name)
    program(first, "python3.12", "no program").chmod(0o644)
    assert [one.name for one in found(first, tmp_path / "none", second)] == ["python3.12", "python3.14", "python3.100"]


def test_the_version_that_searches_is_left_out(tmp_path: Path) -> None:
    python(tmp_path, "python3.12")
    assert list(others({"PATH": str(tmp_path)}, own=12)) == []
