"""Python files of a user's own: those that hold a program, and those that register strategies (``--load``).

A worker process starts afresh: the files are named in each spec and loaded there too.  Invariant: a file is executed
once a process, and its digest is that of what was executed, whatever stands on disk by now.  The ``STRATEGY`` of a file
named by ``--load`` is registered, as those of mmrace are; the file may call `registry.register` for more.  A strict
replay needs no strategy.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.strategies import registry

NAME = "mmrace_loaded_"
DIGEST_HEX = 16

_STRATEGIES = "a file with STRATEGY = mmrace.strategies.contract.Registered(name, title, make)"
_PROGRAM = "mmrace explore FILE.py:main, where main() is a function on mmrace.runtime"


def load(paths: Iterable[str]) -> None:
    """Execute these files and register their strategies, once.  Raises UsageError for one that is missing or fails."""
    for path in paths:
        registry.register_of(_execute(Path(path), "--load", _STRATEGIES), where=f"--load {path}")


def module_of(place: str) -> tuple[Any, str]:
    """Return the module of a file (``FILE.py``) or of a dotted name, and its file's digest.  Raises UsageError."""
    if place.endswith(".py"):
        module = _execute(Path(place), "program", _PROGRAM)
        return module, _digests[module.__name__]
    try:
        module = importlib.import_module(place)
    except Exception as error:
        raise UsageError(
            expected="a module that can be imported", got=f"{type(error).__name__}: {error}", where=place, try_=_PROGRAM
        ) from error
    if place not in _digests:
        _digests[place] = _digest(Path(module.__file__).read_bytes()) if module.__file__ else ""
    return module, _digests[place]


_digests: dict[str, str] = {}
"""Name of a loaded module -> hash of its file."""


def digest_of(path: Path) -> str:
    """Return the hash of a file as it is now.  Raises OSError."""
    return _digest(path.read_bytes())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_HEX]


def _execute(path: Path, where: str, try_: str) -> ModuleType:
    name = NAME + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(expected="a Python file (.py) that exists", got=str(path), where=where, try_=try_)
    _digests[name] = _digest(path.read_bytes())
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:  # what the file imports beside itself, now or when it runs
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        text = str(error) if isinstance(error, MmraceError) else f"{type(error).__name__}: {error}"
        raise UsageError(
            expected="a Python file that can be executed",
            got=text,
            where=f"{where} {path}{_line(path, error)}",
            try_=try_,
        ) from error
    return module


def _line(path: Path, error: BaseException) -> str:
    """Return the line of the file that was last executed."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f", line {lines[-1]}" if lines else ""
