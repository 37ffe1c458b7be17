"""The last word of a campaign: tables of what ran, what was found, what was never reached.

Invariant: everything comes from the `CampaignResult`; the verdict line is always the last line.
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mmrace.report.finding import summary_text
from mmrace.report.numbers import count, duration, runs, share, size
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.totals import Hit, Tally

MARKS_SHOWN_MAX = 60
HITS_SHOWN_MAX = 20
TROUBLES_SHOWN_MAX = 5
UNKNOWNS_SHOWN = 3
STYLES = {"PASS": "bold green", "FAIL": "bold red", "UNKNOWN": "bold yellow"}


def show(result: CampaignResult, console: Console, *, quiet: bool = False) -> None:
    """Print the whole report; `quiet`: findings and the verdict only."""
    if not quiet:
        _scenarios(result, console)
        _canaries(result, console)
        _workloads(result, console)
        _marks(result, console)
        _workers(result, console)
    _findings(result, console)
    _troubles(result, console)
    _verdict(result, console)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    return table


def _scenarios(result: CampaignResult, console: Console) -> None:
    columns = ("scenario", "runs", "ops", "pass", "fail", "unknown", "tried", "moved", "refused by reason")
    table = _table("scenarios", *columns)
    table.columns[-1].justify = "left"
    rows = [(name, result.scenarios.get(name, Tally())) for name in result.request.scenarios]
    if result.twins.runs:
        rows.append(("(twins of canaries)", result.twins))
    if len(rows) > 1:
        rows.append(("all", result.total()))
    for name, tally in rows:
        if name == "all":
            table.add_section()
        verdicts = tally.verdicts
        table.add_row(
            escape(name),
            count(tally.runs),
            count(tally.ops),
            count(verdicts["PASS"]),
            count(verdicts["FAIL"]),
            count(verdicts["UNKNOWN"]),
            count(tally.counters["migrations.tried"]),
            count(tally.counters["migrations.moved"]),
            refusals(tally),
        )
    console.print(table)
    unknown = result.total().unknown
    for reason, times in unknown.most_common(UNKNOWNS_SHOWN):
        console.print(f"unknown in {runs(times)} because of {escape(reason)}", highlight=False)


def refused(tally: Tally) -> dict[str, int]:
    """Return the refused migrations by reason, most frequent first."""
    prefix = "migrations.refused."
    return {key.removeprefix(prefix): n for key, n in tally.counters.most_common() if key.startswith(prefix)}


def refusals(tally: Tally) -> str:
    """Write the refused migrations by reason."""
    return ", ".join(f"{reason} {count(n)}" for reason, n in refused(tally).items()) or "-"


def _canaries(result: CampaignResult, console: Console) -> None:
    if not result.trials:
        return
    table = _table("canaries (planted bugs)", "canary", "oracle", "found after", "cap", "twin passed", "other oracles")
    for trial in result.trials:
        if trial.found_after is not None:
            found = runs(trial.found_after)
        elif trial.missed:
            found = "[bold red]MISSED[/]"
        else:
            found = f"not in {trial.tried} yet"
        others = ", ".join(f"{oracle} {n}" for oracle, n in sorted(trial.others.items())) or "-"
        twin = f"{trial.twin_runs - trial.twin_failed} of {trial.twin_runs}"
        table.add_row(
            escape(trial.canary.name), escape(trial.canary.oracle), found, count(trial.cap_runs), twin, others
        )
    console.print(table)


def _workloads(result: CampaignResult, console: Console) -> None:
    for name, tally in result.workloads.items():
        table = _table(f"workload {escape(name)}: {runs(tally.runs)}", "action", "recorded", "performed", "share")
        counters = tally.counters
        prefix, suffix = "workload.", ".recorded"
        for key in sorted(counters):
            if key.startswith(prefix) and key.endswith(suffix):
                action = key.removeprefix(prefix).removesuffix(suffix)
                performed = counters[f"{prefix}{action}.performed"]
                table.add_row(action, count(counters[key]), count(performed), share(performed, counters[key]))
        kept, pairs = counters["workload.pairs_kept"], counters["workload.pairs"]
        table.add_row("pairs in recorded order", count(pairs), count(kept), share(kept, pairs))
        console.print(table)


def _marks(result: CampaignResult, console: Console) -> None:
    missed = result.marks_missed()
    reached = result.marks_reached()
    expected = len(result.marks_known)
    console.print(
        f"marks reached: {reached}; of {expected} expected ones {len(missed)} missed (mmrace list marks tells of all)",
        highlight=False,
        soft_wrap=True,
    )
    for mark in missed[:MARKS_SHOWN_MAX]:
        console.print(f"  never hit: {escape(mark)}", highlight=False)
    if len(missed) > MARKS_SHOWN_MAX:
        console.print(f"  and {len(missed) - MARKS_SHOWN_MAX} more", highlight=False)
    console.print()


def _workers(result: CampaignResult, console: Console) -> None:
    if not result.workers:
        return
    table = _table("workers", "worker", "memory at", "then", "at the end", "growth", "threads left behind")
    for name in sorted(result.workers):
        life = result.workers[name]
        when, then, end = life.growth(result.seconds)
        growth = f"{(end - then) / 1024 / 1024:+.1f} MiB"
        table.add_row(name, duration(when), size(then), size(end), growth, str(life.stray_threads))
    console.print(table)
    if result.deaths:
        console.print(f"workers lost and replaced: {result.deaths}", highlight=False)


def _findings(result: CampaignResult, console: Console) -> None:
    hits = list(result.hits.values())
    for hit in hits[:HITS_SHOWN_MAX]:
        console.print(finding_text(hit), markup=False, highlight=False, soft_wrap=True)
    rest = len(hits) - HITS_SHOWN_MAX + result.hits.dropped
    if rest > 0:
        console.print(f"and {rest} more findings", highlight=False)


def finding_text(hit: Hit) -> str:
    """Write a finding: where it was saved, or else all of it, so that nothing is lost with the disk."""
    lines = [f"FINDING {hit.finding.signature}  {hit.finding.title}"]
    lines.append(f"  oracle {hit.finding.oracle}: {hit.finding.rule}; seen in {runs(hit.times)}")
    if hit.saved.folder:
        lines.append(
            f"  saved in {hit.saved.folder}" + (" (a folder that was there already)" if hit.saved.before else "")
        )
        lines.append(f"  repeat: {hit.spec.command()}")
    else:
        if hit.saved.error:
            lines.append(f"  COULD NOT BE SAVED: {hit.saved.error}; this is all of it:")
        text = summary_text(hit.spec, "FAIL", [hit.finding], [hit.spec.command()])
        lines.extend(f"  | {line}" for line in text.splitlines())
    return "\n".join(lines)


def _troubles(result: CampaignResult, console: Console) -> None:
    for trouble in result.troubles[:TROUBLES_SHOWN_MAX]:
        console.print(
            f"TROUBLE (exit code {trouble.exit_code})  {trouble.text}\n  repeat: {trouble.spec.command()}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    rest = len(result.troubles) - TROUBLES_SHOWN_MAX
    if rest > 0:
        console.print(f"and {rest} more runs in trouble", highlight=False)
    for spec in result.given_up:
        console.print(f"given up after its worker was lost twice: {spec.command()}", markup=False, highlight=False)


def _verdict(result: CampaignResult, console: Console) -> None:
    total = result.total()
    for trial in result.trials:
        if trial.missed:
            console.print(
                f"MISSED canary {trial.canary.name}: {trial.tried} runs, no finding of oracle {trial.canary.oracle}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    if result.verdict == "UNKNOWN":
        for reason in result.unknown_because():
            console.print(f"unknown: {reason}", markup=False, highlight=False, soft_wrap=True)
    if result.interrupted:
        console.print("interrupted; this is what was known by then", highlight=False)
    found = sum(trial.found_after is not None for trial in result.trials)
    parts = [runs(total.runs), f"{count(total.ops)} ops", duration(result.seconds)]
    if result.trials:
        parts.append(f"canaries found {found} of {len(result.trials)}")
    parts.append(f"findings {len(result.hits) + result.hits.dropped}")
    style = STYLES[result.verdict]
    console.print(f"[{style}]{result.verdict}[/]  {', '.join(parts)}  (seed {result.request.seed})", highlight=False)
