"""The files of a program: its own and what it imports from beside it, and a digest that tells any change of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mmrace.runs import sources
from tests.runs.program_files import imports_restored, write


def names(path: Path) -> list[str]:
    return sorted(sources.of_file(path))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a program, two modules and a package beside it, and some files that it does not import."""
    write(tmp_path / "main.py", "import near\nfrom deep.inner import thing, leaf\nimport queue\nimport missing\n")
    write(tmp_path / "near.py", "def late():\n    import far\n")
    write(tmp_path / "far.py", "import near  # in a ring\n")
    write(tmp_path / "deep" / "__init__.py", "")
    write(tmp_path / "deep" / "inner" / "__init__.py", "from . import sibling\nfrom ..upper import x\n")
    write(tmp_path / "deep" / "inner" / "leaf.py", "")
    write(tmp_path / "deep" / "inner" / "sibling.py", "")
    write(tmp_path / "deep" / "upper.py", "")
    write(tmp_path / "deep" / "unused.py", "")
    write(tmp_path / "queue.py", "# the standard library's goes first\n")
    write(tmp_path / "mmrace.py", "# mmrace itself goes first\n")
    return tmp_path


def test_imports_are_followed_beside_the_file_wherever_they_stand(project: Path) -> None:
    assert names(project / "main.py") == [
        "", "deep", "deep.inner", "deep.inner.leaf", "deep.inner.sibling", "deep.upper", "far", "near",
    ]  # fmt: skip


@pytest.mark.parametrize("changed", ["main.py", "far.py", "deep/__init__.py", "deep/inner/leaf.py", "deep/upper.py"])
def test_a_change_of_any_of_them_changes_the_digest(project: Path, changed: str) -> None:
    before = sources.digest_of(sources.of_file(project / "main.py"))
    write(project / changed, (project / changed).read_text() + "\n")
    assert sources.digest_of(sources.of_file(project / "main.py")) != before


@pytest.mark.parametrize("changed", ["deep/unused.py", "queue.py", "mmrace.py", "new.py"])
def test_a_change_of_another_file_does_not(project: Path, changed: str) -> None:
    before = sources.digest_of(sources.of_file(project / "main.py"))
    write(project / changed, "x = 1\n")
    assert sources.digest_of(sources.of_file(project / "main.py")) == before


def test_the_digest_does_not_depend_on_where_the_folder_lies(project: Path, tmp_path: Path) -> None:
    moved = project.rename(tmp_path.with_name("moved"))
    try:
        there = sources.digest_of(sources.of_file(moved / "main.py"))
    finally:
        moved.rename(project)
    assert there == sources.digest_of(sources.of_file(project / "main.py"))


def test_content_that_moves_from_one_file_to_another_is_a_change(tmp_path: Path) -> None:
    main = write(tmp_path / "main.py", "import a, b\n")
    digests = set()
    for a, b in [("x = 1\n", ""), ("", "x = 1\n"), ("x = 1", "\n")]:
        write(tmp_path / "a.py", a)
        write(tmp_path / "b.py", b)
        digests.add(sources.digest_of(sources.of_file(main)))
    assert len(digests) == 3


def test_of_a_module_the_files_of_its_package_count(project: Path) -> None:
    write(project / "deep" / "inner" / "leaf.py", "import near\nfrom deep import upper\nfrom . import sibling\n")
    found = sources.of_module("deep.inner.leaf", project / "deep" / "inner" / "leaf.py")
    assert sorted(found) == ["deep", "deep.inner", "deep.inner.leaf", "deep.inner.sibling", "deep.upper"]
    found = sources.of_module("deep.inner", project / "deep" / "inner" / "__init__.py")
    assert sorted(found) == ["deep", "deep.inner", "deep.inner.sibling", "deep.upper"]
    write(project / "deep" / "inner" / "leaf.py", "")
    found = sources.of_module("deep.inner.leaf", project / "deep" / "inner" / "leaf.py")
    assert {"deep", "deep.inner"} < found.keys(), "the packages around it are executed before it"


@pytest.mark.parametrize("text", ["def main(:\n", "\udcff".encode("utf-8", "surrogateescape"), b"\0"])
def test_what_is_no_python_has_a_digest_all_the_same(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "main.py").write_bytes(text.encode() if isinstance(text, str) else text)
    assert names(tmp_path / "main.py") == [""]


def test_a_relative_import_outside_any_package_leads_nowhere(tmp_path: Path) -> None:
    write(tmp_path / "near.py", "")
    assert names(write(tmp_path / "main.py", "from . import near\nfrom ... import far\n")) == [""]


def test_modules_of_other_folders_are_strangers(project: Path, tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere" / "near.py", "")
    files = sources.of_file(project / "main.py")
    with imports_restored(tmp_path):
        sys.path.insert(0, str(project))
        __import__("far")
        assert sources.strangers(files) == {}
        del sys.modules["near"]
        sys.path.insert(0, str(elsewhere.parent))
        __import__("near")
        assert sources.strangers(files) == {"near": str(elsewhere)}
