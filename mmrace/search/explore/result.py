"""What came of an exploration: schedules, classes, findings, and a verdict.

Invariant: everything that is shown is here, as numbers and names.  An exploration is exhaustive if its tree was walked
to the end and every run could be judged.  Not here: text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import NOTHING
from mmrace.runs.minimal import Minimal, Plain
from mmrace.runs.spec import RunSpec
from mmrace.runtime.strategy import Followed
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.promotion import LOOK
from mmrace.search.totals import UNKNOWN_SHARE_MAX, Hits, Tally, Trouble, exit_code, is_wrong_call
from mmrace.strategies.order.classes import Classes

TOO_SHORT = ": the time was up before; try: a longer --for, or smaller parameters"
SMALLER = "smaller parameters, more time, or schedules that are drawn (no --exhaustive)"
"""What to do about a tree that is too large to be walked."""


@dataclass(slots=True)
class Covered:
    """How far a systematic search got."""

    exhausted: bool = False
    blocked: int = 0
    bound: int | None = None
    """The last bound that an iterative search walked to its end; None before the first, and for other searches."""


@dataclass(slots=True)
class Exploration:
    """An exploration, under way or over."""

    ask: Ask
    tally: Tally = field(default_factory=Tally)
    classes: Classes = field(default_factory=Classes)
    covered: Covered | None = None
    hits: Hits = field(default_factory=Hits)
    known: Hits = field(default_factory=Hits)
    """Findings that are expected of the program, and fail nothing."""
    replayed: dict[str, tuple[int, int]] = field(default_factory=dict)
    """signature -> (replays that repeated it, replays tried)."""
    realised: dict[str, str] = field(default_factory=dict)
    """signature of a predicted deadlock -> signature of the one that a search for it met, "" if none was met."""
    minimal: dict[str, Minimal | str] = field(default_factory=dict)
    """signature -> its minimal schedule, or why there is none; of those that were made smaller."""
    by_strategy: dict[str, list[int]] = field(default_factory=dict)
    """strategy -> [schedules, classes that it was the first to meet]."""
    met: dict[str, Counter[str]] = field(default_factory=dict)
    """signature -> strategy -> schedules in which it was met."""
    promoted: tuple[str, ...] | None = None
    """Plain fields that are switch points, but for looks; None: all are."""
    since: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """schedule -> fields that are switch points from it on, where they had to be looked for."""
    looks: int = 0
    """Schedules that were to look for them."""
    profile: str | None = None
    followed: Followed | None = None
    """How much of the schedule that its strategy was given the last run was."""
    troubles: list[Trouble] = field(default_factory=list)
    losses: Counter[str] = field(default_factory=Counter)
    """Workers that were lost: how -> how many."""
    given_up: list[RunSpec] = field(default_factory=list)
    """Schedules that no worker survived."""
    seconds: float = 0.0
    interrupted: int = 0

    def take_promoted(self, fields: Collection[str] | None, since: Mapping[int, tuple[str, ...]] | None = None) -> None:
        """Note which plain fields are switch points now."""
        self.promoted = None if fields is None else tuple(sorted(fields))
        self.since = dict(since or {})

    def rarity(self, signature: str) -> Plain | None:
        """Return how often a finding was met, of how many schedules; for each strategy that drew some, too.

        None for a deadlock that a search of its own made happen.
        """
        met = self.met.get(signature)
        if met is None:
            return None
        each = {name: {"hits": met[name], "of": counts[0]} for name, counts in self.by_strategy.items()}
        return {"hits": met.total(), "of": self.tally.runs, "strategies": each if len(each) > 1 else {}}

    def health(self) -> Plain:
        """Return what says that the search did its work."""
        return {
            "schedules": self.tally.runs,
            "classes of interleavings": self.classes.distinct,
            "could not be judged": self.tally.unjudged,
        }

    @property
    def exhaustive(self) -> bool:
        """Whether every class was visited and judged."""
        return self.covered is not None and self.covered.exhausted and not self.tally.unjudged

    def unknown_because(self) -> str:
        """Say why an exploration without a finding proves nothing; "" if it proves something."""
        runs, unknown = self.tally.runs, self.tally.unjudged + len(self.given_up)
        if not runs:
            return f"no schedule was run{TOO_SHORT if self.ask.seconds is not None else ''}"
        if runs == self.looks and self.ask.seconds is not None and self.ask.strategy != LOOK:
            only = f"only schedules that look for racing fields were run ({runs}), none of {self.ask.strategy}"
            return f"{only}{TOO_SHORT}"
        if nobody := self.tally.nobody_met():
            return nobody
        if missing := self.tally.never_seen():
            return f"{missing}; try: more schedules"
        if unknown > UNKNOWN_SHARE_MAX * runs:
            return f"{unknown} of {runs} runs could not be judged{self._told()}"
        if self.ask.exhaustive and not self.exhaustive:
            if not unknown:
                walked = f"its {runs:,} schedule{'' if runs == 1 else 's'} prove nothing of the rest"
                return f"the tree was not walked to its end: {walked}; try: {SMALLER}"
            return f"{unknown} run{'' if unknown == 1 else 's'} could not be judged{self._told()}"
        return ""

    def _told(self) -> str:
        """Return why runs could not be judged, as far as their judges say: the reason that most of them have."""
        reasons = [text for text, _ in self.tally.unknown.most_common() if not text.endswith(NOTHING)]
        return f" ({reasons[0]})" if reasons else ""

    @property
    def verdict(self) -> str:
        """PASS, FAIL or UNKNOWN; the last of a wrong call, whatever some of its runs found, as the exit code has it."""
        if is_wrong_call(self.troubles):
            return "UNKNOWN"
        if self.hits or self.tally.verdicts["FAIL"]:
            return "FAIL"
        return "UNKNOWN" if self.troubles or self.interrupted or self.unknown_because() else "PASS"

    @property
    def exit_code(self) -> int:
        """The exit code, as of a campaign."""
        return exit_code(self.verdict, self.troubles, self.interrupted)
