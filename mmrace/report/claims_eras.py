"""The claims over the eras: one table with a column for each era, below it what changes, and what shows that.

Invariant: everything comes from the `Across`; a change always stands beside its witness, or the count that it rests on.
"""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.markup import escape

from mmrace.claims.across import Across, Change
from mmrace.claims.judges import Part
from mmrace.claims.programs import repeat_command
from mmrace.claims.result import NOT_TESTED, ClaimsResult
from mmrace.report.claims import FAILURES_SHOWN_MAX
from mmrace.report.columns import print_table
from mmrace.report.numbers import count, duration, runs
from mmrace.report.terminal import TROUBLES_SHOWN_MAX, interrupted, say, say_lost, style, table

CHANGED, BROKEN = "*", "!"


def show(across: Across, console: Console, *, quiet: bool = False) -> None:
    """Print the table, the changes, what went wrong and the last line; `quiet`: no changes."""
    _table(across, console)
    if not quiet:
        for change in across.changes:
            _change(across, change, console)
    for era, result in across.results.items():
        _what_was_not_to_be(era, result, console)
    say(console, _last(across))


def _table(across: Across, console: Console) -> None:
    shown = table("claims of exclusion, era by era", "claim", "in short", *across.eras)
    changed = {(change.part.name, change.after) for change in across.changes}
    for part in across.parts:
        cells = []
        for era, result in across.results.items():
            sign = BROKEN if part in result.broken else CHANGED if (part.name, era) in changed else ""
            cells.append(style("BROKEN" if sign == BROKEN else result.verdict(part), cell_of(result, part) + sign))
        shown.add_row(part.name, escape(part.says), *cells)
    print_table(console, shown)
    say(console, f"{CHANGED} another verdict than in the era before   {BROKEN} against what the era's source says")


def cell_of(result: ClaimsResult, part: Part) -> str:
    """Write what one era says of a part, with the instances that it rests on."""
    word, tested, times = result.verdict(part), count(result.tested(part)), count(result.times(part))
    if word == NOT_TESTED:
        return "cannot be asked" if result.expected(part) == "nothing" else NOT_TESTED
    whole = "+all" if any(counts.exhausted for _, counts in result.walked(part)) else ""
    if word == "held":
        return f"held {tested}{whole}"
    if word == "not shown":
        return f"not shown {tested}{whole}"
    return f"{'shown' if word == 'true' else 'FALSE'} {times}/{tested}"


def _change(across: Across, change: Change, console: Console) -> None:
    """Tell a change: the verdicts before and after, each with what it rests on."""
    part, before, after = change.part, across.results[change.before], across.results[change.after]
    say(console, f"{part.name}: {before.verdict(part)} in {change.before}, {after.verdict(part)} in {change.after}")
    for era, result in ((change.before, before), (change.after, after)):
        say(console, f"    {era}: {evidence_of(result, part)}")


def evidence_of(result: ClaimsResult, part: Part) -> str:
    """Write what an era's verdict on a part rests on: its witness, or all that was looked at in vain."""
    witness = result.witnesses.get(part.name)
    if witness is not None:
        how = shlex.join(["mmrace", "replay", witness.path]) if witness.path else repeat_command(witness.spec)
        return f"{witness.example.title}; {how} (replayed {witness.replayed} of {witness.tried})"
    texts = []
    sampled = result.sampled(part)
    if sampled.runs:
        texts.append(f"{count(sampled.tested)} instances in {count(sampled.runs)} schedules")
    for setting, walked in result.walked(part):
        how = "all" if walked.exhausted else "not to its end:"
        texts.append(f"{how} {count(walked.runs)} classes of {setting.name} ({count(walked.tested)} instances)")
    return "; ".join(texts) or "no instance"


def _what_was_not_to_be(era: str, result: ClaimsResult, console: Console) -> None:
    """Tell failed runs, lost workers and trouble of one era, and what its source excludes."""
    for part in result.broken:
        said = part.expects(era)
        why = f" ({said.why})" if said.why else ""
        say(console, f"BROKEN in {era}: {part.name} is {result.verdict(part)}, by the source {said.what}{why}")
    for failure in result.failures[:FAILURES_SHOWN_MAX]:
        say(console, f"A RUN FAILED in {era} ({failure.how}); repeat: {repeat_command(failure.spec)}")
    say_lost(console, result.losses, result.given_up)
    for trouble in result.troubles[:TROUBLES_SHOWN_MAX]:
        say(console, f"trouble in {era}: {trouble}")
    unsure = [part.name for part in (*result.without_instance, *result.unshown)]
    if unsure:
        say(console, f"{era}: without an instance, or not shown: {', '.join(unsure)}")


def _last(across: Across) -> str:
    results = list(across.results.values())
    made = sum(result.runs for result in results)
    seconds = sum(result.seconds for result in results)
    same = len(across.parts) - len({change.part.name for change in across.changes})
    broken = sum(len(result.broken) for result in results)
    text = f"{len(across.parts)} parts in {len(results)} eras: {len(across.changes)} changes of verdict, "
    text += f"{same} parts without"
    if broken:
        text += f"; {broken} BROKEN, against what the source says"
    text += f"  (seed {results[0].seed if results else 0}, {runs(made)}, {duration(seconds)})"
    number = next((result.interrupted for result in results if result.interrupted), 0)
    return f"{interrupted(number)}; {text}" if number else text
