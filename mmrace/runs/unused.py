"""What a file can add, by name; and what is wrong with one whose names fit nothing.

Invariant: the error says where in the file the value stands that was meant, if one can be seen.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from mmrace.runtime import given
from mmrace.runtime.errors import UsageError

JUDGE, JUDGE_NAME = "judge", "NAME"
"""What the file of a judge calls its function, and its name."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Something that a file can add.

    Args: name: what the file calls it; several: what it calls a tuple of them.  type, how: what it is, and how it is
    made, for who has it wrong.  register: makes it known, given where it stands; raises UsageError.  replayed: whether
    a replay needs it.
    """

    name: str
    type: type
    how: str
    register: Callable[[Any, str], None]
    several: str = ""
    replayed: bool = True

    @property
    def form(self) -> str:
        """The line with which a file that adds one ends."""
        return f"{self.name} = {self.how}"


def of_another_kind(kind: Kind, name: str, value: object, kinds: tuple[Kind, ...], where: str) -> UsageError:
    """Return the error for a value under the name of a kind that it is not of."""
    got, try_ = given.described(value), kind.form
    for other in kinds:
        if isinstance(value, other.type):
            got, try_ = f"a {other.type.__name__}", f"{other.name} as the name of it; {kind.form} is another thing"
    if value is kind.type:
        try_ = f"{kind.form}: an object, not the class"
    return UsageError(expected=kind.form, got=got, where=where, try_=try_)


def adds_nothing(module: ModuleType, kinds: tuple[Kind, ...], where: str) -> UsageError:
    """Return the error for a file that has nothing under a name that is looked for."""
    expected, got = "a file that adds something", "one that adds nothing"
    has = vars(module)
    for name, value in has.items():
        for kind in kinds:
            if isinstance(value, kind.type):
                got, where = f"a {kind.type.__name__} that is called {name}", where + line_of(module, name)
                return UsageError(expected=expected, got=got, where=where, try_=f"{kind.name} as the name of it")
    for kind in kinds:
        if kind.several and kind.several in has:
            got, where = f"{kind.several} = {has[kind.several]!r}", where + line_of(module, kind.several)
            return UsageError(expected=expected, got=got, where=where, try_=f"at least one in it: {kind.how}")
    own = [name for name, value in has.items() if inspect.isfunction(value) and value.__module__ == module.__name__]
    if JUDGE in has:
        got, where = f"a function {JUDGE} without {JUDGE_NAME}", where + line_of(module, JUDGE)
        return UsageError(expected=expected, got=got, where=where, try_=f'{JUDGE_NAME} = "my-judge" beside it')
    close = difflib.get_close_matches(JUDGE, own, 1)
    if JUDGE_NAME in has:
        got, where = f"{JUDGE_NAME} without a function {JUDGE}", where + line_of(module, JUDGE_NAME)
        try_ = f"{JUDGE} as the name of {close[0]}" if close else f"def {JUDGE}(record): ... beside it"
        return UsageError(expected=expected, got=got, where=where, try_=try_)
    forms = f"a file that ends with {', '.join(kind.form for kind in kinds)}, or has {JUDGE_NAME} and {JUDGE}(record)"
    if "main" in own:
        forms = f"mmrace explore {Path(str(module.__file__)).name}:main, if main is a program; or {forms}"
    return UsageError(expected=expected, got=got, where=where, try_=forms)


def line_of(module: ModuleType, name: str) -> str:
    """Say in which line a module last gives a name its value, if that can be seen."""
    text = ""
    with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
        for node in ast.parse(Path(str(module.__file__)).read_bytes()).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            defined = isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
            if defined or any(isinstance(target, ast.Name) and target.id == name for target in targets):
                text = f", line {node.lineno}"
    return text
