"""Two records beside each other, as text: what was run, where they part and why, and whether it makes a difference.

Works from the facts of `story/difference.py`.  The first record is A, the second B, wherever a step is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.report.columns import fit
from mmrace.report.events import MARK, header_lines, step_text
from mmrace.report.finding import SCENARIO
from mmrace.report.numbers import count
from mmrace.report.terminal import say
from mmrace.runs import functions
from mmrace.runs.differences import Difference
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.selection import Selection
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import deed_text, event_text
from mmrace.story.difference import Comparison, Drawn, History, Swap, Way
from mmrace.story.parting import Cause, Side

LISTED_MAX = 8  # differences of each sort that are told
ROWS = 24  # events around the parting, unless somebody says which
LETTERS = ("A", "B")
SAME = "the same"
UNEXPLAINED = (
    "their headers say the same of it, so it is nondeterminism (a random number, a clock, an id, the order of a set, "
    "what an earlier run left), or one of the two was changed"
)

Records = tuple[Record, Record]


def show_diff(
    records: Records, names: tuple[str, str], found: Comparison, selections: tuple[Selection, Selection], out: Console
) -> None:
    """Print how two records differ.  Raises UsageError for a wrong selection.

    Args: names: of their files.  selections: of the events of each that are listed.
    """
    rows = _rows(records, found, selections)
    for line in _strangers(records):
        say(out, line)
    for letter, name, record in zip(LETTERS, names, records, strict=True):
        _tell_record(letter, name, record, out)
    for title, differences in (("of what was run", found.program), ("of who chose", found.choice)):
        for line in _header_lines(title, differences):
            say(out, line)
    out.print()
    for line in _parting_lines(records, found):
        say(out, line)
    if rows:
        out.print()
        _table(rows, out)
    out.print()
    for line in _consequences(records, found):
        say(out, line)


def _strangers(records: Records) -> list[str]:
    """Say of two programs that they are no one program: whatever follows is no matter of a schedule."""
    kinds, names = zip(*map(_program, records), strict=True)
    same = functions.same_program(*names) if kinds[0] == functions.KIND else names[0] == names[1]
    if (kinds[0] == kinds[1] and same) or not all(names):
        return []
    named = [f"{letter} is of the {kind} {name}" for letter, kind, name in zip(LETTERS, kinds, names, strict=True)]
    return [one_line(f"not the same program: {', '.join(named)}")]


def _program(record: Record) -> tuple[str, str]:
    """Return the kind of a record's program, and its name, "" if the header has none."""
    header = record.header
    return str(header.get("maker", SCENARIO)), str(header.get("program") or header.get("scenario") or "")


def _tell_record(letter: str, name: str, record: Record, out: Console) -> None:
    what, how, size = header_lines(record)
    say(out, f"{letter}  {one_line(name)}: {what}")
    say(out, f"   {how}")
    verdict = record.verdict.get("verdict", "not judged")
    findings = [f"{f['signature']} {f.get('title', '')}" for f in record.verdict.get("findings", ())]
    more = f" and {count(len(findings) - 1)} more" if len(findings) > 1 else ""
    say(out, one_line(f"   {size}; {verdict}" + (f": {findings[0]}{more}" if findings else "")))


def _header_lines(title: str, differences: Sequence[Difference]) -> list[str]:
    texts = [f"{one_line(d.what)} {one_line(d.recorded)} / {one_line(d.now)}" for d in differences]
    more = [f"{count(len(texts) - LISTED_MAX)} more"] if len(texts) > LISTED_MAX else []
    return [f"headers differ {title}: {'; '.join([*texts[:LISTED_MAX], *more])}"] if texts else []


# -- the parting -------------------------------------------------------------------------------------------------------


def _parting_lines(records: Records, found: Comparison) -> list[str]:
    """Say where they part and why."""
    parting = found.parting
    if parting is None:
        return [f"the two records are {SAME}, event by event"]
    at = f"at event {count(parting.event)}" if parting.event else "at once"
    lines = [f"{SAME} up to there, they part {at}, by {parting.cause}:"]
    lines += [f"  {_side(*row)}" for row in zip(LETTERS, records, parting.sides, strict=True)]
    left, right = (side.enabled for side in parting.sides)
    if left is not None and right is not None and left != right:
        only = [f"{', '.join(sorted({*a} - {*b})) or 'nobody'} only in {x}" for a, b, x in _sets(left, right)]
        lines.append(one_line(f"  who could go on is not the same: {'; '.join(only)}"))
    if parting.cause in (Cause.PROGRAM, Cause.END):
        told = ", ".join(dict.fromkeys(difference.subject for difference in found.program))
        lines.append(f"  what was run differs in {one_line(told)}, see above" if told else f"  {UNEXPLAINED}")
    return lines


def _sets(left: tuple[str, ...], right: tuple[str, ...]) -> list[tuple[tuple[str, ...], tuple[str, ...], str]]:
    return [(left, right, "A"), (right, left, "B")]


def _side(letter: str, record: Record, side: Side) -> str:
    if side.step is None:
        return f"{letter} has ended ({one_line(str(record.end.get('how', 'unknown')))})"
    text = f"{letter} {_step(record, side.step)}"
    return text + (one_line(f"; could go on: {', '.join(side.enabled)}") if side.enabled is not None else "")


def _step(record: Record, step: int) -> str:
    """Name a step by number, name and op."""
    return f"{step_text(record, step)} {event_text(record.events[step], record)}"


# -- what came of it ---------------------------------------------------------------------------------------------------


