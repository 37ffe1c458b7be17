"""The text of a failed test: its story, as `mmrace explain` tells it, how it was found, and one line to replay it."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from rich.console import Console

from mmrace.oracles.general.judgement import Finding
from mmrace.report.around import orderings_of
from mmrace.report.numbers import many
from mmrace.report.story import show_telling
from mmrace.runs import functions, kept
from mmrace.runs.minimal import Minimal
from mmrace.runs.store import harness_finding
from mmrace.runtime import files
from mmrace.runtime.record import Record
from mmrace.runtime.visible import one_line
from mmrace.story.tell import NOTHING_OWN, Book, tell

UNEXPLAINED = harness_finding("crash", "a run failed without a finding", None)
WIDTH_MIN = 100  # characters: a table of two tasks fits
OUTCOMES = {kind.__name__: kind for kind in (pytest.skip.Exception, pytest.xfail.Exception)}
"""What a body raises by `pytest.skip()` and `pytest.xfail()`: that is of the test, and no finding."""


def is_outcome(finding: Finding) -> bool:
    """Say whether a finding is an outcome that the test's body asked for."""
    return finding.oracle == "exception" and finding.rule in OUTCOMES


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Put first what was raised in the test: whoever wrote an assert looks for that, and a race may be its cause."""
    return sorted(findings, key=lambda finding: finding.oracle != "exception" or is_outcome(finding))


def others_lines(findings: Sequence[Finding]) -> list[str]:
    """Say what was found beside the finding that a test fails by."""
    others = [finding for finding in findings if not is_outcome(finding)]
    if not others:
        return []
    head = f"and {many(len(others), 'more finding')}:"
    return [head, *(f"  {one_line(finding.title)} [{finding.signature}]" for finding in others)]


def text(
    finding: Finding, record: Record | None, lines: Iterable[str], command: str, minimal: Minimal | None = None
) -> str:
    """Return the text of a failure.

    Args: record: of the run, if there is one.  lines: how it was found.  command: has it again.  minimal: of the
    finding, with that record.
    """
    told = f"{finding.title} [{finding.signature}]\n{finding.oracle}: {finding.rule}"
    if record is not None and record.events:
        told = _story(record, finding.signature, minimal)
    return "\n".join([told, "", *lines, "", f"replay: {command}"])


def report(folder: Path, test: str, finding: Finding, record: Record | None, told: str) -> str:
    """Leave a finding, with its record, in a folder of its own; return a line that says where, or why not.

    Args: test: names it.  told: the text of the failure.
    """
    place = folder / re.sub(r"[^\w.-]+", "_", f"{test}-{finding.signature}").strip("._")
    try:
        place.mkdir(parents=True, exist_ok=True)
        files.write_whole(place / "failure.txt", [told, "\n"])
        if record is None:
            return f"report: {place}, without a record"
        record.write(place / kept.RECORD)
    except OSError as error:
        return f"NO REPORT: {type(error).__name__}: {error}"
    return f"its record: mmrace show {shlex.quote(str(place))}"


def unknown_text(because: str, command: str) -> str:
    """Return the text of a test that shows nothing."""
    return f"UNKNOWN: {because}\n\nrun it again: {command}"


def _story(record: Record, signature: str, minimal: Minimal | None) -> str:
    out = io.StringIO()
    console = Console(file=out, width=max(WIDTH_MIN, shutil.get_terminal_size().columns), no_color=True)
    show_telling(tell(record, signature, _book_of(record), orderings_of(minimal)), console)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _book_of(record: Record) -> Book:
    """Return what tells a record's findings in the words of its program."""
    if record.header.get("maker") == functions.KIND:
        return NOTHING_OWN
    from mmrace.installed import book_of  # noqa: PLC0415  (a function of one's own needs nothing of the kernel)

    return book_of(record)
