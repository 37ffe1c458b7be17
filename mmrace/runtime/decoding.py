"""JSON from a file, decoded into a type: the one way in for data that somebody else may have written.

Invariant: what `decode` and `converted` return has the type that was asked for, is nested no deeper than `DEPTH_MAX`,
and holds no NaN; anything else is a UsageError that names the place and says what is wrong there.  Not here: how much
is read at all (`files.py`), and what a format's values mean together (each format's own reader).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from mmrace.runtime.errors import UsageError

T = TypeVar("T")

DEPTH_MAX = 64  # of lists and objects in each other; no file of ours is deeper than ten, and nobody recurses further
COUNT_MAX = 2**53
"""The largest count, time or number of anything: what every JSON reader keeps exactly."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]

ERRORS = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""What a decoder raises for bytes that are not what they should be."""


def decode(content: bytes, kind: type[T], *, what: str, where: str, try_: str) -> T:
    """Return JSON as a value of a type.  Args: what: it is: "a workload".  Raises UsageError."""
    try:
        check_depth(content)
        return msgspec.json.decode(content, type=kind)
    except ERRORS as error:
        raise malformed(error, what=what, where=where, try_=try_) from error


def converted(plain: object, kind: type[T], *, what: str, where: str, try_: str) -> T:
    """Return plain data, as `decode` gives it, as a value of a type.  Raises UsageError."""
    try:
        return msgspec.convert(plain, kind, str_keys=True)
    except ERRORS as error:
        raise malformed(error, what=what, where=where, try_=try_) from error


def malformed(error: Exception, *, what: str, where: str, try_: str) -> UsageError:
    """Return the error for data of another shape."""
    return UsageError(expected=what, got=str(error), where=where, try_=try_)


def decoder(kind: Any) -> Callable[[bytes], Any]:
    """Return a function that decodes many lines of one type; it raises one of `ERRORS`."""
    return msgspec.json.Decoder(kind).decode


def check_depth(content: bytes) -> None:
    """Raise RecursionError if lists and objects are nested too deep."""
    if len(content) <= 2 * DEPTH_MAX or content.count(b"[") + content.count(b"{") <= DEPTH_MAX:
        return
    level: list[Any] = [msgspec.json.decode(content)]
    for _ in range(DEPTH_MAX + 1):
        level = [
            part
            for value in level
            if isinstance(value, (dict, list))
            for part in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise RecursionError(f"lists and objects in each other more than {DEPTH_MAX} deep")
