"""What a page of a night tells, as plain facts: numbers, names and texts, ready to be shown by whoever shows them.

Invariant: everything comes from a store, so the same store has the same facts; times are seconds since 1970, UTC; a
number that is a share, or an estimate, stands with what it is a share of, or with its interval.  `None` says that
nobody counted, and never zero.  Not here: where facts come from (`gathered.py`), what they amount to (`verdict.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mmrace.report.night.lanes import Picture


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Classes:
    """How many classes of interleavings were met, and what is said of those that were not.

    Attributes: met: distinct ones.  runs: of which somebody noted the class; they may be a sample of all.  exact:
    counted, not estimated from a sample of the classes.  once: met once.  next_new: the chance that the next such run
    shows a new one (Good-Turing).  total: how many there are at least (Chao); None where too little came twice to say.
    """

    met: int
    runs: int
    exact: bool
    once: int
    next_new: Estimate | None
    total: Estimate | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Sums over runs that should pass.

    Attributes: seconds: of runs, all workers together.  unjudged: of `unknown` those that had something to judge.
    """

    runs: int = 0
    ops: int = 0
    seconds: float = 0.0
    passed: int = 0
    failed: int = 0
    unknown: int = 0
    unjudged: int = 0
    given_up: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """What was run of one program under one engine.  `doubts`: why it proves nothing yet; empty if it does."""

    name: str
    variant: str
    era: str
    engine: str
    counted: Counted
    classes: Classes | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of the night that ends at `when`: runs in it by engine; classes met from the begin up to there."""

    when: float
    seconds: float
    runs: Mapping[str, int]
    classes: Classes | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign.

    Attributes: verdict: "" of one that has not ended, or was killed; seconds: None likewise.  resumed: how often
    another process went on with it.  early: it has runs left, though it ended by itself.
    """

    name: str
    began: float
    command: str
    host: str
    revision: str
    version: str
    verdict: str = ""
    exit_code: int | None = None
    interrupted: int = 0
    seconds: float | None = None
    unkept_runs: int = 0
    losses: Mapping[str, int] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    unplanted: tuple[str, ...] = ()
    running: bool = False
    resumed: int = 0
    early: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """A campaign before the night, and what came of its runs that should pass."""

    campaign: Campaign
    counted: Counted
    canaries: int
    found: int


