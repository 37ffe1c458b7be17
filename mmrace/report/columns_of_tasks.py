"""A table of a story as lines of text: time down, a column for each task, locks as bars.

In a column a bar begins where its task takes a lock and ends where that is let go, so that what overlaps is seen; above
ops of another function than the ops before stands its name.  Where the columns of all tasks do not fit, one column has
the ops of all of them, each with its task's name.  Invariant: no line is wider than it may be, unless a word is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import wrap

from mmrace.runtime.wording import ARROW
from mmrace.story.facts import Row, Table

COLUMN_MIN = 27
"""Characters: narrower columns break names."""
NOTE_MIN = 30
"""Characters of a column for what each row is there for; where there is no room, that stands below the op."""
COLUMN_EASE = 42  # a column that wide needs no more
GAP = 2


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What lines are drawn with."""

    bar: str = "│"
    opens: str = "┌"
    closes: str = "└"
    broken: str = "┘"
    times: str = "*"
    arrow: str = ARROW


PLAIN = Glyphs("|", "+", "+", "x", "*", "->")
FINE = Glyphs()


def glyphs_for(encoding: str) -> Glyphs:
    """Return what an encoding can show."""
    try:
        "".join((FINE.bar, FINE.opens, FINE.closes, FINE.broken, FINE.times, FINE.arrow)).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return FINE


class _Slots:
    """In which place of its task's column each lock has its bar."""

    def __init__(self, table: Table) -> None:
        self.place: dict[tuple[str, int], int] = {}
        self.width: dict[str, int] = dict.fromkeys(table.tasks, 0)
        live: dict[str, dict[int, int]] = {}
        for row in table.rows:
            for task in table.tasks:
                mine = live.setdefault(task, {})
                wanted = row.held.get(task, ())
                if row.dropped == task and row.drops is not None and row.drops not in mine:
                    wanted = (*wanted, row.drops)  # taken and let go between two rows
                for number in [number for number in mine if number not in wanted]:
                    del mine[number]
                for number in wanted:
                    if number not in mine:
                        mine[number] = next(i for i in range(len(mine) + 1) if i not in mine.values())
                        self.place[task, number] = mine[number]
                        self.width[task] = max(self.width[task], mine[number] + 1)


@dataclass(slots=True)
class _Drawing:
    table: Table
    slots: _Slots
    glyphs: Glyphs
    before: Mapping[str, tuple[int, ...]]

    def bars(self, task: str, row: Row, first: bool) -> str:
        """Return the bars of a task's column beside a row."""
        width = self.slots.width[task]
        if not width:
            return ""
        signs = [" "] * width
        now, before = row.held.get(task, ()), self.before.get(task, ())
        gone = {row.drops} if row.drops is not None and row.dropped == task else set()
        for number in {*now, *before, *gone}:
            place = self.slots.place[task, number]
            if number in now:
                opens = first and number == row.takes and number not in before
                signs[place] = self.glyphs.opens if opens else self.glyphs.bar
            elif first and number == row.drops:
                signs[place] = self.glyphs.closes if row.task == task else self.glyphs.broken
        return "".join(signs) + " "


def lines_of(table: Table, width: int, glyphs: Glyphs, shares: Mapping[int, str] | None = None) -> Iterator[str]:
    """Yield the lines of a table.  Args: shares: step -> how many runs that go on from there still fail."""
    table = _with_shares(table, shares or {})
    numbers = max([5, *(len(_number(row)) for row in table.rows)])
    room = width - numbers - GAP
    names = list(table.tasks)
    if room // max(len(names), 1) - GAP < COLUMN_MIN and len(table.aside) < len(names):
        names = [task for task in names if task not in table.aside]
    tasks = len(names)
    wide = room // max(tasks, 1) - GAP
    if tasks > 1 and wide < COLUMN_MIN:
        yield from _one_column(table, width, numbers, glyphs)
        return
    notes = room - tasks * (COLUMN_EASE + GAP)
    if notes >= NOTE_MIN:
        wide = COLUMN_EASE
    else:
        notes, wide = 0, min(wide, 2 * COLUMN_EASE)
    columns = [wide] * tasks
    yield _line(f"{'step':>{numbers}}", names, columns, "what it is there for" if notes else "")
    yield from _rows(table, names, numbers, columns, notes, glyphs)


