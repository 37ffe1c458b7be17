"""Sums over many runs: tallies, findings by signature, troubles, and the exit code of the whole.

Invariant: sums only, so that the order in which outcomes come back does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import (
    EXIT_FAIL,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_NONDETERMINISM,
    EXIT_PASS,
    EXIT_UNKNOWN,
    EXIT_USAGE,
)
from mmrace.search.pool.messages import Outcome

UNKNOWN_SHARE_MAX = 0.05
"""Runs of a scenario that may end UNKNOWN before its PASS means little: a loaded machine cuts a run now and then."""
HITS_MAX = 1000  # distinct signatures kept in memory; FOLDERS_MAX bounds the disk
TROUBLES_MAX = 50


@dataclass(slots=True)
class Tally:
    """Sums over runs."""

    runs: int = 0
    ops: int = 0
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)
    counters: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Count one run."""
        self.runs += 1
        self.ops += outcome.ops
        self.seconds += outcome.seconds
        self.verdicts[outcome.verdict] += 1
        self.counters.update(outcome.counters)
        self.marks.update(outcome.marks)
        if outcome.verdict == "UNKNOWN":
            self.unknown.update(f"{oracle}: {reason}" for oracle, reason in outcome.unknown.items())

    def merge(self, other: Tally) -> None:
        """Add another sum."""
        self.runs += other.runs
        self.ops += other.ops
        self.seconds += other.seconds
        for mine, theirs in (
            (self.verdicts, other.verdicts),
            (self.counters, other.counters),
            (self.marks, other.marks),
            (self.unknown, other.unknown),
        ):
            mine.update(theirs)

    def refused(self) -> dict[str, int]:
        """Return the refused migrations by reason, most frequent first."""
        prefix = "migrations.refused."
        return {key.removeprefix(prefix): n for key, n in self.counters.most_common() if key.startswith(prefix)}


@dataclass(slots=True)
class Hit:
    """A finding of the campaign, by signature.  `index` is the first run (of the main sequence, or of a trial)."""

    finding: Finding
    spec: RunSpec
    role: str
    index: int
    times: int = 1
    folder: str = ""
    known: bool = False
    unsaved: str = ""


@dataclass(slots=True)
class Trouble:
    """A run that could not be made: its exit code, and what was said."""

    exit_code: int
    text: str
    spec: RunSpec


def exit_code(verdict: str, troubles: Iterable[Trouble], interrupted: bool) -> int:
    """Return the exit code of what was asked for as a whole: a campaign, an exploration."""
    codes = {trouble.exit_code for trouble in troubles}
    if interrupted:
        return EXIT_INTERRUPTED
    if EXIT_USAGE in codes:
        return EXIT_USAGE
    if verdict == "FAIL":
        return EXIT_FAIL
    for code in (EXIT_INTERNAL, EXIT_NONDETERMINISM):
        if code in codes:
            return code
    return EXIT_PASS if verdict == "PASS" else EXIT_UNKNOWN
