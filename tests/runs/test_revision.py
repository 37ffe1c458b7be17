"""The revision: another one for each change of the sources, and for each kind of Python."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

import pytest

from mmrace.runs.revision import digest_of, interpreter, revision
from mmrace.version import __version__


def test_a_revision_says_version_sources_and_python() -> None:
    root = Path(__file__).resolve().parents[2] / "mmrace"

    assert revision() == f"{__version__}+{digest_of(root)}.{interpreter()}"
    assert interpreter().startswith(sys.implementation.cache_tag or "")


def test_free_threads_are_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    told = set()
    for free in (0, 1):
        monkeypatch.setattr(sysconfig, "get_config_var", lambda name, free=free: free)
        told.add(interpreter())

    assert len(told) == 2


def test_sources_that_changed_moved_or_went_are_another_revision(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("1")
    told = [digest_of(tmp_path)]
    for change in ("2", "3"):
        (tmp_path / "a.py").write_text(change)
        told.append(digest_of(tmp_path))
    (tmp_path / "a.py").rename(tmp_path / "inner" / "a.py")
    told.append(digest_of(tmp_path))
    (tmp_path / "inner" / "a.py").unlink()
    told.append(digest_of(tmp_path))

    assert len(set(told)) == len(told)
