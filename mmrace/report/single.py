"""The result of one run, and of one replay, as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from mmrace.report.campaign import STYLES
from mmrace.report.finding import summary_text
from mmrace.report.numbers import count
from mmrace.runs.spec import RunResult
from mmrace.search.totals import Tally


def show_run(result: RunResult, console: Console, *, record: str = "", remark: str = "") -> None:
    """Print what a run did, what was found, a remark, and its verdict on the last line."""
    tally = Tally()
    tally.counters.update(result.counters)
    done = ", ".join(f"{key} {count(n)}" for key, n in sorted(tally.counters.items()) if n)
    console.print(f"{count(result.ops)} ops; {done or 'nothing counted'}", markup=False, highlight=False)
    if result.findings:
        text = summary_text(result.spec, result.verdict, result.findings, [result.spec.command()])
        console.print(text, markup=False, highlight=False, soft_wrap=True, end="")
    for oracle, reason in sorted(result.unknown.items()):
        console.print(f"unknown to {oracle}: {reason}", markup=False, highlight=False, soft_wrap=True)
    if record:
        console.print(f"record: {record}", markup=False, highlight=False, soft_wrap=True)
    if remark:
        console.print(remark, markup=False, highlight=False, soft_wrap=True)
    console.print(f"[{STYLES[result.verdict]}]{result.verdict}[/]", highlight=False)


def show_replay(result: RunResult, recorded: Sequence[str], console: Console) -> None:
    """Print whether a replay found what its record has.  `recorded`: the signatures in the record."""
    found = [finding.signature for finding in result.findings]
    if sorted(found) == sorted(recorded):
        remark = "the same findings as recorded" if found else "no finding, as recorded"
    else:
        was, now = (", ".join(names) or "nothing" for names in (recorded, found))
        remark = f"judged otherwise: recorded {was}, now {now}; the oracles have changed"
    show_run(result, console, remark=f"replay: every op as recorded; {remark}")
