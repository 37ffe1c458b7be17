"""What an exception out of a task says of the run: whose it is, and where it was raised.

An exception of the program ends the run as "crash": a result, like a broken rule.  One of mmrace's own ends it as
"abort": what mmrace raises on purpose, what a strategy raised that the task was asking, an assertion of the runtime.
So does Ctrl-C, which is nobody's; a KeyboardInterrupt that the program itself raises is its own like any other.
Invariant: the same schedule tells the same, so addresses in the text are masked; how deep the stack gets is no part of
a schedule, and `repeats` says so.  Not checked: whether the program meant the exception; a task that expects one
catches it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any

from mmrace.runtime.errors import MmraceError
from mmrace.runtime.said import is_interrupt, named, said
from mmrace.runtime.sites import RUNTIME_FILES, qualified_name
from mmrace.runtime.statement import source_at
from mmrace.runtime.task import Task

CRASH, ABORT = "crash", "abort"
ASKED = "mmrace.strategies."  # modules whose code runs inside a point, on behalf of a task
TEXT_MAX = 300  # characters of an exception's text that are kept: a title, not a dump
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+")

Place = tuple[FrameType, int, int]  # a frame, the line in it, and the offset in its code


def end_of(task: Task, error: BaseException, strategy: object = None) -> tuple[str, dict[str, Any]]:
    """Return how a run ends by `error`, which left `task`, and the detail.

    Args: strategy: who chose, if anybody; it may be of a module that mmrace does not know.
    """
    places = list(_places(error.__traceback__))
    if _is_harness(error, places, type(strategy).__module__):
        return ABORT, {"task": task.name, "error": named(error)}
    kind, text = type(error).__name__, _ADDRESS.sub("0x...", said(error))[:TEXT_MAX]
    told = {"task": task.name, "error": f"{kind}: {text}", "type": kind, "text": text}
    return CRASH, {**told, **_where(places)}


def repeats(end: Mapping[str, Any]) -> bool:
    """Say whether the same schedule ends in the same way: not where the stack was full, which others fill too."""
    return end.get("how") != CRASH or end.get("detail", {}).get("type") != RecursionError.__name__


def _places(trace: TracebackType | None) -> Iterator[Place]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno, trace.tb_lasti
        trace = trace.tb_next


def _is_harness(error: BaseException, places: list[Place], strategy_module: str) -> bool:
    if isinstance(error, MmraceError) or is_interrupt(error) or not places:
        return True
    if isinstance(error, RecursionError):  # wherever the stack was full
        return False
    names = [_module(frame) for frame, *_ in places]
    if any(name.startswith(ASKED) or name == strategy_module != "builtins" for name in names):
        return True
    return isinstance(error, AssertionError) and _is_runtime(places[-1])


def _where(places: list[Place]) -> dict[str, Any]:
    """Return the innermost place in the program; if there is none in its own files, the innermost of all."""
    outside = [place for place in places if not _is_runtime(place)]
    own = [place for place in outside if not place[0].f_code.co_filename.startswith(_STANDARD)]
    frame, line, lasti = (own or outside or places)[-1]
    code = frame.f_code
    return {
        "function": qualified_name(code),
        "file": os.path.basename(code.co_filename),
        "line": line,
        "source": source_at(frame, lasti, line)[:TEXT_MAX],
    }


def _is_runtime(place: Place) -> bool:
    frame = place[0]
    return frame.f_code.co_filename in RUNTIME_FILES or _module(frame).startswith(ASKED)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
