"""A record of free threads, done again under control, as text."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console

from mmrace.report.single import show_run
from mmrace.report.terminal import conclude, say
from mmrace.runs.spec import RunResult
from mmrace.search.convert.again import Again

FREE = "a record of free threads, where nobody chose: what they did is done again under control, not replayed"


def made_lines(made: Mapping[str, RunResult], titles: Mapping[str, str]) -> list[str]:
    """Say of each finding of free threads, by signature, what became of it."""
    lines = []
    for signature, run in made.items():
        lines.append(f"{titles[signature]} [{signature}]")
        if run.conversion is not None:
            lines += [f"  {line}" for line in run.conversion.lines()]
    return lines


def conversion_lines(again: Again) -> list[str]:
    """Say what became of each finding of a record, and whether its program is the one that runs now."""
    lines = made_lines(again.made, again.titles)
    if again.models is not None:
        made, now = again.models
        lines.append(f"the record was made by another version of the program ({made}) than runs now ({now})")
    return lines


def show_again(again: Again, console: Console, *, record: str = "") -> None:
    """Print what came of it; the verdict is the last line.  Args: record: where the controlled run was written."""
    say(console, FREE)
    remark = "\n".join(conversion_lines(again))
    if again.result is not None:
        show_run(again.result, console, record=record, remark=remark)
        return
    say(console, remark)
    conclude(console, again.verdict)
