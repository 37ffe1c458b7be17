"""Tables that fit: no word is broken, however narrow the console.

A table that is too wide has its texts wrapped between words; if that is not enough, what remains of its columns comes
in a further table below, beside the first column again.  Invariant: every cell is printed.  Only a word that is longer
than the console is wide is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

COMFORT = 20  # characters: a text that is wrapped to less is hard to read
EASE = 44  # characters: what is longer waits until every other text has that much


def print_table(console: Console, table: Table) -> None:
    """Print a table of `report.terminal.table`, in as many parts as it needs."""
    measured = [_measured(console, table, i) for i in range(len(table.columns))]
    for number, columns in enumerate(_parts(table, measured, console.width)):
        part = _part(table, columns, again=number > 0)
        _set(part, _widths(table, [measured[i] for i in columns], console.width))
        console.print(part)


def fit(console: Console, table: Table) -> bool:
    """Give the columns of a table widths in which it fits; say whether no word is broken so."""
    measured = [_measured(console, table, i) for i in range(len(table.columns))]
    widths = _widths(table, measured, console.width)
    _set(table, widths)
    return all(width >= word for width, (word, _) in zip(widths, measured, strict=True))


def _set(table: Table, widths: Sequence[int]) -> None:
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width


def _measured(console: Console, table: Table, i: int) -> tuple[int, int]:
    """Return the least width in which no word of a column is broken, and the width in which no line is."""
    column = table.columns[i]
    cells = [console.render_str(str(cell)) for cell in (column.header, *column.cells)]
    sizes = [Measurement.get(console, console.options.update(width=10_000), cell) for cell in cells]
    return max(size.minimum for size in sizes), max(size.maximum for size in sizes)


def _frame(table: Table, columns: int) -> int:
    """Return how many characters of a line are no text: ends, and what is between two columns."""
    return 2 * (columns - 1) if table.box is None else 2 + 3 * (columns - 1)


def _comfortable(size: tuple[int, int]) -> int:
    word, line = size
    return max(word, min(line, COMFORT))


def _parts(table: Table, measured: Sequence[tuple[int, int]], width: int) -> Iterator[list[int]]:
    """Yield the columns of each part: the first, and as many as fit beside it."""
    part = [0]
    for i in range(1, len(measured)):
        wanted = [*part, i]
        if len(part) > 1 and sum(_comfortable(measured[k]) for k in wanted) + _frame(table, len(wanted)) > width:
            yield part
            part = [0, i]
        else:
            part = wanted
    yield part


def _part(table: Table, columns: Sequence[int], *, again: bool) -> Table:
    """Return a table of some columns of a table."""
    part = Table(
        title=f"{table.title}, continued" if again else table.title,
        title_justify=table.title_justify,
        title_style=table.title_style,
        box=table.box,
        pad_edge=table.pad_edge,
    )
    for column in (table.columns[i] for i in columns):
        part.add_column(column.header, justify=column.justify, overflow="fold")
    rows = zip(*(table.columns[i].cells for i in columns), strict=True)
    for cells, row in zip(rows, table.rows, strict=True):
        part.add_row(*cells, end_section=row.end_section)
    return part


def _widths(table: Table, measured: Sequence[tuple[int, int]], width: int) -> list[int]:
    """Share a line out: to each column its comfort, if that is there, and what is left to whoever has to wrap most."""
    room = width - _frame(table, len(measured))
    widths = [_comfortable(size) for size in measured]
    if sum(widths) > room:
        widths = [word for word, _ in measured]
    spare = room - sum(widths)
    for bound in (EASE, width):
        lines = [min(line, bound) for _, line in measured]
        while spare > 0 and any(line > had for line, had in zip(lines, widths, strict=True)):
            needs = [line / had for line, had in zip(lines, widths, strict=True)]
            widths[needs.index(max(needs))] += 1
            spare -= 1
    while spare < 0 and max(widths) > 1:  # a word that is longer than all there is
        widths[widths.index(max(widths))] -= 1
        spare += 1
    return widths
