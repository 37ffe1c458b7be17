"""The life of an object as text: what it was, then its events in order, with who held it and who kept it alive.

Works from the facts of `story/trail.py`.  What is left out of a long life is said in its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.report.columns import fit
from mmrace.report.events import header_lines
from mmrace.report.numbers import count
from mmrace.report.terminal import say
from mmrace.runtime.record import Record
from mmrace.runtime.selection import Selection
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import deed_text, event_text
from mmrace.story.trail import Deed, Life, Trail

ROWS_MAX = 200
"""Events of a life that are shown unless somebody says how many: its beginning and its end, half each."""
GAP = "..."

Row: TypeAlias = tuple[str, str, str, str, str, str]
"""Event, task, op, who holds the locks, who holds references, site."""


def show_trail(record: Record, trail: Trail, selection: Selection, console: Console) -> None:
    """Print an object's life.  Raises UsageError for a wrong selection."""
    deeds = {deed.step: deed for deed in trail.deeds}
    wanted = selection if selection.placed else replace(selection, last=len(record.events) or 1)
    steps = wanted.steps(record, deeds)
    for line in (*header_lines(record), "", *_head(record, trail)):
        say(console, line)
    console.print()
    shown = [deeds[step] for step in steps]
    rows = list(_rows(record, trail, shown, whole=selection.last is not None))
    layouts = [_table(rows, beside) for beside in (True, False)]
    console.print(next((made for made in layouts if fit(console, made)), layouts[-1]))
    events = sum(deed.times for deed in trail.deeds)
    seen = sum(deed.times for deed in shown)
    part = f"{count(seen)} of its {count(events)} events" if seen < events else f"all of its {count(events)} events"
    say(console, f"{part}; others by --around, --from, --last, --task, --kind")


def _head(record: Record, trail: Trail) -> Iterator[str]:
    """Say in a few lines what became of it."""
    kinds = sorted({entry[0] for entry in trail.lanes.values()})
    lives = [life for life in trail.lives if life.deeds]
    events = sum(deed.times for deed in trail.deeds)
    text = f"{one_line(trail.name)} ({one_line(', '.join(kinds))}): {count(events)} events"
    yield text + (f" in {len(lives)} lives" if len(lives) > 1 else "")
    for number, life in enumerate(lives, 1):
        which = f"life {number}: " if len(lives) > 1 else ""
        yield f"  {which}{_life(record, life, lives[number] if number < len(lives) else None)}"
    for part, holders in _held(trail).items():
        names = ", ".join(f"{name} ({count(times)})" for name, times in holders.items())
        yield f"  {one_line(part)} was held by {one_line(names)}"


def _life(record: Record, life: Life, after: Life | None) -> str:
    """Say how a life began and ended.  Args: after: the next one."""
    begin = life.begun if life.begun is not None else life.deeds[0].step
    first = f"{'born' if life.begun is not None else 'first seen'} at event {begin}"
    first += f" ({event_text(record.events[begin], record)})"
    if life.ended is not None:
        return f"{first}; given back at event {life.ended} ({event_text(record.events[life.ended], record)})"
    end = life.deeds[-1]
    still = f"; last seen at event {end.step} ({event_text(record.events[end.step], record)})"
    if after is not None:
        return (
            first + still + (", before it was allocated" if after.begun is not None else ", then another has its name")
        )
    owners = next((deed.owners for deed in reversed(life.deeds) if deed.owners is not None), None)
    kept = f", with {_owners(owners)}" if owners else ""
    held = ", ".join(f"{part} held by {name}" for part, name in end.held.items())
    return first + still + one_line(kept + (f", {held}" if held else ""))


def _held(trail: Trail) -> dict[str, Counter[str]]:
    """Count who took each lock, how often."""
    found: dict[str, Counter[str]] = {}
    before: dict[str, str] = {}
    for deed in trail.deeds:
        for part, name in deed.held.items():
            if before.get(part) != name:
                found.setdefault(part, Counter())[name] += 1
        before = dict(deed.held)
    return found


def _rows(record: Record, trail: Trail, deeds: Sequence[Deed], *, whole: bool) -> Iterator[Row]:
    """Yield the rows; of a long life its beginning and its end, and what lies between in one."""
    ends = {life.ended for life in trail.lives}
    cut = not whole and len(deeds) > ROWS_MAX
    head = deeds[: ROWS_MAX // 2] if cut else deeds
    for deed in head:
        yield _row(record, trail, deed)
        if deed.step in ends and deed.step != trail.deeds[-1].step:
            yield ("", "", "(another life)", "", "", "")
    if cut:
        left = deeds[ROWS_MAX // 2 : -ROWS_MAX // 2]
        yield (GAP, "", f"{count(sum(deed.times for deed in left))} more events, by --from or --last", "", "", "")
        for deed in deeds[-ROWS_MAX // 2 :]:
            yield _row(record, trail, deed)


def _row(record: Record, trail: Trail, deed: Deed) -> Row:
    event = record.events[deed.step]
    sites = record.sites
    site = (sites[deed.step] or "") if deed.step < len(sites) else ""
    times = f" ({count(deed.times)} times)" if deed.times > 1 else ""
    held = ", ".join(f"{part} by {name}" for part, name in deed.held.items())
    owners = "" if deed.owners is None else _owners(deed.owners)
    text = deed_text(event, record)
    if deed.own:  # whose op it is need not be said in every row
        text = text.replace(f" {one_line(trail.name)}.", " ", 1)
    texts = (record.task_name(event[0]), text + times, held, owners, site)
    task, op, held, owners, site = map(one_line, texts)
    return str(deed.step), task, op, held, owners, site


def _owners(owners: Sequence[tuple[str, str]]) -> str:
    """Name references with those who took them: "3: slot, lru, isolated of migrator"."""
    names = (f"{ref} of {task}" if task else ref for ref, task in owners)
    return f"{len(owners)}: {', '.join(names)}" if owners else "0"


def _table(rows: Sequence[Row], beside: bool) -> Table:
    """Lay out the rows; a column that nobody needs is left out.  Args: beside: the site has a column of its own."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    names = ["event", "task", "op", "held", "references", "where"]
    used = [i for i in range(6) if i < 3 or any(row[i] for row in rows)]
    columns = [i for i in used if i < 5 or beside]
    for i in columns:
        table.add_column(names[i], overflow="fold", justify="right" if i == 0 else "left")
    for row in rows:
        cells = list(row)
        if not beside and row[5]:
            cells[2] = f"{row[2]}\nat {row[5]}"
        table.add_row(*(escape(cells[i]) for i in columns))
    return table
