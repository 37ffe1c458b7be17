"""Which statement of a program an instruction is of, as its source reads: what stays when all around it is edited.

Of a compound statement (`if`, `for`, `with`) it is the expression in its head.  Invariant: one line, the same on every
Python version that has instruction positions (3.11+), wherever in the statement these place an exception.  Not here:
values, which differ from run to run.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import cache
from types import CodeType, FrameType

from mmrace.runtime.sites import tree_of


def source_at(frame: FrameType, lasti: int, line: int) -> str:
    """Return the source of the statement at an offset of a frame's code; of its line, if nobody knows columns."""
    return _source(frame.f_code, lasti) or linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()


@cache
def _source(code: CodeType, lasti: int) -> str:
    positions = list(code.co_positions())
    line, _, column, _ = positions[lasti // 2] if 0 <= lasti // 2 < len(positions) else (None,) * 4
    linecache.checkcache(code.co_filename)
    tree = tree_of(code.co_filename)
    if tree is None or line is None or column is None:
        return ""
    around = [part for part in _parts(tree) if _start(part) <= (line, column) < _end(part)]
    if not around:
        return ""
    part = max(around, key=_start)
    lines = [text.encode() for text in linecache.getlines(code.co_filename)[part.lineno - 1 : part.end_lineno]]
    if not lines:
        return ""
    lines[-1] = lines[-1][: part.end_col_offset]
    lines[0] = lines[0][part.col_offset :]
    return " ".join(b"".join(lines).decode(errors="replace").split())


def _parts(tree: ast.Module) -> Iterator[ast.stmt | ast.expr]:
    """Yield the simple statements, and the expressions in the heads of compound ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.withitem):
            yield node.context_expr
        elif isinstance(node, ast.stmt):
            compound = hasattr(node, "body") or isinstance(node, ast.Match)
            heads = (child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
            yield from heads if compound else (node,)


def _start(part: ast.stmt | ast.expr) -> tuple[int, int]:
    return part.lineno, part.col_offset


def _end(part: ast.stmt | ast.expr) -> tuple[int, int]:
    return part.end_lineno or part.lineno, part.end_col_offset or part.col_offset
