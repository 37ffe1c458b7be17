"""Notes that the content oracle compares across tasks."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Box, Program
from tests.strategies.dpor_programs import played


def _note_write(b: Box) -> None:
    rt.note("write-begin", 1, 0, 7)
    b.words.write(0, 7)
    rt.note("write-end", 1, 0, 7)
    b.words.read(1)


def _note_read(b: Box) -> None:
    b.words.read(1)
    rt.note("read-begin", 1, 0)
    value = b.words.values[0] if b.x else 0  # BUGGY on purpose: from a copy that may be old
    rt.note("read-end", 1, 0, value)


PROGRAMS: dict[str, Program] = {
    "notes": played(_note_write, _note_read),
}
