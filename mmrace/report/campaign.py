"""The last word of a campaign: tables of what ran, what was found, what was never reached.

Invariant: everything comes from the `CampaignResult`; the verdict line is always the last line.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns import print_table
from mmrace.report.finding import again_text, commands_of, in_folder, known_as, known_text, summary_text
from mmrace.report.minimal import found_lines
from mmrace.report.numbers import count, duration, runs, share, size
from mmrace.report.terminal import (
    HITS_SHOWN_MAX,
    TROUBLES_SHOWN_MAX,
    WRONG_CALL,
    conclude,
    finding_line,
    interrupted,
    known_lines,
    say,
    say_lost,
    style,
    table,
    without_text,
)
from mmrace.search.campaign.plan import ALL_SECONDS
from mmrace.search.campaign.result import CampaignResult
from mmrace.search.totals import Hit, RunKind, Tally, is_wrong_call

OF_THE_MODEL = ("tried", "moved", "refused by reason")
"""Columns of what only the kernel model counts."""
MARKS_SHOWN_MAX = 60
UNKNOWNS_SHOWN = 3


def show(result: CampaignResult, console: Console, *, quiet: bool = False) -> None:
    """Print the whole report; `quiet`: findings and the verdict only."""
    if not quiet:
        _scenarios(result, console)
        _canaries(result, console)
        _workloads(result, console)
        _marks(result, console)
        _workers(result, console)
        _known(result, console)
    _findings(result, console)
    say_lost(console, result.losses, result.given_up)
    _troubles(result, console)
    _unkept(result, console)
    _verdict(result, console)


def _scenarios(result: CampaignResult, console: Console) -> None:
    what = "program" if result.only_functions else "scenario"
    columns = (what, "runs", "ops", "pass", "fail", "unknown", *(() if result.only_functions else OF_THE_MODEL))
    shown = table(f"{what}s", *columns, numbers=True)
    if not result.only_functions:
        shown.columns[-1].justify = "left"
    rows = [(name, result.scenarios.get(name, Tally())) for name in result.request.scenarios]
    if result.twins.runs:
        rows.append(("(twins of canaries)", result.twins))
    if len(rows) > 1:
        rows.append(("all", result.total()))
    for name, tally in rows:
        if name == "all":
            shown.add_section()
        verdicts, counters = tally.verdicts, tally.counters
        moves = count(counters["migrations.tried"]), count(counters["migrations.moved"]), escape(refusals(tally))
        shown.add_row(
            escape(name),
            count(tally.runs),
            count(tally.ops),
            count(verdicts["PASS"]),
            count(verdicts["FAIL"]),
            count(verdicts["UNKNOWN"]),
            *(() if result.only_functions else moves),
        )
    print_table(console, shown)
    unknown = result.total().unknown
    for reason, times in unknown.most_common(UNKNOWNS_SHOWN):
        say(console, f"unknown in {runs(times)} because of {reason}")


def refusals_by_reason(tally: Tally) -> dict[str, int]:
    """Return the refused migrations by reason, most frequent first."""
    prefix = "migrations.refused."
    return {key.removeprefix(prefix): n for key, n in tally.counters.most_common() if key.startswith(prefix)}


def refusals(tally: Tally) -> str:
    """Write the refused migrations by reason."""
    return ", ".join(f"{reason} {count(n)}" for reason, n in refusals_by_reason(tally).items()) or "-"


def _canaries(result: CampaignResult, console: Console) -> None:
    if not result.trials:
        return
    columns = ("canary", "oracle", "found after", "cap", "twin passed", "other oracles")
    shown = table("canaries (planted bugs)", *columns, numbers=True)
    for trial in result.trials:
        if trial.found_after is not None:
            found = runs(trial.found_after)
        elif trial.missed:
            found = style("FAIL", "MISSED")
        else:
            found = f"not in {trial.tried} yet"
        others = ", ".join(f"{oracle} {n}" for oracle, n in sorted(trial.others.items())) or "-"
        twin = f"{trial.twin_runs - trial.twin_failed} of {trial.twin_runs}"
        shown.add_row(
            escape(trial.canary.name), escape(trial.canary.oracle), found, count(trial.cap_runs), twin, escape(others)
        )
    print_table(console, shown)


def _workloads(result: CampaignResult, console: Console) -> None:
    for name, tally in result.workloads.items():
        columns = ("action", "recorded", "performed", "share")
        shown = table(f"workload {escape(name)}: {runs(tally.runs)}", *columns, numbers=True)
        counters = tally.counters
        prefix, suffix = "workload.", ".recorded"
        for key in sorted(counters):
            if key.startswith(prefix) and key.endswith(suffix):
                action = key.removeprefix(prefix).removesuffix(suffix)
                performed = counters[f"{prefix}{action}.performed"]
                shown.add_row(escape(action), count(counters[key]), count(performed), share(performed, counters[key]))
        kept, pairs = counters["workload.pairs_kept"], counters["workload.pairs"]
        shown.add_row("pairs in recorded order", count(pairs), count(kept), share(kept, pairs))
        print_table(console, shown)


def _marks(result: CampaignResult, console: Console) -> None:
    missed = result.marks_missed()
    reached = result.marks_reached()
    if result.only_functions and not reached:
        return
    expected = len(result.marks_known)
    of_expected = f"; of {expected} expected ones {len(missed)} missed" if expected else ""
    where = "" if result.only_functions else " (mmrace list marks tells of all)"
    say(console, f"marks reached: {reached}{of_expected}{where}")
    for mark in missed[:MARKS_SHOWN_MAX]:
        say(console, f"  never hit: {mark}")
    if len(missed) > MARKS_SHOWN_MAX:
        say(console, f"  and {len(missed) - MARKS_SHOWN_MAX} more")
    console.print()


def _workers(result: CampaignResult, console: Console) -> None:
    if not result.workers:
        return
    columns = ("worker", "memory at", "then", "at the end", "growth", "threads left behind")
    shown = table("workers", *columns, numbers=True)
    for name in sorted(result.workers):
        life = result.workers[name]
        when, then, end = life.growth(result.seconds)
        growth = f"{(end - then) / 1024 / 1024:+.1f} MiB"
        shown.add_row(escape(name), duration(when), size(then), size(end), growth, str(life.stray_threads))
    print_table(console, shown)


def _known(result: CampaignResult, console: Console) -> None:
    for text in known_lines(result.known, result.total()):
        say(console, text)


def _findings(result: CampaignResult, console: Console) -> None:
    hits = list(result.hits.values())
    for hit in hits[:HITS_SHOWN_MAX]:
        say(console, finding_text(hit, result.kinds))
        for text in found_lines(result.minimal.get(hit.finding.signature), hit.saved.folder):
            say(console, f"  {text}")
    rest = len(hits) - HITS_SHOWN_MAX + result.hits.dropped
    if rest > 0:
        say(console, f"and {rest} more findings")


def finding_text(hit: Hit, made: Mapping[RunKind, int]) -> str:
    """Write a finding: where it was saved, or else all of it, so that a full disk loses nothing.

    Args: made: how many runs of each kind there were.
    """
    lines, kind, there = [finding_line(hit)], hit.kind, in_folder(hit)
    if there is not None:
        kind = kind._replace(engine=there.engine, noise=there.noise)
    again = again_text(kind, hit.kinds[kind], made.get(kind, 0))
    lines.append(f"  oracle {hit.finding.oracle}: {hit.finding.rule}; seen in {runs(hit.times)}")
    if hit.saved.folder:
        how = "kept in {}, by an earlier run: this is one more hit" if hit.saved.before else "saved in {}"
        lines.append(f"  {known_text(hit.saved)}; {how.format(hit.saved.folder)}")
        if hit.saved.conversion is not None:
            lines += [f"  {line}" for line in hit.saved.conversion.lines()]
        lines += [f"  repeat: {command}" for command in commands_of(hit)]
        if again:
            lines.append(f"    {again}")
    else:
        if hit.saved.error:
            lines.append(f"  COULD NOT BE SAVED: {hit.saved.error}; this is all of it:")
        text = summary_text(hit.spec, "FAIL", [hit.finding], [hit.command], again)
        lines.extend(f"  | {line}" for line in text.splitlines())
    return "\n".join(lines)


def _troubles(result: CampaignResult, console: Console) -> None:
    for trouble in result.troubles[:TROUBLES_SHOWN_MAX]:
        text = f"TROUBLE (exit code {trouble.exit_code})  {trouble.text}\n  repeat: {trouble.spec.command()}"
        say(console, text)
    rest = len(result.troubles) - TROUBLES_SHOWN_MAX
    if rest > 0:
        say(console, f"and {rest} more runs in trouble")


def _unkept(result: CampaignResult, console: Console) -> None:
    """Say which runs the store lacks: they were made and count here, and a later campaign makes them again."""
    if result.unkept:
        because = f": {result.unkept_because}" if result.unkept_because else ""
        say(console, f"unkept: {runs(result.unkept)} are not in the ledger{because} (try: --store with room)")


def _verdict(result: CampaignResult, console: Console) -> None:
    total = result.total()
    for trial in result.trials:
        if trial.missed:
            name, oracle = trial.canary.name, trial.canary.oracle
            say(console, f"MISSED canary {name}: {trial.tried} runs, no finding of oracle {oracle}")
    if result.verdict == "UNKNOWN":
        for reason in result.unknown_because():
            say(console, f"unknown: {reason}")
        if hint := result.to_try():
            say(console, f"try: {hint}")
    if result.unplanted:
        names, enough = ", ".join(result.unplanted), duration(ALL_SECONDS)
        say(console, f"not planted, for want of time: {names}; a campaign of {enough} plants all")
    if result.interrupted:
        say(console, f"{interrupted(result.interrupted)}; this is what was known by then")
    found = sum(trial.found_after is not None for trial in result.trials)
    parts = [runs(total.runs), f"{count(total.ops)} ops", duration(result.seconds)]
    if result.unplanted:
        planted, every = len(result.trials), len(result.trials) + len(result.unplanted)
        parts.append(f"canaries planted {planted} of {every}, found {found}")
    elif result.trials:
        parts.append(f"canaries found {found} of {len(result.trials)}")
    parts += [known_as(row) for row in sorted(total.known)]
    parts.append(f"findings {len(result.hits) + result.hits.dropped}")
    without = without_text(result.request.without)
    if is_wrong_call(result.troubles):
        parts.insert(0, WRONG_CALL)
    conclude(console, result.verdict, f"  {', '.join(parts)}{without}  (seed {result.request.seed})")
