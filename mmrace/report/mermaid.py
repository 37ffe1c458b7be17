"""A few events of a record as a Mermaid sequence diagram, for a mail or an issue.

A lifeline for each task; each event is a note on it, with its number.  An arrow says that two events met: drawn through
for a causal ordering, dashed for any other.  Invariant: what comes from a record is text and nothing else to Mermaid,
whatever it is: all but plain characters are written as entities, and participants have ids of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mmrace.report.events import MARK
from mmrace.report.numbers import count
from mmrace.runtime.record import Record
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import deed_text
from mmrace.story.highlights import Highlights

TEXT_MAX = 160  # characters of an event's text: a note, not a page
_SPECIAL = re.compile(r"(?i:\be(?=nd\b)|s(?=tyle)|c(?=lassdef))|[^A-Za-z0-9 _.,()=+\-/*!?'|&@:\[\]➜…]")
"""What Mermaid may take for its own: a character that is no plain one, the word "end", what looks like a style."""


def diagram(record: Record, found: Highlights, title: str = "") -> list[str]:
    """Return the lines of a diagram."""
    tasks = [row["id"] for row in record.tasks if any(record.events[step][0] == row["id"] for step in found.steps)]
    lines = ["sequenceDiagram"]
    if title:
        lines.append(f"    title {_text(title)}")
    lines += [f"    participant t{task} as {_text(record.task_name(task))}" for task in tasks]
    return [*lines, *(f"    {line}" for line in _body(record, found, tasks))]


def _body(record: Record, found: Highlights, tasks: list[int]) -> Iterator[str]:
    if len(found.steps) < len(record.events) and tasks:
        over = f"t{tasks[0]},t{tasks[-1]}" if len(tasks) > 1 else f"t{tasks[0]}"
        yield f"Note over {over}: {count(len(found.steps))} of {count(len(record.events))} events, by their numbers"
    for step in found.steps:
        task = record.events[step][0]
        for meeting in found.meetings:
            if meeting.second == step:
                arrow = "->>" if meeting.causal else "-->>"
                lane = _text(meeting.lane) if meeting.lane else "met"
                yield f"t{record.events[meeting.first][0]}{arrow}t{task}: {lane} ({meeting.first})"
        mark = f"{MARK} " if step in found.named else ""
        yield f"Note over t{task}: {mark}{step} {_text(deed_text(record.events[step], record))}"


def _text(text: str) -> str:
    """Return a text that Mermaid shows as it is."""
    plain = one_line(text)
    plain = plain if len(plain) <= TEXT_MAX else f"{plain[:TEXT_MAX]}…"
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", plain).strip() or "?"