@dataclass(frozen=True, slots=True)
class StoryOf:
    """The story of a finding, from its folder.

    Attributes: cause, expected, seen: sentences.  changes: fields, what they were and became.  text: all that `mmrace
    explain` prints.  picture: who did what when.  missing: why there is no story, "" if there is one.
    """

    cause: str = ""
    expected: str = ""
    seen: str = ""
    changes: tuple[str, ...] = ()
    text: str = ""
    picture: Picture | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """How often a finding was met in a span of time that begins at `when`, and in how many runs of its program."""

    when: float
    hits: int
    runs: int
    rate: Estimate


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding and its life.

    Attributes: state: new, known, unseen or came-back.  known: where it is written down as expected, "" if it is not.
    tonight: in how many runs of the night it was seen; of: how many runs of its program there were.  noted: the night
    has its words, and no run that was counted has it.  hits, runs, rate: in the store's whole history.  unseen_runs:
    made since it was last seen.  seen: (when, hits); over_time: the same in equal spans.  commands: to paste.
    """

    signature: str
    title: str
    oracle: str
    rule: str
    program: str
    variant: str
    era: str
    state: str
    known: str
    tonight: int
    of: int
    hits: int
    runs: int
    rate: Estimate
    first_when: float
    first_revision: str
    last_when: float
    last_revision: str
    unseen_since: str = ""
    unseen_runs: int = 0
    noted: bool = False
    seen: tuple[tuple[float, int], ...] = ()
    over_time: tuple[Span, ...] = ()
    commands: tuple[str, ...] = ()
    folder: str = ""
    story: StoryOf = field(default_factory=StoryOf)

    @property
    def came(self) -> bool:
        """Whether it was seen in the night."""
        return self.tonight > 0 or self.noted

    @property
    def fails(self) -> bool:
        """Whether the night fails by it."""
        return self.came and not self.known


@dataclass(frozen=True, slots=True)
class Trial:
    """A canary in one campaign."""

    when: float
    campaign: str
    found_after: int | None
    tried: int
    cap: int
    twin_runs: int
    twin_failed: int

    @property
    def missed(self) -> bool:
        """Whether its cap was reached in vain."""
        return self.found_after is None and self.tried >= self.cap


@dataclass(frozen=True, slots=True)
class Canary:
    """A planted bug: its trials of the night, and of before, oldest first."""

    name: str
    oracle: str
    tonight: tuple[Trial, ...]
    before: tuple[Trial, ...] = ()

    @property
    def found(self) -> bool:
        """Whether a trial of the night found it."""
        return any(trial.found_after is not None for trial in self.tonight)

    @property
    def missed(self) -> bool:
        """Whether a trial of the night reached its cap in vain."""
        return any(trial.missed for trial in self.tonight)


@dataclass(frozen=True, slots=True)
class Marks:
    """Rare branches.  `reached`: name -> times.  `missed`: expected ones; None if no campaign says what it expects."""

    reached: Mapping[str, int] = field(default_factory=dict)
    missed: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """A known fault that is expected: where it is written down, in how many of how many runs it showed."""

    row: str
    seen: int
    of: int


@dataclass(frozen=True, slots=True)
class Refused:
    """What was tried and refused: by reason, and how often it was tried, None if nobody counts that."""

    what: str
    reasons: tuple[tuple[str, int], ...]
    tried: int | None = None


@dataclass(frozen=True, slots=True)
class Ranges:
    """Runs of one sequence: which it is, and its turns, as (first, stop)."""

    key: str
    program: str
    role: str
    engine: str
    how: str
    seed: int
    turns: tuple[tuple[int, int], ...]
    revision: str = ""

    @property
    def runs(self) -> int:
        """How many turns those are."""
        return sum(stop - first for first, stop in self.turns)


class Felt(NamedTuple):
    """How a worker felt: resident bytes, threads left behind, open files, blocks of living objects (`Health`)."""

    when: float
    rss: int = 0
    stray: int = 0
    files: int = 0
    living: int = 0


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker of a campaign over time."""

    name: str
    campaign: str
    samples: tuple[Felt, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a night amounts to.

    Attributes: word: PASS, FAIL or UNKNOWN.  sentence: the night in one.  because: what makes it so, worst first.
    rests: what a PASS would rest on, and what is missing from that.
    """

    word: str
    sentence: str
    because: tuple[str, ...] = ()
    rests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night of a store.

    Attributes: chosen: how it was chosen, in words.  since, until: from when to when, None of an empty one.  total,
    programs, classes, moments: of runs that should pass, but for `twins`, the correct ones beside the `planted` bugs.
    ahead: how many campaigns began later than now.  ranges: of the store, of sequences to which the night added.
    damage: what of the store could not be read.  earlier, before: other campaigns of the store, how many, and the last.
    """

    store: str
    chosen: str
    since: float | None = None
    until: float | None = None
    campaigns: tuple[Campaign, ...] = ()
    ahead: int = 0
    total: Counted = field(default_factory=Counted)
    twins: Counted = field(default_factory=Counted)
    planted: Counted = field(default_factory=Counted)
    programs: tuple[Program, ...] = ()
    unjudged: tuple[tuple[str, int], ...] = ()
    classes: Classes | None = None
    moments: tuple[Moment, ...] = ()
    findings: tuple[Finding, ...] = ()
    expected: tuple[Expected, ...] = ()
    canaries: tuple[Canary, ...] = ()
    marks: Marks = field(default_factory=Marks)
    refused: tuple[Refused, ...] = ()
    counters: tuple[tuple[str, int], ...] = ()
    ranges: tuple[Ranges, ...] = ()
    ranges_dropped: int = 0
    workers: tuple[Worker, ...] = ()
    damage: tuple[str, ...] = ()
    earlier: int = 0
    before: tuple[Before, ...] = ()
