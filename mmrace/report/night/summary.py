"""The night on a terminal: its verdict, the tiles, findings, canaries and what is missing; the page tells the rest.

Invariant: the verdict line is the last one, as of every command.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns import print_table
from mmrace.report.night import shown
from mmrace.report.night.facts import Night, Verdict
from mmrace.report.night.times import when
from mmrace.report.night.verdict import program_text, state_text
from mmrace.report.numbers import count, many, runs, share
from mmrace.report.terminal import conclude, say, style, table

FINDINGS_SHOWN = 20
MARKS_SHOWN = 20
DAMAGE_SHOWN = 5


def show(night: Night, verdict: Verdict, console: Console) -> None:
    """Print the summary of a night."""
    if night.since is not None:
        say(console, f"night of {when(night.since)} to {when(night.until)} UTC, store {night.store}: {night.chosen}")
    else:
        say(console, f"store {night.store}: {night.chosen}")
    _programs(night, console)
    _canaries(night, console)
    _findings(night, console)
    _missing(night, console)
    for text in verdict.rests:
        say(console, f"rests on: {text}")
    for text in verdict.because:
        say(console, f"because: {text}")
    conclude(console, verdict.word, f"  {verdict.sentence}")


def _programs(night: Night, console: Console) -> None:
    if not night.programs:
        return
    columns = ("program", "engine", "runs", "ops", "pass", "fail", "unknown", "classes", "next run new")
    printed = table("programs", *columns, numbers=True)
    for program in night.programs:
        counted, classes = program.counted, program.classes
        printed.add_row(
            escape(program_text(program)),
            program.engine,
            *map(count, (counted.runs, counted.ops, counted.passed, counted.failed, counted.unknown)),
            shown.met(classes),
            shown.percent(classes.next_new if classes is not None else None),
        )
    print_table(console, printed)


def _canaries(night: Night, console: Console) -> None:
    rows = [(canary, trial) for canary in night.canaries for trial in canary.tonight]
    if not rows:
        return
    printed = table("canaries (planted bugs)", "canary", "oracle", "found after", "twin passed", "before", numbers=True)
    for canary, trial in rows:
        found = shown.found_after(trial)
        twin = f"{count(trial.twin_runs - trial.twin_failed)} of {count(trial.twin_runs)}"
        found = style("FAIL", found) if trial.missed else found
        printed.add_row(escape(canary.name), escape(canary.oracle), found, twin, shown.trend(canary))
    print_table(console, printed)


def _findings(night: Night, console: Console) -> None:
    tonight = [finding for finding in shown.tonight(night) if finding.fails]
    for finding in tonight[:FINDINGS_SHOWN]:
        say(console, f"{state_text(finding)}: {finding.title} [{finding.signature}]")
        often = f"tonight in {count(finding.tonight)} of {runs(finding.of)}, chance {shown.percent(finding.rate)} a run"
        seen = f"first seen {when(finding.first_when)}, last {when(finding.last_when)}"
        say(console, f"  {program_text(finding)}, oracle {finding.oracle}; {often}; {seen}")
        if finding.story.cause:
            say(console, f"  why: {finding.story.cause}")
        for command in finding.commands:
            say(console, f"  repeat: {command}")
    if len(tonight) > FINDINGS_SHOWN:
        say(console, f"and {many(len(tonight) - FINDINGS_SHOWN, 'more finding')} (--html FILE has them)")
    if others := shown.not_tonight(night):
        say(console, f"{many(len(others), 'other finding')} of this store, which no run of this night had")
    expected = sum(bool(finding.known) for finding in shown.tonight(night))
    if expected:
        say(console, f"{many(expected, 'finding')} of what is written down as expected (--html FILE has them)")
    for fault in night.expected:
        say(console, f"expected: {fault.row}, seen in {count(fault.seen)} of {runs(fault.of)}; it fails nothing")


def _missing(night: Night, console: Console) -> None:
    missed = night.marks.missed
    if missed:
        say(
            console,
            f"marks reached: {count(len(night.marks.reached))}; expected and never reached: {count(len(missed))}",
        )
        for mark in missed[:MARKS_SHOWN]:
            say(console, f"  never reached: {mark}")
        if len(missed) > MARKS_SHOWN:
            say(console, f"  and {count(len(missed) - MARKS_SHOWN)} more")
    for refused in night.refused:
        reasons = ", ".join(f"{reason} {count(times)}" for reason, times in refused.reasons)
        of = ""
        if refused.tried is not None:
            of = f", {share(sum(times for _, times in refused.reasons), refused.tried)} of {count(refused.tried)}"
        say(console, f"{refused.what} refused{of}: {reasons}")
    for campaign in night.campaigns:
        for how, times in campaign.losses.items():
            say(console, f"campaign {campaign.name} lost workers: {how} ({times})")
        for trouble in campaign.troubles[:DAMAGE_SHOWN]:
            say(console, f"campaign {campaign.name} had trouble: {trouble}")
    for text in night.damage[:DAMAGE_SHOWN]:
        say(console, f"could not be read: {text}")
