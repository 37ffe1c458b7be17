"""Sites: where in the model an op stands, by names that survive edits of other functions.

A site is the function that does the op, the name that it calls or accesses there, and the ordinal of that name among
its like in the function: ``update:bit_lock`` or ``update:x#2``; never a line number.
While a run goes on only code objects and instruction offsets are kept; names are made when somebody reads them.
Invariant: the same source gives the same site names on every Python version that has instruction positions (3.11+).
"""

from __future__ import annotations

import ast
import os
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache, lru_cache
from types import CodeType, FrameType

from mmrace.runtime.fields import FIELD_FILE
from mmrace.runtime.task import Site

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _runtime_files() -> frozenset[str]:
    return frozenset({FIELD_FILE, *(_HERE + name for name in os.listdir(_HERE) if name.endswith(".py"))})


RUNTIME_FILES = _runtime_files()

_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>"})
"""What has a frame of its own up to 3.11 and none later; its ops are said to stand in the function around it."""
_around: dict[int, tuple[CodeType, CodeType]] = {}
"""id of a comprehension that did an op -> itself and the function around it.

By id: comprehensions that read alike are equal, whatever file and function they are of.
"""

NAMED_MAX = 8192  # of sites; the kernel model has some thousand
_named: dict[tuple[int, int, int], tuple[Site, str]] = {}
"""Ids of code and caller, and the offset -> the site, which keeps them alive, and its name."""


def here(depth: int = 2) -> Site | None:
    """Return the innermost site outside the runtime, starting `depth` frames up.

    Costs about 0.2 us: engines call it only where sites are asked for.
    """
    frame: FrameType | None = sys._getframe(depth)
    files = RUNTIME_FILES
    while frame is not None and frame.f_code.co_filename in files:
        frame = frame.f_back
    if frame is None:
        return None
    code, back = frame.f_code, frame.f_back
    if code.co_name in _COMPREHENSIONS and (function := _function(back)) is not None:
        _around[id(code)], back = (code, function.f_code), function.f_back
    if back is not None and back.f_code.co_name in _COMPREHENSIONS:
        back = _function(back)
    if back is None or back.f_code.co_filename in files:
        return (code, frame.f_lasti, None, 0)
    return (code, frame.f_lasti, back.f_code, back.f_lasti)


def qualified_name(code: CodeType) -> str:
    """Return the qualified name of a function, or of the one around a comprehension, the same on every version."""
    parts = [part for part in code.co_qualname.split(".") if part not in _COMPREHENSIONS]
    if parts[-1:] == ["<locals>"]:
        parts.pop()
    return ".".join(parts) or "<module>"


def _function(frame: FrameType | None) -> FrameType | None:
    """Return the innermost frame from `frame` up that is no comprehension's."""
    while frame is not None and frame.f_code.co_name in _COMPREHENSIONS:
        frame = frame.f_back
    return frame


def tree_of(filename: str) -> ast.Module | None:
    """Return a file's syntax tree, as the file is now: it may have been executed anew; None if nobody can read it."""
    try:
        there = os.stat(filename)
    except OSError:
        return None
    return _tree(filename, there.st_mtime_ns, there.st_size)


@lru_cache(maxsize=1024)
def _tree(filename: str, mtime_ns: int, size: int) -> ast.Module | None:
    try:
        with open(filename, encoding="utf-8") as source:
            return ast.parse(source.read())
    except (OSError, SyntaxError):
        return None


def _label(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _label(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    return type(node).__name__.lower()


def _lines(code: CodeType) -> Iterator[int]:
    """Yield the lines of a function, those of the comprehensions in it included."""
    yield code.co_firstlineno
    yield from (line for line, *_ in code.co_positions() if line)
    for inner in code.co_consts:
        if isinstance(inner, CodeType) and inner.co_name in _COMPREHENSIONS:
            yield from _lines(inner)


@lru_cache(maxsize=1024)
def _nodes_of(tree: ast.Module | None) -> tuple[list[ast.Call | ast.Attribute], list[ast.For]]:
    """Return the calls and attribute accesses of a file, by line, and its loops; a walk of its tree, once."""
    nodes = [] if tree is None else list(ast.walk(tree))
    found = [node for node in nodes if isinstance(node, ast.Call | ast.Attribute)]
    return sorted(found, key=_line), [node for node in nodes if isinstance(node, ast.For)]


def _line(node: ast.expr) -> int:
    return node.lineno


@cache
def _names(code: CodeType) -> dict[tuple[int, int, int, int], str]:
    """Map the source span of each call and attribute access in a function to ``name#k``."""
    found, loops = _nodes_of(tree_of(code.co_filename))
    low, high = code.co_firstlineno, max(_lines(code))
    nodes = found[bisect_left(found, low, key=_line) : bisect_right(found, high, key=_line)]
    nodes.sort(key=lambda node: (node.lineno, node.col_offset, -(node.end_lineno or 0), -(node.end_col_offset or 0)))
    seen: dict[str, int] = {}
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    names: dict[tuple[int, int, int, int], str] = {}
    for node in nodes:
        if id(node) in called:
            continue
        label = _label(node)
        seen[label] = count = seen.get(label, 0) + 1
        span = (node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0)
        names[span] = label if count == 1 else f"{label}#{count}"
    for loop in loops:  # some versions place a turn there
        iterated, whole = loop.iter, (loop.lineno, loop.end_lineno or 0, loop.col_offset, loop.end_col_offset or 0)
        span = (iterated.lineno, iterated.end_lineno or 0, iterated.col_offset, iterated.end_col_offset or 0)
        if span in names:
            names[whole] = names[span]
    return names


@lru_cache(maxsize=8192)
def _place(code: CodeType, lasti: int, function: CodeType) -> str:
    """Name an offset in `code`, which is `function` or a comprehension in it."""
    positions = list(code.co_positions())
    span = positions[lasti // 2] if 0 <= lasti // 2 < len(positions) else (None,) * 4
    name = _names(function).get(span)  # type: ignore[arg-type]
    return f"{function.co_name}:{name}" if name else function.co_name


def site_name(site: Site | None) -> str | None:
    """Name a site: ``function:name#k``, after ``caller > `` if a helper of the model did it for somebody."""
    if site is None:
        return None
    code, lasti, caller, _ = site
    key = id(code), lasti, id(caller)  # a hash of a code object is one of all that it holds
    known = _named.get(key)
    if known is None:
        place = _place(code, lasti, _around.get(id(code), (code, code))[1])
        if len(_named) >= NAMED_MAX:
            _named.clear()
        known = _named[key] = site, place if caller is None else f"{caller.co_name} > {place}"
    return known[1]
