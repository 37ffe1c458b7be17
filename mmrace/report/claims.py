"""The table of claims: what each says, the verdict, the evidence; below it the witnesses with their replay commands.

Invariant: everything comes from the `ClaimsResult`; a verdict always stands beside what it rests on.
"""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.claims.judges import Part
from mmrace.claims.programs import SETTINGS, repeat_command
from mmrace.claims.result import ClaimsResult, Witness
from mmrace.report.columns import print_table
from mmrace.report.numbers import count, duration, runs
from mmrace.report.terminal import TROUBLES_SHOWN_MAX, interrupted, say, say_lost, style, table

FAILURES_SHOWN_MAX = 5
WORDS = ("held", "true", "false as worded", "not shown", "not tested yet")


def line(result: ClaimsResult) -> str:
    """Write progress on one line."""
    era = f"era {result.era}, " if result.era else ""
    return f"{era}{duration(result.seconds)}: {runs(result.runs)}"


def show(result: ClaimsResult, console: Console, *, quiet: bool = False) -> None:
    """Print table, witnesses, programs and the last line; `quiet`: no programs."""
    print_table(console, _table(result))
    for name, witness in result.witnesses.items():
        _witness(name, witness, result, console)
    if not quiet:
        _programs(result, console)
    for failure in result.failures[:FAILURES_SHOWN_MAX]:
        say(console, f"A RUN FAILED ({failure.how}); repeat: {repeat_command(failure.spec)}")
    say_lost(console, result.losses, result.given_up)
    for trouble in result.troubles[:TROUBLES_SHOWN_MAX]:
        say(console, f"trouble: {trouble}")
    say(console, _last(result))


def _table(result: ClaimsResult) -> Table:
    shown = table("claims of exclusion", "claim", "in short", "verdict", "evidence")
    for claim in result.claims:
        for part in claim.parts:
            verdict, evidence = verdict_of(result, part), evidence_of(result, part)
            word = "BROKEN" if part in result.broken else result.verdict(part)
            shown.add_row(part.name, escape(part.says), style(word, verdict), escape(evidence))
        if not claim.parts:
            shown.add_row(claim.name, escape(claim.says), "not tested yet", escape(claim.untested))
        elif claim.untested:
            shown.add_row("", "", "not tested yet", escape(claim.untested))
    return shown


def verdict_of(result: ClaimsResult, part: Part) -> str:
    """Write the verdict on one part, with what it covers."""
    word = result.verdict(part)
    if word == "not tested yet":
        return word
    sampled = result.sampled(part)
    over = f"over {count(sampled.runs)} schedules ({count(sampled.tested)} tested instances)"
    if word == "not shown":
        return f"not shown {over}"
    if word == "held":
        lines = [f"held {over}"] if sampled.tested else []
        whole = [count(walked.runs) for _, walked in result.walked(part) if walked.exhausted]
        if whole:
            lines.append(f"held exhaustively over {' and '.join(whole)} classes")
        seen = sum(walked.runs for _, walked in result.walked(part))
        return "; ".join(lines) or f"held over {count(seen)} classes, not walked to the end"
    if word == "true" and part not in result.broken:
        return "true: a witness"
    return f"BROKEN: {word}" if part in result.broken else word


def evidence_of(result: ClaimsResult, part: Part) -> str:
    """Write what the verdict on one part rests on."""
    word = result.verdict(part)
    if word == "not tested yet":
        if result.expected(part) == "nothing":
            return f"cannot be asked: {part.expects(result.era).why}"
        tried = [setting.name for setting, _ in result.programs(part)]
        return f"no instance in {', '.join(tried)}" if tried else "no run was made"
    if word == "held" and result.expected(part) == "false":
        return f"said to be false, but nothing here refutes it: {_looked_at(result, part)}"
    words = "shown in" if part.exists else "refuted in"
    texts = []
    if result.times(part):
        texts.append(f"{words} {count(result.times(part))} of {count(result.tested(part))} instances")
        witness = result.witnesses.get(part.name)
        if witness is not None and witness.tried:
            texts.append(f"replayed {witness.replayed} of {witness.tried}")
    return "; ".join([*texts, _looked_at(result, part)])


def _looked_at(result: ClaimsResult, part: Part) -> str:
    """Name the programs that a verdict rests on."""
    texts = []
    sampled = result.sampled(part)
    if sampled.runs:
        names = [setting.name for setting, _ in result.programs(part) if setting.schedules]
        texts.append(f"{count(sampled.runs)} schedules of {', '.join(names)}")
    for setting, walked in result.walked(part):
        how = "all" if walked.exhausted else "not walked to its end:"
        texts.append(f"{how} {count(walked.runs)} classes of {setting.name} ({count(walked.tested)} instances)")
    return "; ".join(texts)


def _witness(name: str, witness: Witness, result: ClaimsResult, console: Console) -> None:
    part = next(part for claim in result.claims for part in claim.parts if part.name == name)
    word = "shows" if part.exists else "refutes"
    steps = ", ".join(map(str, witness.example.steps))
    say(console, f"{name}: {witness.example.title}")
    say(console, f"    what {word} it: {part.checks}")
    say(console, f"    steps {steps} of schedule {witness.index} of {witness.setting}")
    if witness.error:
        say(console, f"    NOT SAVED: {witness.error}")
        say(console, f"    {repeat_command(witness.spec)}")
    else:
        proof = f"replayed {witness.replayed} of {witness.tried}"
        say(console, f"    {shlex.join(['mmrace', 'replay', witness.path])}    ({proof})")


def _programs(result: ClaimsResult, console: Console) -> None:
    used = [name for name in SETTINGS if any(name in found for found in result.evidence.values())]
    if used:
        say(console, "programs:")
    for name in used:
        say(console, f"    {name}: mmrace explore {SETTINGS[name].command}")


def _last(result: ClaimsResult) -> str:
    words = [result.verdict(part) for claim in result.claims for part in claim.parts]
    words += ["not tested yet" for claim in result.claims if claim.untested or not claim.parts]  # a row of the table
    said = [f"{words.count(word)} {word}" for word in WORDS if word in words]
    text = f"{len(result.claims)} claims in {len(words)} parts: {', '.join(said)}"
    if result.broken:
        text += f"; BROKEN, against what the source says: {', '.join(part.name for part in result.broken)}"
    if result.failures:
        text += f"; {runs(len(result.failures))} failed"
    if result.cut:
        text += f"; {runs(result.cut)} cut and not counted"
    text += f"  (seed {result.seed}, {runs(result.runs)}, {duration(result.seconds)})"
    return f"{interrupted(result.interrupted)}; {text}" if result.interrupted else text
