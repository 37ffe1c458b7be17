"""The text of a failed test: the title, what was found, the last events that led to it, and one line to replay it."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from mmrace.oracles.general.judgement import Finding
from mmrace.report import events
from mmrace.report.finding import waits_lines
from mmrace.runs import kept
from mmrace.runs.store import harness_finding
from mmrace.runtime import files
from mmrace.runtime.record import Record
from mmrace.runtime.visible import one_line

UNEXPLAINED = harness_finding("crash", "a run failed without a finding", None)
UNSAID = frozenset({"step", "times", "text", "task", "function", "file", "line"})
"""Facts that say nothing beside the title and the table."""
EVENTS = 16  # rows of the table: with the lines around them, half a screen
WIDTH_MIN = 100  # characters: a table of two tasks fits


def text(finding: Finding, record: Record | None, lines: Iterable[str], command: str) -> str:
    """Return the text of a failure.

    Args: record: of the run, if there is one.  lines: how it was found.  command: has it again.
    """
    parts = [f"{finding.title} [{finding.signature}]", *(f"  {line}" for line in lines)]
    parts += [f"  oracle {finding.oracle}: {finding.rule}", *(f"  {line}" for line in _facts(finding))]
    if record is not None and record.events:
        parts += ["", _table(record, finding.signature).rstrip()]
    return "\n".join([*parts, "", f"replay: {command}"])


def _facts(finding: Finding) -> list[str]:
    """Return who waits for what, or else the facts that fit on a line: of the others the table has the events."""
    short = {key: fact for key, fact in finding.facts.items() if isinstance(fact, str | int) and key not in UNSAID}
    return waits_lines(finding.facts) or [f"{key}: {one_line(str(fact))}" for key, fact in short.items()]


def report(folder: Path, test: str, finding: Finding, record: Record | None, command: str) -> str:
    """Leave a finding, with its record, in a folder of its own; return a line that says where, or why not."""
    place = folder / re.sub(r"[^\w.-]+", "_", f"{test}-{finding.signature}").strip("._")
    try:
        place.mkdir(parents=True, exist_ok=True)
        files.write_whole(place / "failure.txt", [text(finding, record, [test], command), "\n"])
        if record is None:
            return f"report: {place}, without a record"
        record.write(place / kept.RECORD)
    except OSError as error:
        return f"NO REPORT: {type(error).__name__}: {error}"
    return f"its record: mmrace show {shlex.quote(str(place))}"


def unknown_text(because: str, command: str) -> str:
    """Return the text of a test that shows nothing."""
    return f"UNKNOWN: {because}\n\nrun it again: {command}"


def _table(record: Record, signature: str) -> str:
    out = io.StringIO()
    console = Console(file=out, width=max(WIDTH_MIN, shutil.get_terminal_size().columns), no_color=True)
    events.show_last(record, console, signature, EVENTS)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
