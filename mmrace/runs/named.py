"""Functions by name: which name a function goes by, the function that a name means, and what can be a program at all.

A name is ``FILE.py:main``, or ``package.module:main``; other processes load the function by it (`loading.py`).
Invariant: what `load` returns can be called without arguments, and does all it does in that call.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias, cast

from mmrace.runs import loading
from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.param import AnyParam, Flag, Number, Parameters, Text

SAYS = "an argument of the function"

Function: TypeAlias = Callable[..., object]


def is_function(name: str) -> bool:
    """Say whether the name of a program is that of a function."""
    return ":" in name


def refuse_file(name: str) -> None:
    """Raise UsageError if the name of a program is only that of a file: it says which functions that has."""
    if loading.is_file(name):
        names = programs_in(loading.module_of(name).module)
        raise UsageError(
            expected="a function in a file, FILE.py:NAME",
            got=name,
            where="program",
            try_=" or ".join(f"{name}:{function}" for function in names) or loading.PROGRAM,
        )


def name_of(function: Function) -> tuple[str, str]:
    """Return the name of a function of this process, and the digest of its files.

    The digest is "" if other processes cannot load the function by its name: it was made inside another one, say, or
    its module has no file.
    """
    inner = function.func if isinstance(function, partial) else function
    module = sys.modules.get(getattr(inner, "__module__", None) or "")
    attribute = str(getattr(inner, "__qualname__", type(inner).__name__))
    if module is not None and inner is function and _attribute(module, attribute) == function:
        place, path = _place_of(module)
        if path is not None:
            return f"{place}:{attribute}", loading.digest_now(place, path)
    return f"{getattr(module, '__name__', 'here')}:<{attribute}>", ""


def _place_of(module: ModuleType) -> tuple[str, Path | None]:
    """Return by which name other processes load a module, and its file; None if they cannot.

    A module inside a package goes by its dotted name, which its relative imports need; any other by its file, which is
    found whatever the path of imports is.
    """
    file = getattr(module, "__file__", None)
    if file is None or not loading.is_file(file) or not os.path.isfile(file):
        return "", None
    name = getattr(module.__spec__, "name", "")  # of a script: none
    if "." in name:
        return name, Path(file)
    path = Path(os.path.abspath(file))
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path), path


def load(name: str, digest: str = "") -> tuple[Function, str]:
    """Return the function of this name, and the digest of its files.

    Args: digest: of the files that are meant; "": whatever is there.  Raises UsageError.
    """
    place, _, attribute = name.rpartition(":")
    if not place or "<" in attribute:
        raise UsageError(
            expected="a function at the top level of a file",
            got=name,
            where="program",
            try_="a name such as FILE.py:main; what a process made for itself, only that process can run",
        )
    loaded = loading.module_of(place, digest)
    found = _attribute(loaded.module, attribute)
    if found is None:
        raise unknown(f"a function in {place}", attribute, programs_in(loaded.module), where=f"program {name}")
    return runnable(name, found), loaded.digest


def programs_in(module: ModuleType) -> list[str]:
    """Return the names of a module's own functions that can be programs as they stand."""
    found = []
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_"):
            try:
                declared(name, runnable(name, value))
            except UsageError:
                continue
            found.append(name)
    return found


def _attribute(module: ModuleType, dotted: str) -> Any:
    found: Any = module
    for part in dotted.split("."):
        found = getattr(found, part, None)
    return found


def runnable(name: str, function: object) -> Function:
    """Return a function that a run can call.  Raises UsageError for anything else."""
    what = ""
    if isinstance(function, type) or not callable(function):
        what = "a class" if isinstance(function, type) else f"an object of type {type(function).__name__}"
    elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        what = "an async function"
    elif inspect.isgeneratorfunction(function):
        what = "a generator: it has a `yield`"
    if what:
        raise UsageError(
            expected="a plain function, which runs to its end when it is called",
            got=what,
            where=f"program {name}",
            try_="def main() -> None: ..., whose tasks wait by mmrace.runtime",
        )
    return cast(Function, function)


def declared(name: str, function: Function) -> Parameters:
    """Return a function's parameters, as their defaults declare them.  Raises UsageError for one without a default."""
    found: list[AnyParam] = []
    for parameter in _signature(name, function).parameters.values():
        default = parameter.default
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY or not isinstance(default, int | str):
            raise UsageError(
                expected="a function whose parameters all have defaults: numbers, texts, or truth values",
                got=str(parameter),
                where=f"program {name}",
                try_="a default for each: def main(tasks: int = 2) -> None",
            )
        if isinstance(default, bool):
            found.append(Flag(parameter.name, default, says=SAYS))
        elif isinstance(default, str):
            found.append(Text(parameter.name, default, says=SAYS))
        else:
            found.append(Number(parameter.name, default, says=SAYS))
    return Parameters(name, found)


def _signature(name: str, function: Function) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:  # some of those that are written in C
        raise UsageError(
            expected="a function whose parameters are known", got=str(error), where=f"program {name}"
        ) from error
