"""Sums over many runs: tallies, findings by signature, troubles, and the exit code of the whole.

Invariant: sums only, so that the order in which outcomes come back does not matter.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.kept import owner_of
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore, Saved, harness_finding, unexplained
from mmrace.runtime.errors import (
    EXIT_FAIL,
    EXIT_INTERNAL,
    EXIT_NONDETERMINISM,
    EXIT_PASS,
    EXIT_SIGNALLED,
    EXIT_UNKNOWN,
    EXIT_USAGE,
)
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.messages import Job, Outcome

UNKNOWN_SHARE_MAX = 0.05
"""Runs of a scenario that may end UNKNOWN before its PASS means little: a loaded machine cuts a run now and then."""
HITS_MAX = 1000  # distinct signatures kept in memory; FOLDERS_MAX bounds the disk
TROUBLES_MAX = 50


ENOUGH_RUNS = 40
"""So many runs of a cast show each fault that it expects: the rarest, in 121 of 300 runs under `free`, stays away from
40 with a chance below one in a million."""


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
    expected: Counter[str] = field(default_factory=Counter)
    """Where a known fault is written down -> runs that could have shown it."""
    known: Counter[str] = field(default_factory=Counter)
    """The same -> runs that did."""
    alone: Counter[str] = field(default_factory=Counter)
    """Of the UNKNOWN runs those with nothing to interleave: why -> how many.  Beside others they take nothing away."""

    @property
    def unjudged(self) -> int:
        """How many runs had something to judge, and could not be judged."""
        return self.verdicts["UNKNOWN"] - self.alone.total()

    def nobody_met(self) -> str:
        """Say why no run at all had anything to interleave; "" if one had."""
        return self.alone.most_common(1)[0][0] if self.runs and self.alone.total() == self.runs else ""

    def never_seen(self) -> str:
        """Say which known faults were expected, and not seen in runs that are enough to tell; "" if none."""
        unseen = self._unseen().items()
        return "; ".join(
            f"{row} is expected, and was not seen in {runs} runs" for row, runs in unseen if runs >= ENOUGH_RUNS
        )

    def doubts(self, given_up: int) -> Iterator[str]:
        """Yield why the runs prove nothing, though none failed.  Args: given_up: runs that no worker survived."""
        if not self.runs:
            yield "no run"
            return
        if nobody := self.nobody_met():
            yield nobody
        if missing := self.never_seen():
            yield missing
        unknown = self.unjudged + given_up
        if unknown > UNKNOWN_SHARE_MAX * self.runs:
            why = "".join(f", mostly {reason}" for reason, _ in self.unknown.most_common(1))
            yield f"{unknown} of {self.runs} runs could not be judged{why}"

    def seldom_tried(self) -> dict[str, int]:
        """Return the known faults that were expected, and not seen in too few runs to tell: where from, how many."""
        return {row: runs for row, runs in self._unseen().items() if runs < ENOUGH_RUNS}

    def _unseen(self) -> dict[str, int]:
        return {row: runs for row, runs in sorted(self.expected.items()) if not self.known[row]}

    def add(self, result: RunResult) -> None:
        """Count one run."""
        self.runs += 1
        self.ops += result.ops
        self.seconds += result.seconds
        self.verdicts[result.verdict] += 1
        self.counters.update(result.counters)
        self.marks.update(result.marks)
        self.expected.update(result.expects)
        self.known.update({finding.known for finding in result.findings} - {""})
        if result.alone:
            self.alone[result.alone] += 1
        elif result.verdict == "UNKNOWN":
            self.unknown.update(f"{oracle}: {reason}" for oracle, reason in result.unknown.items())

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
            (self.alone, other.alone),
            (self.expected, other.expected),
            (self.known, other.known),
        ):
            mine.update(theirs)


class RunKind(NamedTuple):
    """What runs have in common that are counted together, to say how often one of them has a finding."""

    role: str
    program: str
    engine: str
    noise: str

    @classmethod
    def of(cls, role: str, spec: RunSpec) -> RunKind:
        """Return the kind of a run."""
        return cls(role, spec.program, spec.engine, spec.noise)


Whose: TypeAlias = tuple[str, str, str, str]
"""A finding of a program: signature, program, variant, era."""


@dataclass(slots=True)
class Hit:
    """A finding of the campaign, by signature.

    `index` is the first run (of its sequence, or of a trial).  `told`: the command that has it again, of one whose run
    is not known any more.
    """

    finding: Finding
    spec: RunSpec
    role: str
    index: int
    saved: Saved = field(default_factory=Saved)
    times: int = 1
    told: str = ""
    kinds: Counter[RunKind] = field(init=False)
    """Of which runs those were."""

    def __post_init__(self) -> None:
        self.kinds = Counter({self.kind: self.times})

    @property
    def kind(self) -> RunKind:
        """The kind of its first run."""
        return RunKind.of(self.role, self.spec)

    @property
    def whose(self) -> Whose:
        """What it is, and of which program."""
        return self.finding.signature, self.spec.program, self.spec.variant, self.spec.era

    @property
    def command(self) -> str:
        """The command that has the finding again."""
        return self.told or self.spec.command(self.finding.signature)

    @property
    def known(self) -> str:
        """Where it is written down, if it is expected of its program."""
        return self.finding.known


def _came(saved: Saved) -> bool:
    """Say whether what was kept is a run of free threads made again under control."""
    return not saved.before and saved.conversion is not None and saved.conversion.came


class Hits(dict[str, Hit]):
    """Findings by signature.  `dropped`: those beyond `HITS_MAX`."""

    dropped = 0

    def add(self, new: Hit) -> bool:
        """Count a finding; return whether its signature is new."""
        key = new.finding.signature
        old = self.get(key)
        if old is not None:
            old.times += 1
            old.kinds[new.kind] += 1
            better = not old.saved.folder or (old.saved.before and not new.saved.before)  # another worker was the first
            better |= _came(new.saved) and not _came(old.saved)
            if better and new.saved.folder and owner_of(old.spec) == owner_of(new.spec):
                old.saved = new.saved
            return False
        if len(self) >= HITS_MAX:
            self.dropped += 1
            return False
        self[key] = new
        return True


def hits_of(job: Job, outcome: Outcome) -> list[Hit]:
    """Return the findings of a run; for a failure without any, one of the harness."""
    result = outcome.result
    if result is None or not result.shows:
        return []
    findings = result.findings or [unexplained(job.spec)]
    saved = outcome.saved
    return [Hit(finding, job.spec, job.role, job.index, saved.get(finding.signature, Saved())) for finding in findings]


def check_folders(found: Iterable[Hits]) -> None:
    """Say of findings that were saved, and whose folder is gone, that they are not."""
    for hit in (hit for hits in found for hit in hits.values()):
        if hit.saved.folder and not os.path.isdir(hit.saved.folder):
            hit.saved = replace(hit.saved, folder="", error=f"{hit.saved.folder} was removed meanwhile")


def hit_of_lost(job: Job, lost: Lost, store: FindingStore) -> Hit:
    """Keep and return the finding that a worker died or hung during a run."""
    spec = job.spec
    title = f"{lost.rule}: the process {lost.how} during a run of {spec.program}"
    finding = harness_finding(lost.rule, title, spec, worker=lost.worker, how=lost.how)
    return Hit(finding, spec, job.role, job.index, store.save_finding(spec, finding))


@dataclass(slots=True)
class Trouble:
    """A run that could not be made: its exit code, and what was said."""

    exit_code: int
    text: str
    spec: RunSpec


def is_wrong_call(troubles: Iterable[Trouble]) -> bool:
    """Say whether the call is wrong, or a file of the caller's own: that outweighs what some of the runs have found."""
    return any(trouble.exit_code == EXIT_USAGE for trouble in troubles)


def exit_code(verdict: str, troubles: Iterable[Trouble], interrupted: int) -> int:
    """Return the exit code of a campaign or an exploration as a whole.

    Args: interrupted: number of the signal that ended it, 0 if none did.
    """
    troubles = tuple(troubles)
    codes = {trouble.exit_code for trouble in troubles}
    if interrupted:
        return EXIT_SIGNALLED + interrupted
    if is_wrong_call(troubles):
        return EXIT_USAGE
    if verdict == "FAIL":
        return EXIT_FAIL
    for code in (EXIT_INTERNAL, EXIT_NONDETERMINISM):
        if code in codes:
            return code
    return EXIT_PASS if verdict == "PASS" else EXIT_UNKNOWN
