"""Marks of a store: which rare branches its runs have reached, how often, and which never."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape

from mmrace.report.columns import print_table
from mmrace.report.numbers import count, runs
from mmrace.report.terminal import say, table

RAREST = 10


@dataclass(frozen=True, slots=True)
class Marks:
    """What was reached.

    Args: runs: of the store, of those that should pass.  reached: mark -> how often.  expected: marks that somebody
    should reach.  newest, newest_runs, newest_reached: the same of the newest revision alone.
    """

    runs: int
    reached: dict[str, int]
    expected: frozenset[str]
    newest: str = ""
    newest_runs: int = 0
    newest_reached: frozenset[str] = frozenset()

    @property
    def never(self) -> list[str]:
        """The expected ones that no run reached."""
        return sorted(mark for mark in self.expected if not self.reached.get(mark))

    @property
    def lost(self) -> list[str]:
        """Those that an older revision reached, and the newest did not."""
        return sorted(mark for mark, times in self.reached.items() if times and mark not in self.newest_reached)


def expected_in(requests: Iterable[dict[str, Any]]) -> frozenset[str]:
    """Return the marks that campaigns expected."""
    lists = [request.get("marks") for request in requests]
    return frozenset(str(mark) for marks in lists if isinstance(marks, list) for mark in marks)


def show(marks: Marks, console: Console) -> None:
    """Print what was never reached, what is not reached any more, and the rarest."""
    reached = {mark: times for mark, times in marks.reached.items() if times}
    never = marks.never
    say(
        console,
        f"marks reached: {count(len(reached))}, in {runs(marks.runs)}; "
        f"of {count(len(marks.expected))} expected ones {count(len(never))} never",
    )
    for mark in never:
        say(console, f"  never hit: {mark}")
    if marks.newest and marks.runs > marks.newest_runs:
        for mark in marks.lost:
            say(console, f"  not hit by the newest revision, in {runs(marks.newest_runs)}: {mark}")
    if reached:
        shown = table("the rarest", "mark", "times", numbers=True)
        for mark, times in sorted(reached.items(), key=lambda item: (item[1], item[0]))[:RAREST]:
            shown.add_row(escape(mark), count(times))
        print_table(console, shown)


def data(marks: Marks) -> dict[str, Any]:
    """Return it as plain data."""
    return {
        "runs": marks.runs,
        "reached": dict(sorted(marks.reached.items())),
        "expected": sorted(marks.expected),
        "never_reached": marks.never,
        "newest_revision": marks.newest,
        "newest_runs": marks.newest_runs,
        "not_reached_by_newest": marks.lost,
    }
