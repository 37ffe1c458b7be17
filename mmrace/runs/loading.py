"""Python files of a user's own, executed: those that hold a program, and those that add to what there is (``--load``).

A worker process starts afresh: the files are named in each spec and loaded there too.  Invariant: the digest that comes
with a module is that of what was executed, whatever stands on disk by now; whoever asks for the program as it stands
gets it executed anew if it changed.  Not here: which files a digest is of (`sources.py`), and what a file adds
(`registrations.py`).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from mmrace.runs import mending, sources
from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.runtime.leaving import kept
from mmrace.runtime.said import is_from_outside, named, said

NAME = "mmrace_loaded_"
NO_FORMS: mending.Forms = {}
ITSELF = "the line that loads it taken out: whoever needs the file loads it"
CODE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
"""Where mmrace's own files are, which are no user's."""
PROGRAM = "mmrace explore FILE.py:main, where main() is a function on mmrace.runtime"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A module that was executed, and the digest of its files as they were then."""

    module: ModuleType
    digest: str


_loaded: dict[str, Loaded] = {}
"""By place, as a program's name has it; those of files also by the name of the module."""

_executing: list[str] = []


def executing() -> str:
    """Return the place of the file that is being loaded, "" if none is: what it does now, every process does."""
    return _executing[-1] if _executing else ""


def module_of(place: str, digest: str = "") -> Loaded:
    """Return the module of a file (``FILE.py``) or of a dotted name.

    Args: digest: of the files that are meant; "": as they are now.  Raises UsageError if there are no such files.
    """
    known = _loaded.get(place)
    if known is None or not digest or known.digest != digest:
        known = of_file(Path(place), digest, "program") if is_file(place) else _of_name(place, digest)
        _loaded[place] = known
    return known


def is_file(place: str) -> bool:
    """Say whether a place is a file's, rather than a dotted name."""
    return place.endswith(".py")


def placed(path: str, folders: Iterable[str]) -> str:
    """Return the path of a file as it is found from here, or else in the first of `folders` that has it."""
    if not os.path.isfile(path):
        for folder in folders:
            file = os.path.join(folder, path)
            if os.path.isfile(file):
                return file
    return path


def missing(path: str, folders: Iterable[str], where: str) -> UsageError:
    """Return the error for a file that a run was made of, and that is not there any more.

    Args: folders: where it was looked for beside the current one: of its record, and all above.
    """
    above = next(iter(folders), "")
    beside = f" and from {above}, where the record is, and each folder above" if above else ""
    return UsageError(
        expected=f"{path}, of which this run was made",
        got=f"no such file; it was looked for from {os.getcwd()}{beside}",
        where=where,
        try_=f"--load FILE, which says where {os.path.basename(path)} is now",
    )


def of_file(path: Path, digest: str, where: str, forms: mending.Forms = NO_FORMS) -> Loaded:
    """Return the module of a file.

    Args: digest: of the files that are meant; "": as they are now.  where: what asks for it.  forms: of what the file
    makes (`mending.py`).  Raises UsageError.
    """
    check_file(path, where)
    name, files = _name_of(path), sources.of_file(path)
    now = _checked(str(path), digest, sources.digest_of(files), where)
    known = _loaded.get(name)
    if known is not None and known.digest == now:
        return known
    if known is not None:  # it, or a helper of its own, has changed
        for helper in files.keys() - sources.strangers(files).keys():
            sys.modules.pop(helper, None)
    module = _execute(path, files[""][1], where, forms)
    for helper, origin in sources.strangers(files).items():
        raise UsageError(
            expected=f"module {helper} from beside {path}",
            got=origin,
            where=f"{where} {path}",
            try_="another name for it: a process imports only one module of a name",
        )
    known = _loaded[name] = Loaded(module, now)
    return known


def _of_name(place: str, digest: str) -> Loaded:
    here = os.getcwd()
    if not {here, ""} & set(sys.path):
        sys.path.append(here)
    with reported(place, None, f"module {place}"):
        module = importlib.import_module(place)
    file = getattr(module, "__file__", None)
    if file is None or not is_file(file):
        raise UsageError(expected="a module with a Python file", got=place, where="program", try_=PROGRAM)
    now = _checked(place, digest, sources.digest_of(sources.of_module(place, Path(file))), "program")
    if place in _loaded and _loaded[place].digest != now:
        raise UsageError(
            expected=f"{place} as it was when this process imported it",
            got="another one: its files have changed since",
            where=f"program {place}",
            try_="a new process, or the file's name: that is executed anew",
        )
    return Loaded(module, now)


