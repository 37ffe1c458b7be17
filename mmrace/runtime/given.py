"""What code of a user's own hands over, checked when it is registered: names, titles, functions, collections.

Invariant: what passed may be used without another look.  Each check raises UsageError that says what came instead, and
how it would be right.  Not checked: what a function does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from types import ModuleType

from mmrace.runtime.errors import UsageError

NAMES = re.compile(r"[A-Za-z][\w.-]*")
SHOWN_MAX = 80  # characters of a value; of a longer one its type says more


def described(value: object) -> object:
    """Return what a message shows of a value: itself if it is short, else what it is."""
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isfunction(value):
        return f"the function {value.__name__}"
    return value if len(repr(value)) <= SHOWN_MAX else f"an object of type {type(value).__name__}"


def name(what: str, value: object, taken: Iterable[str], where: str) -> str:
    """Return the name of a `what`, if it can be typed on the command line and nothing else has it."""
    if not isinstance(value, str) or not NAMES.fullmatch(value):
        raise UsageError(
            expected=f"the name of a {what}: letters, digits and -",
            got=described(value),
            where=where,
            try_=f"a name such as {_name_like(value)}",
        )
    if value in taken:
        raise UsageError(
            expected=f"the name of a {what} that is not taken", got=value, where=where, try_=f"another name: my-{value}"
        )
    return value


def _name_like(value: object) -> str:
    words = re.findall(r"[A-Za-z][A-Za-z0-9]*|[0-9]+", value) if isinstance(value, str) else []
    text = "-".join(words)
    return text if NAMES.fullmatch(text) else "my-own"


def title(what: str, value: object, where: str) -> None:
    """Check the title of a `what`: the line that lists and reports show."""
    if not isinstance(value, str) or not value.strip() or "\n" in value:
        raise UsageError(
            expected=f"a title of the {what}, one line that says what it is",
            got=described(value),
            where=where,
            try_=f'a text such as "my own {what}"',
        )


def function(what: str, value: object, arguments: tuple[str, ...], where: str) -> None:
    """Check that a value can be called with these arguments."""
    form = f"a function that can be called as {what}({', '.join(arguments)})"
    try_ = f"def {what}({', '.join(arguments)}): ..."
    if not callable(value):
        raise UsageError(expected=form, got=described(value), where=where, try_=try_)
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # of some that are written in C
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        called = getattr(value, "__name__", type(value).__name__)
        raise UsageError(expected=form, got=f"{called}{signature}: {error}", where=where, try_=try_) from error


def mapping(what: str, value: object, where: str, try_: str) -> None:
    """Check that a value is a mapping whose keys are texts."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(expected=f"{what}: a mapping of names to values", got=described(value), where=where, try_=try_)


def members(what: str, value: object, kind: type, where: str, try_: str) -> None:
    """Check that a value is a tuple of objects of one kind."""
    if not isinstance(value, tuple):
        raise UsageError(expected=f"{what}, in a tuple", got=described(value), where=where, try_=try_)
    for member in value:
        if not isinstance(member, kind):
            raise UsageError(expected=what, got=described(member), where=where, try_=try_)
