"""What to try about a user's file that cannot be executed: a hint that fits what went wrong.

Invariant: each hint follows from the error and what lies around the file; where nothing is known, it is how to see the
whole traceback.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmrace.runtime.leaving import ProcessEnded
from mmrace.runtime.said import said

Forms = Mapping[str, str]
"""Name of a class that a file makes objects of -> how one is made."""

SUFFIX = ".py"
OWN = "mmrace"
NO_TEXT = "a text file of Python: this one holds bytes of value 0"
SCRIPT_ONLY = 'what a script alone should do below `if __name__ == "__main__":`'


def of_error(error: BaseException, place: str, file: Path | None, forms: Forms) -> str:
    """Return what to try.  Args: place: as the user named the file, or module.  file: None: a module was imported."""
    script = f"python {place}" if file is not None else f"python -c 'import {place}'"
    traceback = f"`{script}` shows the whole traceback"
    if isinstance(error, SyntaxError):
        return _syntax(error)
    if isinstance(error, ValueError) and "null bytes" in said(error):  # as Python before 3.11.4 has it
        return NO_TEXT
    if isinstance(error, ImportError):
        return _import(error, file) or traceback
    if isinstance(error, SystemExit | ProcessEnded):
        return f"no sys.exit() at the top level: {SCRIPT_ONLY}"
    if isinstance(error, FileNotFoundError):
        return f"a path from the file itself, Path(__file__).parent / ...; {traceback}"
    if isinstance(error, EOFError):
        return f"no input() at the top level, since each worker process executes the file: {SCRIPT_ONLY}"
    for name, how in forms.items():
        if isinstance(error, TypeError) and said(error).startswith(f"{name}.__init__()"):
            return how
    return traceback


def _syntax(error: SyntaxError) -> str:
    if "codec" in error.msg or "encoding" in error.msg:
        return "save the file as UTF-8, or name its encoding in its first line: # -*- coding: latin-1 -*-"
    if "null bytes" in error.msg:
        return NO_TEXT
    text = (error.text or "").strip()
    return f"mend this line: {text}" if text else "mend that line"


def _import(error: ImportError, file: Path | None) -> str:
    name = error.name or ""
    if "relative import" in said(error):
        return _by_module(file) if file is not None else ""
    if isinstance(error, ModuleNotFoundError):
        if name.split(".")[0] == OWN:
            return _close(name.rpartition(".")[2], _modules_of(name.rpartition(".")[0]))
        beside = [other.stem for other in file.parent.glob(f"*{SUFFIX}") if other != file] if file is not None else []
        own = f"{name}{SUFFIX} beside {file.name}" if file is not None else f"{name}{SUFFIX} in this folder"
        return f"{_close(name, beside)} {own}, or `pip install` what has it".strip()
    missing = re.search(r"cannot import name '(\w+)'", said(error))
    if missing and name:
        return _close(missing[1], vars(importlib.import_module(name))) or f"a name that {name} has"
    return ""


def _close(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {found[0]}?" if found else ""


def _modules_of(package: str) -> list[str]:
    """Return the modules in a package of mmrace's own; none if there is no such package either."""
    try:
        path = importlib.import_module(package).__path__
    except (ImportError, AttributeError):
        return []
    return [module.name for module in pkgutil.iter_modules(path)]


def _by_module(path: Path) -> str:
    """Say how to load a file that stands in a package."""
    top = path.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    return f"its name as a module, from {top}: {'.'.join(path.relative_to(top).with_suffix('').parts)}:main"


def of_path(path: str) -> str:
    """Return what to try about a path that leads to no Python file."""
    place = Path(path)
    if not path:
        return "the path of a file"
    if os.path.isdir(path):
        inside = sorted(file.name for file in place.glob(f"*{SUFFIX}") if file.is_file())
        return f"one of its files: {place / inside[0]}" if inside else "the path of a file"
    if os.path.isfile(path):
        return f"the same file under a name that ends with {SUFFIX}: {place.with_suffix(SUFFIX)}"
    if os.path.exists(path):
        return "the path of a regular file"
    if not os.path.isdir(place.parent):
        return f"a folder that exists: {place.parent} does not"
    there = [file.name for file in place.parent.glob(f"*{SUFFIX}")]
    found = difflib.get_close_matches(place.name, there, 1)
    return f"did you mean {place.parent / found[0]}?" if found else "a path from here, or a full one"
