"""The events of a record as text: one line an op, a column a task, time downwards.

Works from the record alone.  Ops on objects that nobody asked about can be left out; what is shown is never reordered.
Not here: minimal schedules, causal orderings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record

GLYPHS = {Kind.READ: "➜", Kind.TEST: "➜", Kind.COUNT: "➜", Kind.LOAD: "➜"}


def outcome(kind: Kind, a: object, b: object) -> str:
    """Say what an op did: reads as `➜ value`, writes as `= new (was old)`, tries by their success."""
    if kind in GLYPHS:
        return f"➜ {a}"
    if kind in (Kind.WRITE, Kind.STORE):
        return f"= {b} (was {a})"
    if kind in (Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR, Kind.SET, Kind.CLEAR):
        return "was set" if a else "was clear"
    if kind in (Kind.GET, Kind.PUT):
        return f"{a} ➜ {b}"
    if kind == Kind.GET_UNLESS_ZERO:
        return f"{a} ➜ {b}" if b else f"{a}: refused, count is 0"
    if kind == Kind.FREEZE:
        return f"{a} ➜ 0" if b else f"refused, count is not {a}"
    if kind == Kind.UNFREEZE:
        return f"= {a}" + (f", {b} dropped" if b else "")
    if kind == Kind.TRY:
        return "taken" if a else "busy"
    return "" if a is None else str(a)


def rows(
    record: Record, objects: Iterable[str], last: int | None, first: int | None = None
) -> Iterator[tuple[int, str, str, str]]:
    """Yield (index, task, what, site) of the wanted events.

    Args: objects: parts of object names, any of which must occur in an op's object or a note's facts; none: all.
    last: only so many, from the end; with `first`, so many from that event on.
    """
    wanted = list(objects)
    sites = record.sites
    found: list[tuple[int, str, str, str]] = []
    for i, (task, op, a, b) in enumerate(record.events):
        if op == NOTE:
            facts = " ".join(str(record.name(fact)) for fact in b)
            what, name = f"-- {a} {facts}", facts
        else:
            name = record.lane_name(op >> SHIFT)
            kind = Kind(op & KIND_MASK)
            what = f"{kind.name.lower()} {name} {outcome(kind, record.name(a), record.name(b))}".rstrip()
        if not wanted or any(part in name for part in wanted):
            found.append((i, record.task_name(task), what, (sites[i] or "") if i < len(sites) else ""))
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