def _consequences(records: Records, found: Comparison) -> list[str]:
    """Say whether it makes a difference, and which."""
    if found.parting is None:
        return _ends(records)
    if found.same_class:
        what = f"{count(found.moved)} steps stand elsewhere" if found.moved else "what differs is in fixed order"
        text = "one class of interleavings: only independent steps are in another order, so that nothing differs for a"
        return [f"{text} judge ({what})", *_ends(records)]
    lines = ["not one class of interleavings"]
    lines += _listed("conflicting steps in another order", [_swap(records, swap) for swap in found.swaps])
    lines += _listed("values drawn otherwise", [_drawn(records, drawn) for drawn in found.drawn])
    other = [way for way in found.ways if None not in way.events]
    lines += _listed("tasks that go another way because of that, or by themselves", [_way(records, w) for w in other])
    lines += _cut(records, [way for way in found.ways if None in way.events])
    whole = [history for history in found.objects if not _is_cut(records, history)]
    lines += _listed("objects with another history", [_object(records, history) for history in whole])
    if len(whole) < len(found.objects):
        lines.append(f"and {count(len(found.objects) - len(whole))} whose history ends sooner, with its run")
    return [*lines, *_ends(records)]


def _listed(title: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    more = [f"  and {count(len(texts) - LISTED_MAX)} more"] if len(texts) > LISTED_MAX else []
    return [f"{title} ({count(len(texts))}):", *(f"  {text}" for text in texts[:LISTED_MAX]), *more]


def _swap(records: Records, swap: Swap) -> str:
    """Say which of two steps came first in which record."""
    now = f"{_deed(records[0], swap.first)} before {_deed(records[0], swap.second)}"
    if swap.second is None:
        now = f"{_deed(records[0], swap.first)}, and did not come to the other"
    first, second = swap.then
    then = f"{_deed(records[1], first)} after {_deed(records[1], second)}"
    if first is None:
        then = f"{_deed(records[1], second)}, and did not come to the other"
    return f"{one_line(swap.lane)}: A {now}; B {then}"


def _deed(record: Record, step: int | None) -> str:
    if step is None:
        return "nothing"
    return f"{event_text(record.events[step], record)} (event {step})"


def _way(records: Records, way: Way) -> str:
    texts = [
        f"{letter} {_here(record, step)}" for letter, record, step in zip(LETTERS, records, way.events, strict=True)
    ]
    return f"{one_line(way.task)}: {'; '.join(texts)}"


def _here(record: Record, step: int | None) -> str:
    return "nothing more" if step is None else f"{deed_text(record.events[step], record)} (event {step})"


def _cut(records: Records, ways: Sequence[Way]) -> list[str]:
    """Say which tasks one of the runs did not let go on."""
    lines = []
    for i, letter in enumerate(LETTERS):
        names = [way.task for way in ways if way.events[i] is None]
        if names:
            how = records[i].end.get("how", "unknown")
            lines.append(one_line(f"in {letter}, which ended as {how}, these did no more: {', '.join(names)}"))
    return lines


def _object(records: Records, history: History) -> str:
    texts = []
    for letter, record, step in zip(LETTERS, records, history.events, strict=True):
        texts.append(f"{letter} {_deed(record, step) if step is not None else 'nothing more'}")
    return f"{one_line(history.name)} ({one_line(history.cls)}): {'; '.join(texts)}"


def _is_cut(records: Records, history: History) -> bool:
    """Say whether an object's history is only shorter in a run that ended before its time."""
    return any(
        step is None and record.end.get("how") != "finished"
        for record, step in zip(records, history.events, strict=True)
    )


def _drawn(records: Records, drawn: Drawn) -> str:
    texts = [
        f"{letter} {_here(record, step)}" for letter, record, step in zip(LETTERS, records, drawn.events, strict=True)
    ]
    return f"{one_line(drawn.task)}: {'; '.join(texts)}"


def _ends(records: Records) -> list[str]:
    ends = [one_line(str(record.end.get("how", "unknown"))) for record in records]
    return [] if ends[0] == ends[1] else [f"A ended as {ends[0]}, B as {ends[1]}"]


# -- events beside each other ------------------------------------------------------------------------------------------


def _rows(records: Records, found: Comparison, selections: tuple[Selection, Selection]) -> list[list[str]]:
    """Return the rows of both records: those around the parting, unless somebody says which."""
    if found.parting is None and not any(selection.asks for selection in selections):
        return []
    lists: list[list[int]] = []
    errors: list[UsageError] = []
    for record, selection in zip(records, selections, strict=True):
        try:
            lists.append(_steps(record, found, selection))
        except UsageError as error:  # what one record lacks, the other may have
            lists.append([])
            errors.append(error)
    if len(errors) == len(records):
        raise errors[0]
    at = found.parting.event if found.parting else -1
    return [[*_cells(records[0], left, at), *_cells(records[1], right, at)] for left, right in zip_longest(*lists)]


def _steps(record: Record, found: Comparison, selection: Selection) -> list[int]:
    if found.parting is None or (selection.around, selection.first) != (None, None):
        return selection.steps(record)
    at = min(found.parting.event, len(record.events) - 1)
    placed = Selection(
        selection.tasks, selection.kinds, selection.objects, max(0, at), None, selection.last or ROWS, selection.idle
    )
    return placed.steps(record)


def _cells(record: Record, step: int | None, at: int) -> list[str]:
    if step is None:
        return ["", "", ""]
    event = record.events[step]
    mark = f"{MARK} " if step == at else ""
    return [f"{mark}{step}", one_line(record.task_name(event[0])), deed_text(event, record)]


def _table(rows: Sequence[Sequence[str]], out: Console) -> None:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for letter in LETTERS:
        for name in (f"{letter} event", "task", "op"):
            table.add_column(name, overflow="fold", justify="right" if name.endswith("event") else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    fit(out, table)
    out.print(table)
