"""The health of the canaries of a store: whether each campaign found the bugs that were planted in it, and how soon."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns import print_table
from mmrace.report.numbers import count, moment
from mmrace.report.store.status import is_missed
from mmrace.report.terminal import say, style, table
from mmrace.search.ledger.entry import Trial
from mmrace.search.ledger.watching import Progress

LAST = 7  # of a canary's trials, how many are told one by one: a week of nights


def show(rows: Sequence[Progress], trials: Sequence[Trial], console: Console) -> None:
    """Print a table of campaigns, and one of canaries.  Args: trials: of all campaigns, the oldest first."""
    if not trials:
        say(console, "no canary was planted yet")
        return
    nights = table("canaries by campaign", "began (UTC)", "planted", "found", "twins passed", "missed")
    for row in rows:
        if not row.trials:
            continue
        missed = [trial.canary for trial in row.trials if is_missed(trial)]
        twins = sum(trial.twin_runs for trial in row.trials)
        failed = sum(trial.twin_failed for trial in row.trials)
        nights.add_row(
            moment(row.began),
            count(len(row.trials)),
            count(sum(trial.found_after is not None for trial in row.trials)),
            f"{count(twins - failed)} of {count(twins)}",
            style("FAIL", ", ".join(missed)) if missed else "-",
        )
    print_table(console, nights)
    each = table("canaries", "canary", "oracle", "planted", "found", "missed", "cap", f"found after (last {LAST})")
    for name, own in sorted(by_name(trials).items()):
        missed_times = sum(map(is_missed, own))
        each.add_row(
            escape(name),
            escape(own[-1].oracle),
            count(len(own)),
            count(sum(trial.found_after is not None for trial in own)),
            style("FAIL", count(missed_times)) if missed_times else "0",
            count(own[-1].cap),
            ", ".join(_after(trial) for trial in own[-LAST:]),
        )
    print_table(console, each)


def by_name(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """Return the trials of each canary, the oldest first."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.canary, []).append(trial)
    return found


def _after(trial: Trial) -> str:
    if trial.found_after is not None:
        return count(trial.found_after)
    return "MISSED" if is_missed(trial) else f"not in {count(trial.tried)} yet"
