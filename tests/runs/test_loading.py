"""A user's files: executed as they stand, told with their line when they fail, and known by a digest of all of them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmrace.runs import loading
from mmrace.runtime.errors import UsageError
from tests.runs.program_files import imports_restored, write


@pytest.fixture(autouse=True)
def _afresh(tmp_path: Path) -> Iterator[None]:
    with imports_restored(tmp_path):
        yield


def refused(place: str, digest: str = "") -> UsageError:
    with pytest.raises(UsageError) as caught:
        loading.module_of(place, digest)
    return caught.value


# -- files


def test_a_file_is_executed_once_while_it_stays_as_it_is(tmp_path: Path) -> None:
    path = str(write(tmp_path / "once.py", "x = object()\n"))
    first = loading.module_of(path)
    assert loading.module_of(path).module is first.module
    assert loading.module_of(path, first.digest).module is first.module


def test_a_file_that_changed_is_executed_anew(tmp_path: Path) -> None:
    """However short the time since, and whatever a cache of compiled files says."""
    path = write(tmp_path / "edited.py", "x = 1\n")
    found = []
    for x in (1, 2, 3):
        stamp = path.stat().st_mtime_ns
        path.write_text(f"x = {x}\n")
        os.utime(path, ns=(stamp, stamp))
        found.append(loading.module_of(str(path)).module.x)
    assert found == [1, 2, 3]


def test_a_helper_that_changed_is_imported_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "main_with_helper.py", "import changing_helper\nx = changing_helper.x\n")
    helper = write(tmp_path / "changing_helper.py", "x = 1\n")
    before = loading.module_of(str(path))
    helper.write_text("x = 22\n")
    after = loading.module_of(str(path))
    assert (before.module.x, after.module.x) == (1, 22)
    assert before.digest != after.digest


def test_a_helper_that_somebody_else_imported_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path / "shared_helper.py", "x = object()\n")
    sys.path.append(str(tmp_path))
    import shared_helper  # type: ignore[import-not-found]  # noqa: PLC0415

    path = write(tmp_path / "main_with_shared.py", "import shared_helper\n")
    assert loading.module_of(str(path)).module.shared_helper is shared_helper


def test_a_helper_of_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "first.py", "import twice_helper\n")
    second = write(tmp_path / "b" / "second.py", "import twice_helper\n")
    for folder in ("a", "b"):
        write(tmp_path / folder / "twice_helper.py", f"x = {folder!r}\n")
    loading.module_of(str(first))
    error = refused(str(second))
    assert "twice_helper" in error.expected and str(tmp_path / "a" / "twice_helper.py") == error.got


def test_one_file_is_one_module_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "named.py", "x = 1\n")
    monkeypatch.chdir(tmp_path)
    modules = {id(loading.module_of(place).module) for place in ("named.py", "./named.py", str(path))}
    assert len(modules) == 1


def test_a_file_of_strategies_can_hold_a_program_too(tmp_path: Path) -> None:
    path = write(tmp_path / "both.py", "x = object()\n")
    module = loading.of_file(path, "", "--load").module
    assert loading.module_of(str(path)).module is module
    loading.of_file(path, "", "--load")
    assert loading.module_of(str(path)).module is module


# -- digests


def test_the_digest_that_is_meant_must_be_that_of_the_files(tmp_path: Path) -> None:
    path = write(tmp_path / "meant.py", "x = 1\n")
    digest = loading.module_of(str(path)).digest
    path.write_text("x = 2\n")
    assert loading.module_of(str(path), digest).module.x == 1, "what was executed is still here"
    loading.module_of(str(path))
    error = refused(str(path), digest)
    assert digest in error.expected and "has changed" in str(error.got) and "guided:record=FILE" in error.try_


def test_a_changed_helper_is_another_program(tmp_path: Path) -> None:
    path = write(tmp_path / "main_of_two.py", "import second_of_two\n")
    helper = write(tmp_path / "second_of_two.py", "x = 1\n")
    digest = loading.module_of(str(path)).digest
    helper.write_text("x = 2\n")
    loading.module_of(str(path))
    assert "imports from beside it" in str(refused(str(path), digest).got)


def test_a_file_that_changes_itself_while_it_is_loaded_has_the_digest_of_what_was_executed(tmp_path: Path) -> None:
    path = write(tmp_path / "restless.py", "from pathlib import Path\nPath(__file__).write_text('x = 2\\n')\nx = 1\n")
    loaded = loading.module_of(str(path))
    assert loaded.module.x == 1
    assert loading.module_of(str(path)).digest != loaded.digest


# -- what fails


def test_a_missing_file_is_told_with_the_folder_in_which_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused("nosuch.py").got == f"nosuch.py, which is not there (looked for from {tmp_path})"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    assert "exists" in refused(str(tmp_path / "folder.py")).expected


FAILING = {
    "raises": ("x = 1\nraise ValueError('boom')\n", "line 2", "ValueError: boom"),
    "exits": ("import sys\nx = 1\nsys.exit(3)\n", "line 3", "SystemExit: 3"),
    "raises what is no Exception": ("class Odd(BaseException): ...\nraise Odd('x')\n", "line 2", "Odd: x"),
    "recurses": ("def f():\n    f()\nf()\n", "line 2", "RecursionError"),
    "has a syntax error": ("x = 1\ndef main(:\n", "line 2", "SyntaxError"),
    "imports what is missing": ("x = 1\nimport no_such_module\n", "line 2", "ModuleNotFoundError"),
    "has shared state outside any run": (
        "from mmrace import runtime as rt\nclass S(rt.Struct):\n    x = rt.shared(0)\nS('s').x = 1\n",
        "line 4",
        "outside a run",
    ),
    "makes a wrong call": (
        "from mmrace.strategies.registry import get\nget('nosuch')\n",
        "line 2",
        "the name of a strategy",
    ),
}


@pytest.mark.parametrize(("text", "line", "needle"), FAILING.values(), ids=FAILING)
def test_a_file_that_fails_is_a_wrong_call_told_with_its_line(
    tmp_path: Path, text: str, line: str, needle: str
) -> None:
    path = write(tmp_path / "failing.py", text)
    error = refused(str(path))
    assert error.where.endswith(f"failing.py, {line}")
    assert needle in str(error)
    modules = [name for name in sys.modules if name.startswith(loading.NAME)]
    assert not any("failing" in str(sys.modules[name].__file__) for name in modules), "nobody finds half a module"


def test_an_encoding_that_there_is_not_is_in_no_line(tmp_path: Path) -> None:
    error = refused(str(write(tmp_path / "encoded.py", "# -*- coding: foo -*-\nx = 1\n")))
    assert error.where.endswith("encoded.py") and error.got == "SyntaxError: unknown encoding: foo"


def test_a_file_that_failed_and_was_mended_is_executed(tmp_path: Path) -> None:
    path = write(tmp_path / "mended.py", "raise ValueError\n")
    refused(str(path))
    path.write_text("x = 1\n")
    assert loading.module_of(str(path)).module.x == 1


def test_ctrl_c_while_a_file_is_loaded_is_ctrl_c(tmp_path: Path) -> None:
    path = write(tmp_path / "interrupted.py", "import signal\nsignal.raise_signal(signal.SIGINT)\n")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            loading.module_of(str(path))
    finally:
        signal.signal(signal.SIGINT, before)
    assert loading.executing() == ""


def test_what_is_being_loaded_is_known_meanwhile(tmp_path: Path) -> None:
    path = write(tmp_path / "curious.py", "from mmrace.runs import loading\nx = loading.executing()\n")
    assert loading.module_of(str(path)).module.x == str(path)
    assert loading.executing() == ""


# -- dotted names


def test_a_module_is_found_in_the_current_folder_and_has_the_digest_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "own_package" / "__init__.py", "")
    write(tmp_path / "own_package" / "main.py", "from . import part\nx = part.x\n")
    part = write(tmp_path / "own_package" / "part.py", "x = 1\n")
    monkeypatch.chdir(tmp_path)
    loaded = loading.module_of("own_package.main")
    assert loaded.module.x == 1
    assert loading.module_of("own_package.main", loaded.digest).module is loaded.module
    part.write_text("x = 2\n")
    assert "changed since" in str(refused("own_package.main").got)
    assert loading.digest_now("own_package.main", tmp_path / "own_package" / "main.py") != loaded.digest


def test_a_file_of_a_package_says_how_its_relative_imports_work(tmp_path: Path) -> None:
    path = write(tmp_path / "other_package" / "main.py", "from . import part\n")
    write(tmp_path / "other_package" / "__init__.py", "")
    error = refused(str(path))
    assert "attempted relative import" in str(error.got) and "other_package.main:" in error.try_


@pytest.mark.parametrize(
    ("place", "needle"),
    [("no_such_module", "No module named"), ("..", "relative import"), ("", "Empty module name"), ("sys", "module")],
)
def test_a_name_that_cannot_be_imported_is_a_wrong_call(place: str, needle: str) -> None:
    assert needle in str(refused(place))


def test_a_module_that_fails_is_told_with_its_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "failing_module.py", "x = 1\nraise ValueError('boom')\n")
    monkeypatch.chdir(tmp_path)
    assert refused("failing_module").where == "module failing_module, failing_module.py, line 2"
