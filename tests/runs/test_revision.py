"""Which mmrace this is."""

from __future__ import annotations

from pathlib import Path

import mmrace
from mmrace.runs.revision import digest_of, interpreter, revision
from mmrace.version import __version__


def test_a_revision_is_a_version_the_sources_of_this_very_package_and_a_kind_of_python() -> None:
    sources = digest_of(Path(mmrace.__file__).parent)
    assert revision() == f"{__version__}+{sources}.{interpreter()}"


def test_each_byte_and_each_name_of_a_source_counts_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    source = tmp_path / "inner" / "one.py"
    source.write_text("x = 1\n")
    first = digest_of(tmp_path)
    (tmp_path / "inner" / "one.pyc").write_text("whatever")
    assert digest_of(tmp_path) == first
    source.write_text("x = 2\n")
    second = digest_of(tmp_path)
    source.rename(tmp_path / "two.py")
    assert len({first, second, digest_of(tmp_path)}) == 3
