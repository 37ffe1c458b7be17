"""`mmrace explain`: the story of a finding, from its file alone."""

from __future__ import annotations

import shlex

import click

from mmrace import installed
from mmrace.cli import sources, terminal
from mmrace.report.around import around_of, orderings_of
from mmrace.report.mermaid import diagram
from mmrace.report.story import show_story
from mmrace.report.terminal import say
from mmrace.runs.minimal import MINIMAL
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.selection import steps_named
from mmrace.story import highlights
from mmrace.story.tell import tell


@click.command(short_help="Why a run failed: one sentence, and the few events that explain it.")
@sources.file
@click.option("--finding", metavar="SIGNATURE", default="", help="Of several findings of FILE, this one.")
@click.option(
    "--all", "whole", is_flag=True, help="Every event of the tasks that take part, after set-up, not only some 25."
)
@click.option("--mermaid", is_flag=True, help="Print a sequence diagram of its events instead, for a mail or an issue.")
def explain(file: str, finding: str, whole: bool, mermaid: bool) -> None:
    """Print the story of a finding of FILE: its cause in one sentence, what was expected and seen, who did what when.

    FILE is a record, a minimal file, or the folder of a finding; where a folder has a minimal file, that is told. The
    table has time down and a column for each task that takes part: the events that the finding names, and those that
    they depend on, with the locks that each task holds as bars. Nothing is run again.
    """
    source = sources.opened(file)
    minimal = source.minimal
    record = source.record if minimal is None else minimal.record
    signature = finding or source.signature
    if minimal is not None and finding and finding != minimal.signature:
        minimal, record = None, source.record  # another finding than the one that was minimised
    book = installed.book_of(record)
    story = tell(record, signature, book, orderings_of(minimal), whole=whole)
    steps = [row.step for row in story.table.rows if row.step is not None]
    if mermaid:
        found = highlights.of_steps(record, steps, steps_named(record, signature), minimal)
        terminal.show_lines(diagram(record, found, f"{story.title} [{story.signature}]"))
        return
    console = terminal.console()
    show_story(story, around_of(record, minimal, file, source.folder), console)
    ops = [step for step in steps if record.events[step][1] != NOTE]
    if ops and record.masks:
        path = str(source.folder / MINIMAL) if minimal is not None and source.folder is not None else source.path
        say(console, f"  to stop there: {shlex.join(['mmrace', 'replay', path, '--break-at', str(ops[-1])])}")
