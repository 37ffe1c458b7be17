"""A record as text: what was run, how it ended and what was found; then events, one line an op, a column a task.

Works from the record alone.  Unless somebody says which events, those around the finding are shown, and of a run
without one, the last at which a strategy was asked: not the final sync.  What is shown is never reordered.  Not here:
which events (`runtime/selection.py`) and the words of one (`runtime/wording.py`); minimal schedules, causal orderings.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.report.columns import fit
from mmrace.report.finding import known_as, program_text, variant_of, waits_lines
from mmrace.report.numbers import count
from mmrace.report.terminal import say, style
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.places import name_of
from mmrace.runtime.record import Record
from mmrace.runtime.selection import LAST, Selection, findings_of, last_explored, steps_named
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import deed_text

MARK = "*"
"""Stands before the events that the finding names."""

Row: TypeAlias = tuple[str, str, str, str]
"""Event, task, what, site."""


def show_record(record: Record, selection: Selection, console: Console, signature: str = "", file: str = "") -> None:
    """Print what was run and what was found, then the wanted events.

    Args: signature: of the finding that somebody asks for.  file: to replay.  Raises UsageError for a wrong selection.
    """
    named = steps_named(record, signature)
    steps = chosen(record, selection, named)
    for line in header_lines(record):
        say(console, line)
    _verdict(record, signature, console)
    _events(record, steps, {*named}, console)
    stop = _op_of(record, named) if file and record.masks else None
    if stop is not None:
        say(console, f"to stop there: {shlex.join(['mmrace', 'replay', file, '--break-at', str(stop)])}")
    total = len(record.events)
    marked = f"; {MARK} the finding's own" if {*steps} & {*named} else ""
    part = f"{count(len(steps))} of {count(total)} events, {steps[0]} to {steps[-1]}{marked}"
    say(console, f"{part}; others by --around, --from, --last, --task, --kind, --object")


def _op_of(record: Record, named: Collection[int]) -> int | None:
    """Return the last op that a finding names, or that its task did before the remark that it names."""
    if not named:
        return None
    last = max(named)
    task = record.events[last][0]
    return next((i for i in range(last, -1, -1) if record.events[i][0] == task and record.events[i][1] != NOTE), None)


def show_last(record: Record, console: Console, signature: str, last: int) -> None:
    """Print the last events that led to a finding: of its own tasks, if it names several, and none of a final sync."""
    named = steps_named(record, signature)
    names = {record.task_name(record.events[step][0]) for step in named}
    tasks = sorted(names) if len(names) > 1 else []
    until = max(named, default=len(record.events) - 1)
    end = last_explored(record)
    found = Selection(tasks, last=len(record.events), idle=False).steps(record)
    steps = [step for step in found if step <= until and (end is None or step <= end or step in named)]
    _events(record, (steps or found)[-last:], {*named}, console)


def chosen(record: Record, selection: Selection, named: Collection[int]) -> list[int]:
    """Return the wanted events; unless it says where, those around the ones that the finding names, without idling."""
    if selection.placed:
        return selection.steps(record)
    selection = replace(selection, idle=bool(selection.tasks or selection.kinds or selection.objects))
    if not named:
        end = last_explored(record)
        if end is None:
            return selection.steps(record)
        found = replace(selection, last=len(record.events)).steps(record)
        return ([step for step in found if step <= end] or found)[-LAST:]
    found = replace(selection, around=max(named)).steps(record)
    every = {*replace(selection, last=len(record.events)).steps(record)}
    return sorted({*found, *(step for step in named if step in every)})


def header_lines(record: Record) -> list[str]:
    """Say what was run, how, and how it ended."""
    header = record.header
    maker, name = header.get("maker", "scenario"), header.get("program", header.get("scenario", "a program"))
    given = header.get("given", header.get("params")) or {}
    what = program_text(maker, name, sorted(given.items()), *variant_of(header))
    engine = header.get("engine", "unknown")
    chooser = ("noise", header.get("noise")) if engine == "free" else ("strategy", header.get("strategy"))
    how = f"engine {engine}, {chooser[0]} {chooser[1]}, seed {header.get('seed')}"
    files = header.get("load") or []
    how += f", files {', '.join(map(str, files))}" if files else ""
    end = record.end.get("how", "unknown")
    return [what, how, f"{count(len(record.events))} events of {count(len(record.tasks))} tasks; end: {end}"]


def step_text(record: Record, step: int) -> str:
    """Name a step by its number and, if it has one, its name: "event 12 [writer/update:x/2]"."""
    if step >= len(record.events):
        return "the end of the run"
    place = name_of(record, step)
    return f"event {step}" + (one_line(f" [{place}]") if place is not None else "")


def _verdict(record: Record, signature: str, console: Console) -> None:
    verdict = str(record.verdict.get("verdict", "not judged"))
    console.print(style(verdict), highlight=False)
    for finding in findings_of(record, signature):
        facts = finding.get("facts", {})
        step = facts.get("step")
        where = f", at {step_text(record, step)}" if isinstance(step, int) else ""
        known = finding.get("known", "")
        word = known_as(str(known)) if known else "FINDING"
        say(console, f"{word} {finding['signature']}  {finding.get('title', '')}")
        say(console, f"  oracle {finding.get('oracle', 'unknown')}: {finding.get('rule', 'unknown')}{where}")
        for text in waits_lines(facts):
            say(console, f"  {text}")
    console.print()


def rows(record: Record, steps: Collection[int], named: Collection[int]) -> Iterator[Row]:
    """Yield the rows of events."""
    sites = record.sites
    for step in steps:
        event = record.events[step]
        site = (sites[step] or "") if step < len(sites) else ""
        number = f"{MARK} {step}" if step in named else str(step)
        yield number, one_line(record.task_name(event[0])), deed_text(event, record), one_line(site)


def _events(record: Record, steps: Collection[int], named: Collection[int], console: Console) -> None:
    """Print events, a column for each task that has any; where these do not fit, one for all of them."""
    shown = list(rows(record, steps, named))
    layouts = [layout(shown, beside) for layout in (_columns, _one_column) for beside in (True, False)]
    console.print(next((made for made in layouts if fit(console, made)), layouts[-1]))


def _columns(shown: Sequence[Row], beside: bool) -> Table:
    """A column for each task.  Args: beside: the site has one, too; else it stands below the op."""
    tasks = list(dict.fromkeys(task for _, task, _, _ in shown))
    table = _table("event", *tasks, *["where"] * beside)
    for number, task, what, site in shown:
        cells = [_op(what, site, beside) if task == column else "" for column in tasks]
        table.add_row(*map(escape, [number, *cells, *[site] * beside]))
    return table


def _one_column(shown: Sequence[Row], beside: bool) -> Table:
    """One column for the ops of all tasks."""
    table = _table("event", "task", "op", *["where"] * beside)
    for number, task, what, site in shown:
        table.add_row(*map(escape, [number, task, _op(what, site, beside), *[site] * beside]))
    return table


def _op(what: str, site: str, beside: bool) -> str:
    return what if beside or not site else f"{what}\nat {site}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(escape(column), overflow="fold", justify="right" if column == "event" else "left")
    return table
