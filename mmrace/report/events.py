"""The events of a record as text: one line an op, a column a task, time downwards.

Works from the record alone.  Ops on objects that nobody asked about can be left out; what is shown is never reordered.
Not here: the words of an event (`runtime/wording.py`); minimal schedules, causal orderings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import NOTE, SHIFT
from mmrace.runtime.record import Record
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import deed_text, plain


def rows(
    record: Record, objects: Iterable[str], last: int | None, first: int | None = None
) -> Iterator[tuple[int, str, str, str]]:
    """Yield (index, task, what, site) of the wanted events.

    Args: objects: parts of object names, any of which must occur in an op's object or a note's facts; empty: all
    events.  last: only so many, from the end; with `first`, so many from that event on.
    """
    wanted = list(objects)
    sites = record.sites
    found: list[tuple[int, str, str, str]] = []
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
    """Print the wanted events, one column for each task that has any."""
    chosen = list(rows(record, objects, last, first))
    if not chosen:
        raise UsageError(
            expected="events of the record",
            got=", ".join(objects) or (f"none from {first} on" if first is not None else "a record without events"),
            where="--object, --from",
            try_="a part of a name that `mmrace show` prints without --object",
        )
    tasks = list(dict.fromkeys(task for _, task, _, _ in chosen))
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("event", justify="right")
    for task in tasks:
        table.add_column(escape(task), overflow="fold")
    table.add_column("where", overflow="fold")
    for i, task, what, site in chosen:
        table.add_row(str(i), *(escape(what) if task == column else "" for column in tasks), escape(site))
    console.print(table)
