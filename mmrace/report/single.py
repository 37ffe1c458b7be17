"""The result of one run, and of one replay, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from mmrace.report.finding import SCENARIO, summary_text
from mmrace.report.numbers import count
from mmrace.report.terminal import conclude, say
from mmrace.runs.spec import RunResult


def show_run(result: RunResult, console: Console, *, record: str = "", remark: str = "") -> None:
    """Print what a run did, what was found, a remark, and its verdict on the last line."""
    done = ", ".join(f"{key} {count(n)}" for key, n in sorted(result.counters.items()) if n)
    if not done and result.spec.maker == SCENARIO:
        done = "nothing counted"
    say(console, f"{count(result.ops)} ops" + (f"; {done}" if done else ""))
    if result.findings:
        text = summary_text(result.spec, result.verdict, result.findings, [result.spec.command()])
        say(console, text.rstrip("\n"))
    for oracle, reason in sorted(result.unknown.items()):
        say(console, f"unknown to {oracle}: {reason}")
    if record:
        say(console, f"record: {record}")
    if remark:
        say(console, remark)
    conclude(console, result.verdict)


def tell_executed(header: Mapping[str, Any], console: Console) -> None:
    """Print which file of a user's a replay is about to execute, if any, before that happens."""
    program, digest = header.get("program"), header.get("digest")
    if program and digest:
        say(console, f"program {program} (digest {digest})")


def show_replay(result: RunResult, recorded: Sequence[str], console: Console) -> None:
    """Print whether a replay found what its record has.  `recorded`: the signatures in the record."""
    found = [finding.signature for finding in result.findings]
    if sorted(found) == sorted(recorded):
        remark = "the same findings as recorded" if found else "no finding, as recorded"
    else:
        was, now = (", ".join(names) or "nothing" for names in (recorded, found))
        remark = f"judged otherwise: recorded {was}, now {now}; the oracles have changed"
    show_run(result, console, remark=f"replay: every op as recorded; {remark}")
