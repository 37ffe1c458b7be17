"""The campaigns of a store as a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns import print_table
from mmrace.report.numbers import count, duration, moment
from mmrace.report.store.status import campaign_data, state_text
from mmrace.report.terminal import say, table
from mmrace.search.ledger.watching import Progress

MINUTES = len("2026-11-30 21:45")
SCHEMA = "mmrace-history/1"


def show(
    rows: Sequence[Progress], known: Collection[str], first: Mapping[str, Collection[str]], console: Console,
    *, before: int = 0,
) -> None:  # fmt: skip
    """Print the campaigns, the oldest first.

    Args: known: signatures that are expected of their programs.  first: campaign -> findings that nobody had before it.
    before: how many older ones are left out.
    """
    if not rows:
        say(console, "no campaign yet")
        return
    columns = ("began (UTC)", "host", "lasted", "runs", "runs/s", "findings", "new", "canaries", "end", "revision")
    shown = table("campaigns", *columns)
    for row in rows:
        found = [signature for signature in row.sums.hits if signature not in known]
        new = [signature for signature in found if signature in first.get(row.campaign.campaign, ())]
        begun = row.campaign.begun
        caught = sum(trial.found_after is not None for trial in row.trials)
        shown.add_row(
            moment(row.began)[:MINUTES],
            escape(row.process[0]) or "-",
            duration(row.seconds),
            count(row.sums.runs),
            f"{row.rate:,.1f}",
            count(len(found)),
            count(len(new)),
            f"{caught} of {len(row.trials)}" if row.trials else "-",
            escape(state_text(row)),
            escape(begun.revision) if begun else "-",
        )
    print_table(console, shown)
    if before:
        say(console, f"and {count(before)} campaigns before these; --last N shows more")


def data(store: str, rows: Sequence[Progress], **more: Any) -> dict[str, Any]:
    """Return the campaigns, and whatever else was asked for, as plain data."""
    return {"schema": SCHEMA, "store": store, "campaigns": [campaign_data(row) for row in rows], **more}
