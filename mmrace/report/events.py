"""The events of a record as text: one line an op, a column a task, time downwards.

Works from the record alone.  Ops on objects that nobody asked about can be left out; what is shown is never reordered.
Not here: the words of an event (`runtime/wording.py`); minimal schedules, causal orderings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.report.columns import fit
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, SHIFT
from mmrace.runtime.record import Record
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import deed_text, plain

Row: TypeAlias = tuple[int, str, str, str]
"""Index, task, what, site."""


def rows(record: Record, objects: Iterable[str], last: int | None, first: int | None = None) -> Iterator[Row]:
    """Yield (index, task, what, site) of the wanted events.

    Args: objects: parts of object names, any of which must occur in an op's object or a note's facts; empty: all
    events.  last: only so many, from the end; with `first`, so many from that event on.
    """
    wanted = list(objects)
    sites = record.sites
    found: list[Row] = []
    for i, event in enumerate(record.events):
        task, op, _, facts = event
        name = " ".join(str(plain(fact)) for fact in facts) if op == NOTE else record.lane_name(op >> SHIFT)
        if not wanted or any(part in name for part in wanted):
            site = (sites[i] or "") if i < len(sites) else ""
            found.append((i, one_line(record.task_name(task)), deed_text(event, record), one_line(site)))
    if first is not None:
        found = [row for row in found if row[0] >= first][:last]
    yield from found[-last:] if last else found


def show_events(
    record: Record, objects: Iterable[str], last: int | None, console: Console, first: int | None = None
) -> None:
    """Print the wanted events, a column for each task that has any; where these do not fit, one for all of them."""
    chosen = list(rows(record, objects, last, first))
    if not chosen:
        raise UsageError(
            expected="events of the record",
            got=", ".join(objects) or (f"none from {first} on" if first is not None else "a record without events"),
            where="--object, --from",
            try_="a part of a name that `mmrace show` prints without --object",
        )
    layouts = [layout(chosen, beside) for layout in (_columns, _one_column) for beside in (True, False)]
    console.print(next((made for made in layouts if fit(console, made)), layouts[-1]))


def _columns(chosen: Sequence[Row], beside: bool) -> Table:
    """A column for each task.  Args: beside: the site has one, too; else it stands below the op."""
    tasks = list(dict.fromkeys(task for _, task, _, _ in chosen))
    table = _table("event", *tasks, *["where"] * beside)
    for i, task, what, site in chosen:
        cells = [_op(what, site, beside) if task == column else "" for column in tasks]
        table.add_row(*map(escape, [str(i), *cells, *[site] * beside]))
    return table


def _one_column(chosen: Sequence[Row], beside: bool) -> Table:
    """One column for the ops of all tasks."""
    table = _table("event", "task", "op", *["where"] * beside)
    for i, task, what, site in chosen:
        table.add_row(*map(escape, [str(i), task, _op(what, site, beside), *[site] * beside]))
    return table


def _op(what: str, site: str, beside: bool) -> str:
    return what if beside or not site else f"{what}\nat {site}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(escape(column), overflow="fold", justify="right" if column == "event" else "left")
    return table
