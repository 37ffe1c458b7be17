"""Python files of a user's own, executed before names are resolved, so that they can register strategies.

A file's ``STRATEGY`` is registered, as those of mmrace are, and so is whatever the file gives to `registry.register`.
A worker process starts afresh: the files are named in each spec (`RunSpec.load`) and loaded there too.  Invariant: a
file is executed once a process.  A strict replay needs none of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from mmrace.runtime.errors import MmraceError, UsageError
from mmrace.strategies import registry

NAME = "mmrace_loaded_"

_EXAMPLE = "a file with STRATEGY = mmrace.strategies.contract.Registered(name, title, make)"


def load(paths: Iterable[str]) -> None:
    """Execute these files, if that was not done yet.  Raises UsageError for one that is missing or fails."""
    for path in paths:
        _load(Path(path))


def _load(path: Path) -> None:
    name = NAME + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    if name in sys.modules:
        return
    if not path.is_file() or path.suffix != ".py":
        raise UsageError(expected="a Python file (.py) that exists", got=str(path), where="--load", try_=_EXAMPLE)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        registry.register_of(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        text = str(error) if isinstance(error, MmraceError) else f"{type(error).__name__}: {error}"
        raise UsageError(
            expected="a Python file that can be executed", got=text, where=_where(path, error), try_=_EXAMPLE
        ) from error


def _where(path: Path, error: BaseException) -> str:
    """Return the file and the line in it that was last executed."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    return f"--load {path}" + (f", line {lines[-1]}" if lines else "")