def digest_now(place: str, path: Path) -> str:
    """Return the digest of the program in a file, or of the module of a dotted name, as it stands on disk."""
    return sources.digest_of(sources.of_file(path) if is_file(place) else sources.of_module(place, path))


def _checked(place: str, digest: str, now: str, where: str) -> str:
    """Return the digest of what is there now.  Raises UsageError if it is not what is meant."""
    if digest and digest != now:
        raise UsageError(
            expected=f"{place} as it was when this run was made (digest {digest})",
            got=f"another one ({now}); it, or a file that it imports from beside it, has changed",
            where=f"{where} {place}",
            try_="bring the files back; of a record that has sites, --strategy guided:record=FILE follows what is left",
        )
    return now


# -- executing -----------------------------------------------------------------------------------------------------


def check_file(path: Path | str, where: str) -> None:
    """Raise UsageError for the path of anything but a Python file.  Args: where: what asks for it."""
    if os.path.isfile(path) and is_file(str(path)):
        return
    got = f"{path}, a folder" if os.path.isdir(path) and str(path) else str(path)
    if not os.path.exists(path):
        got = f"{path}, which is not there (looked for from {os.getcwd()})"
    raise UsageError(expected="a Python file (.py) that exists", got=got, where=where, try_=mending.of_path(str(path)))


def _name_of(path: Path) -> str:
    return NAME + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]


def _execute(path: Path, content: bytes, where: str, forms: mending.Forms) -> ModuleType:
    """Execute `content` as a module of its own: not what a cache of compiled files has, which can be older."""
    name, file = _name_of(path), str(path.resolve())
    spec = spec_from_file_location(name, file)
    assert spec is not None
    if any(Path(place).resolve() == path.resolve() for place in _executing):
        raise UsageError(expected="a file that does not load itself", got=str(path), where=where, try_=ITSELF)
    module = sys.modules[name] = module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # what the file imports beside itself, now or when it runs
        sys.path.append(folder)
    try:
        with reported(str(path), file, f"{where} {path}", forms):
            exec(compile(content, file, "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def reported(place: str, file: str | None, where: str, forms: mending.Forms = NO_FORMS) -> Iterator[None]:
    """Raise as UsageError whatever a user's file raises, but for Ctrl-C.  Args: file: None: any."""
    _executing.append(place)
    try:
        with kept:
            yield
    except BaseException as error:
        if is_from_outside(error):
            raise
        where += line_of(error, file)
        if isinstance(error, UsageError):
            raise UsageError(expected=error.expected, got=error.got, where=where, try_=error.try_) from error
        text = said(error) if isinstance(error, MmraceError) else named(error)
        if isinstance(error, SyntaxError) and not error.lineno:  # else "line 0"
            text = f"{type(error).__name__}: {error.msg}"
        try_ = mending.of_error(error, place, Path(file) if file is not None else None, forms)
        raise UsageError(expected="a Python file that can be executed", got=text, where=where, try_=try_) from error
    finally:
        _executing.pop()


def line_of(error: BaseException, file: str | None) -> str:
    """Return the line at which a file failed, and where in a helper beside it; of any file, with its name."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename and error.lineno:  # none of an unknown encoding
        places.append((error.filename, error.lineno))
    own = [place for place in places if place[0] == file] if file else [p for p in places if _is_users(p[0])]
    if not own:
        return ""
    name, line = own[-1]
    if not file:
        return f", {os.path.basename(name)}, line {line}"
    helper = places[-1]
    beside = helper[0] != file and Path(helper[0]).is_relative_to(Path(file).parent) and _is_users(helper[0])
    return f", line {line}" + (
        f" ({os.path.relpath(helper[0], Path(file).parent)}, line {helper[1]})" if beside else ""
    )


def _is_users(file: str) -> bool:
    return not file.startswith(("<", CODE)) and file != importlib.__file__
