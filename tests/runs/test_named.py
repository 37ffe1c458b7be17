"""Functions by name: by which name other processes find one, and what a name must mean to be a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from types import FunctionType

import pytest

from mmrace.runs import named
from mmrace.runtime.errors import UsageError
from tests.runs.program_files import GOOD, imports_restored, write


@pytest.fixture(autouse=True)
def _afresh() -> Iterator[None]:
    with imports_restored():
        yield


def at_the_top() -> None:
    """Be a program."""


def _decorated(function: Callable[[], None]) -> Callable[[], None]:
    @wraps(function)
    def around() -> None:
        function()

    return around


@_decorated
def decorated() -> None:
    """Be a program inside a function of another place."""


class Holder:
    """What holds functions."""

    @staticmethod
    def static() -> None:
        """Be a program."""

    @classmethod
    def of_class(cls) -> None:
        """Be a program."""

    def method(self) -> None:
        """Be a program of an object."""

    def __call__(self) -> None:
        """Be a program."""


called = Holder()
anonymous = lambda: None  # noqa: E731
partially = partial(at_the_top)


def made_here() -> Callable[[], None]:
    def local() -> None: ...

    return local


# -- from a function to its name


@pytest.mark.parametrize(
    ("function", "attribute"),
    [
        (at_the_top, "at_the_top"),
        (decorated, "decorated"),
        (Holder.static, "Holder.static"),
        (Holder.of_class, "Holder.of_class"),
    ],
)
def test_a_function_of_a_file_has_a_name_by_which_it_is_found_again(function: named.Function, attribute: str) -> None:
    name, digest = named.name_of(function)
    assert name == f"{__name__}:{attribute}"
    assert named.load(name, digest) == (function, digest)


@pytest.mark.parametrize(
    ("function", "attribute"),
    [
        (made_here(), "<made_here.<locals>.local>"),
        (anonymous, "<<lambda>>"),
        (partially, "<at_the_top>"),
        (Holder().method, "<Holder.method>"),
        (called, "<Holder>"),
        (FunctionType(at_the_top.__code__, {"__name__": "gone"}), "<at_the_top>"),
    ],
)
def test_what_only_this_process_has_has_no_digest_and_a_name_that_nobody_loads(
    function: named.Function, attribute: str
) -> None:
    name, digest = named.name_of(function)
    assert (name.partition(":")[2], digest) == (attribute, "")
    with pytest.raises(UsageError, match="only that process can run"):
        named.load(name)


@pytest.mark.parametrize("here", [True, False], ids=["below the current folder", "elsewhere"])
def test_a_function_of_a_file_in_no_package_goes_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    path = write(tmp_path / "below" / "prog.py", GOOD)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path if here else tmp_path / "other")
    function, digest = named.load(f"{path}:main")
    place = "below/prog.py" if here else str(path)
    assert named.name_of(function) == (f"{place}:main", digest)


def test_a_function_whose_file_is_gone_can_run_here_only(tmp_path: Path) -> None:
    path = write(tmp_path / "gone.py", GOOD)
    function, _ = named.load(f"{path}:main")
    path.unlink()
    assert named.name_of(function)[1] == ""


# -- from a name to its function


FILE = f"""{GOOD}
import asyncio
from functools import partial
from mmrace.runtime import schedule, spawn

def other(mode: str = "fair") -> None: ...
def needs(n) -> None: ...
def _private() -> None: ...
async def coroutine(): ...
async def stream():
    yield 1
def turns():
    yield 1
class Thing:
    def __init__(self): ...
    @staticmethod
    def static(): ...
number = 3
few = partial(main, tasks=1)
anonymous = lambda: main()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with all sorts of names in it."""
    return write(tmp_path / "sorts.py", FILE)


@pytest.mark.parametrize("name", ["main", "other", "_private", "Thing.static", "few", "anonymous"])
def test_what_can_be_called_can_be_a_program(file: Path, name: str) -> None:
    function, digest = named.load(f"{file}:{name}")
    assert callable(function) and digest


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("coroutine", "an async function"),
        ("stream", "an async function"),
        ("turns", "a generator"),
        ("Thing", "a class"),
        ("number", "an object of type int"),
        ("__name__", "an object of type str"),
    ],
)
def test_what_does_nothing_when_it_is_called_is_refused(file: Path, name: str, what: str) -> None:
    with pytest.raises(UsageError, match=f"expected a plain function.*got .{what}"):
        named.load(f"{file}:{name}")


@pytest.mark.parametrize("name", ["man", "Thing.nosuch", "main.nosuch", ""])
def test_an_unknown_name_is_refused_with_the_functions_that_can_be_programs(file: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"expected a function in {file} out of main, other, anonymous, got"):
        named.load(f"{file}:{name}")


def test_a_close_name_is_proposed(file: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean main\?"):
        named.load(f"{file}:man")


def test_a_file_without_a_function_is_refused_with_those_that_it_has(file: Path) -> None:
    with pytest.raises(UsageError) as caught:
        named.refuse_file(str(file))
    assert caught.value.try_ == f"{file}:main or {file}:other or {file}:anonymous"
    named.refuse_file("async-vs-commit")
    named.refuse_file(f"{file}:main")


def test_a_file_without_any_function_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"main\(\) is a function on mmrace\.runtime"):
        named.refuse_file(str(write(tmp_path / "empty.py", "x = 1\n")))


def test_a_function_whose_arguments_are_unknown_is_refused() -> None:
    def secretive() -> None: ...

    secretive.__signature__ = "none of your business"  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="whose parameters are known"):
        named.declared("here:f", secretive)