def _rows(
    table: Table, names: Sequence[str], numbers: int, columns: Sequence[int], notes: int, glyphs: Glyphs
) -> Iterator[str]:
    drawing = _Drawing(table, _Slots(table), glyphs, {})
    calls: dict[str, str] = {}
    for row in table.rows:
        if row.task not in names:
            yield from _across(row, numbers, sum(columns) + GAP * len(columns) + notes, glyphs)
            continue
        mine = names.index(row.task)
        inner = columns[mine] - drawing.slots.width[row.task] - 1
        head = []
        if row.call and calls.get(row.task) != row.call:
            head = [(text, False) for text in _wrapped(row.call, inner)]
            calls[row.task] = row.call
        head += [(text, False) for one in row.since for text in _wrapped(f"({one})", inner)]
        texts = [*head, *((f"  {text}", i == 0) for i, text in enumerate(_texts(row, inner - 2, glyphs)))]
        if row.why and not notes:
            texts += [(f"  {text}", False) for text in _wrapped(f"({row.why})", inner - 2)]
        if row.leaves:
            texts += [(text, False) for text in _wrapped(f"~ {row.leaves}", inner)]
        beside = _wrapped(row.why, notes - GAP) if notes and row.why else []
        seen = False
        for i in range(max(len(texts), len(head) + len(beside))):
            text, is_op = texts[i] if i < len(texts) else ("", False)
            seen = seen or is_op
            cells = []
            for k, task in enumerate(names):
                own = k == mine
                bars = drawing.bars(task, row, is_op) if seen else _still(drawing, task)
                cells.append((bars + (text if own else "")).rstrip())
            note = beside[i - len(head)] if 0 <= i - len(head) < len(beside) else ""
            yield _line(f"{_number(row) if is_op else '':>{numbers}}", cells, columns, note)
            if is_op:
                drawing.before = row.held
        drawing.before = row.held


def _across(row: Row, numbers: int, width: int, glyphs: Glyphs) -> Iterator[str]:
    """Yield the lines of a row whose task has no column."""
    why = f" ({row.why})" if row.why else ""
    for i, text in enumerate(_wrapped(f"{row.task}: {row.text}{why}", width - GAP)):
        yield f"{_number(row) if not i else '':>{numbers}}{'':{GAP}}{text}"


def _still(drawing: _Drawing, task: str) -> str:
    """Return the bars of a column before a row has happened."""
    width = drawing.slots.width[task]
    if not width:
        return ""
    signs = [" "] * width
    for number in drawing.before.get(task, ()):
        signs[drawing.slots.place[task, number]] = drawing.glyphs.bar
    return "".join(signs) + " "


def _one_column(table: Table, width: int, numbers: int, glyphs: Glyphs) -> Iterator[str]:
    names = max([4, *(len(task) for task in table.tasks)])
    room = width - numbers - names - 2 * GAP
    yield _line(f"{'step':>{numbers}}", ["task", "what it does"], [names, room], "")
    calls: dict[str, str] = {}
    for row in table.rows:
        if row.call and calls.get(row.task) != row.call:
            calls[row.task] = row.call
            yield from (_line(" " * numbers, [row.task, text], [names, room], "") for text in _wrapped(row.call, room))
        for one in row.since:
            yield from (
                _line(" " * numbers, [row.task, text], [names, room], "") for text in _wrapped(f"({one})", room)
            )
        texts = [f"  {text}" for text in _texts(row, room - 2, glyphs)]
        texts += [f"  {text}" for text in _wrapped(f"({row.why})", room - 2)] if row.why else []
        texts += _wrapped(f"~ {row.leaves}", room) if row.leaves else []
        for i, text in enumerate(texts):
            number = f"{_number(row) if not i else '':>{numbers}}"
            yield _line(number, [row.task if not i else "", text], [names, room], "")


def _texts(row: Row, width: int, glyphs: Glyphs) -> list[str]:
    text = row.text + (f"  ({glyphs.times}{row.times}, to step {row.until})" if row.times > 1 else "")
    return _wrapped(text, width)


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(text, max(width, 8), break_on_hyphens=False) or [""]


def _with_shares(table: Table, shares: Mapping[int, str]) -> Table:
    """Put each share before the marks of its row."""
    rows = [replace(row, causal=f"{shares.get(row.step or -1, '')} {row.causal}".strip()) for row in table.rows]
    return replace(table, rows=tuple(rows)) if shares else table


def _number(row: Row) -> str:
    if row.step is None:
        return "?"
    mark = "* " if row.named else ""
    return f"{row.causal + ' ' if row.causal else ''}{mark}{row.step}"


def _line(number: str, cells: Sequence[str], columns: Sequence[int], note: str) -> str:
    padded = "".join(f"{'':{GAP}}{cell:<{size}}" for cell, size in zip(cells, columns, strict=True))
    return f"{number}{padded}{'':{GAP}}{note}".rstrip()
