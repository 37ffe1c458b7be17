"""A table of a story as a picture: a lane for each task, time going down, locks as bars, orders that matter as arrows.

Here is only where everything stands, in the units of the picture; the template draws it.  Invariant: no text is longer
than its lane is wide, a bar lies in the lane of the task that holds its lock, and rows do not overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap

from mmrace.runtime.visible import one_line
from mmrace.story.facts import Row, Table

LINE = 15.0  # from a line of text to the next, in units; text is 11 high
CHARACTER = 6.7  # of a fixed-width font of that height
NUMBERS = 64.0  # the room at the left for steps
PAGE_CHARACTERS = 116  # of all lanes together, as the page is wide
LANE_CHARACTERS = (30, 52)  # of one lane, at least and at most
LANES_MAX = 6  # more tasks than that are no picture any more
ROWS_MAX = 60
BAR = 7.0
BAR_GAP = 3.0
PAD = 6.0
BEND = 40.0
ENDS = re.compile(r"(?P<first>\d+)<|>(?P<second>\d+)")
"""In a row's `causal`: the orderings that it is the first end of, "3<", and the second, ">3"."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text.  `kind`: head, call, op, named, ghost, why, step."""

    x: float
    y: float
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A lock that is held, from one height to another.  `broken`: it was let go by somebody else than its holder."""

    x: float
    top: float
    bottom: float
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """The ground under the texts of one row.  `kind`: op, named or ghost."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """An order that matters, from first step to second.  `label`: its number.  `bend`: how far it runs level."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str
    bend: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing and its size.  `cut`: how many rows it leaves out at its begin."""

    width: float
    height: float
    lanes: tuple[float, ...]
    lines: tuple[Line, ...]
    bars: tuple[Bar, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    about: str
    cut: int = 0

    @property
    def broken(self) -> bool:
        """Whether somebody lets go of what another one holds."""
        return any(bar.broken for bar in self.bars)


def picture_of(table: Table, title: str) -> Picture | None:
    """Return the picture of a table; None if it has no rows, or more tasks than fit beside each other."""
    if not table.rows or not table.tasks or len(table.tasks) > LANES_MAX:
        return None
    return _Drawing(table, title).picture()


class _Drawing:
    """Places row after row."""

    def __init__(self, table: Table, title: str) -> None:
        self.table, self.title = table, title
        self.rows = table.rows[-ROWS_MAX:]
        self.locks = {task: self._locks_of(task) for task in table.tasks}
        self.text_at: dict[str, float] = {}
        self.lane_at: dict[str, float] = {}
        least, most = LANE_CHARACTERS
        self.characters = max(least, min(most, PAGE_CHARACTERS // len(table.tasks)))
        self.lane_width = self.characters * CHARACTER + 2 * PAD
        x = NUMBERS
        for task in table.tasks:
            self.lane_at[task] = x
            self.text_at[task] = x + len(self.locks[task]) * (BAR + BAR_GAP) + PAD
            x = self.text_at[task] + self.lane_width + PAD
        self.width = x
        self.lines: list[Line] = []
        self.bars: list[Bar] = []
        self.boxes: list[Box] = []
        self.ends: dict[str, dict[str, tuple[float, float]]] = {}
        self.calls: dict[str, str] = {}
        self.open: dict[tuple[str, int], float] = {}
        self.y = 0.0

    def _locks_of(self, task: str) -> list[int]:
        held = [number for row in self.rows for number in row.held.get(task, ())]
        held += [row.drops for row in self.rows if row.dropped == task and row.drops is not None]
        return list(dict.fromkeys(held))

    def picture(self) -> Picture:
        """Return it."""
        self.y = LINE
        for task in self.table.tasks:
            self._say(self.text_at[task], one_line(task), "head")
        self.y += 1.6 * LINE
        for row in self.rows:
            self._row(row)
        for (task, number), top in self.open.items():
            self.bars.append(Bar(self._bar_at(task, number), top, self.y))
        lanes = tuple(self.lane_at[task] - PAD for task in self.table.tasks)
        about = f"{self.title}: {len(self.rows)} rows, a lane for each of {', '.join(map(one_line, self.table.tasks))}"
        return Picture(
            round(self.width, 1),
            round(self.y + LINE, 1),
            lanes,
            tuple(self.lines),
            tuple(self.bars),
            tuple(self.boxes),
            tuple(self._arrows()),
            about,
            len(self.table.rows) - len(self.rows),
        )

    def _row(self, row: Row) -> None:
        task = row.task if row.task in self.text_at else self.table.tasks[0]
        kind = "ghost" if row.step is None else "named" if row.named else "op"
        if row.call and self.calls.get(task) != row.call:
            self.calls[task] = row.call
            self._paragraph(task, row.call, "call")
        for text in row.since:
            self._paragraph(task, f"({text})", "why")
        top, x = self.y, self.text_at[task]
        step = "?" if row.step is None else str(row.step)
        self._say(NUMBERS - PAD - len(step) * CHARACTER, step, "step")
        times = f" (*{row.times}, to step {row.until})" if row.times > 1 else ""
        self._paragraph(task, row.text + times, kind)
        middle = (top + self.y) / 2 - LINE * 0.75
        if row.why:
            self._paragraph(task, row.why, "why")
        self.boxes.append(Box(x - PAD / 2, round(top - LINE * 0.8, 1), self.lane_width, self.y - top + 2.0, kind))
        if row.leaves:
            self._paragraph(task, f"~ {row.leaves}", "why")
        self._locks(row, top - LINE * 0.8, self.y - LINE * 0.7)
        for end in ENDS.finditer(row.causal):
            self.ends.setdefault(end[0].strip("<>"), {})[str(end.lastgroup)] = (x, middle)
        self.y += LINE * 0.4

    def _locks(self, row: Row, top: float, bottom: float) -> None:
        """Open the bars of locks that are held from this row on, close those that are not any more."""
        for task in self.table.tasks:
            now = row.held.get(task, ())
            for number in now:
                self.open.setdefault((task, number), top)
            if row.dropped == task and row.drops is not None and row.drops not in now:
                self.open.setdefault((task, row.drops), top)  # taken and let go between two rows
            for number in [number for held, number in self.open if held == task and number not in now]:
                begun = self.open.pop((task, number))
                broken = number == row.drops and row.task != task
                self.bars.append(Bar(self._bar_at(task, number), begun, bottom, broken))

    def _bar_at(self, task: str, number: int) -> float:
        return self.lane_at[task] + self.locks[task].index(number) * (BAR + BAR_GAP)

    def _paragraph(self, task: str, text: str, kind: str) -> None:
        for line in wrap(one_line(text), self.characters, break_on_hyphens=False) or [""]:
            self._say(self.text_at[task], line, kind)
            self.y += LINE

    def _say(self, x: float, text: str, kind: str) -> None:
        shown = text if len(text) <= self.characters else f"{text[: self.characters - 1]}…"
        self.lines.append(Line(round(x, 1), round(self.y, 1), shown, kind))

    def _arrows(self) -> Iterator[Arrow]:
        for number, ends in self.ends.items():
            if len(ends) > 1:
                (x1, y1), (x2, y2) = ends["first"], ends["second"]
                room = self.lane_width - PAD
                right = x2 > x1
                yield Arrow(
                    round(x1 + (room if right else 0), 1),
                    round(y1, 1),
                    round(x2 - PAD if right else x2 + room, 1),
                    round(y2, 1),
                    number,
                    BEND if right else -BEND,
                )
