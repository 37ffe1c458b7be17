"""What an exploration is asked for, and what came of it: schedules, classes, findings, and a verdict.

Invariant: everything that is shown is here, as numbers and names.  PASS says how much was covered; UNKNOWN says that
nothing was; a tree walked to its end, without a run that could not be judged, is exhaustive.  Not here: text.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from mmrace import oracles
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.search.catalogue import Params
from mmrace.search.totals import HITS_MAX, UNKNOWN_SHARE_MAX, Hit, Tally, Trouble, exit_code
from mmrace.strategies import registry
from mmrace.strategies.order.classes import Classes

REPLAYS = 5
"""Strict replays of each finding's record: each is a proof; some more show that nothing but the record decides."""


@dataclass(frozen=True, slots=True)
class Ask:
    """An exploration to make.

    `seconds`, `schedules` None: not bounded by it.  `exhaustive`: until the tree is walked.  `promote` says nothing to
    a systematic search, which switches at every plain access.  `without`: judges that are switched off.  `load`: Python
    files that register strategies.
    """

    scenario: str
    strategy: str
    params: Params = ()
    variant: str = ""
    workload: str | None = None
    engine: str = "fiber"
    seed: int = 1
    schedules: int | None = None
    seconds: float | None = None
    exhaustive: bool = False
    jobs: int = 1
    promote: str = "racing"
    without: tuple[str, ...] = ()
    load: tuple[str, ...] = ()

    @property
    def systematic(self) -> bool:
        """Whether a tree is walked, in this process, rather than schedules drawn."""
        return registry.is_systematic(self.strategy)

    def spec(self, strategy: str, seed: int) -> RunSpec:
        """Return the spec of one of its runs."""
        return RunSpec(
            self.scenario,
            self.params,
            self.variant,
            self.engine,
            strategy,
            "off",
            seed,
            self.workload,
            "all" if self.systematic else self.promote,
            self.load,
        )


def checked(ask: Ask) -> Ask:
    """Return the ask, if its parts fit together.  Raises UsageError."""
    registry.check(ask.strategy, systematic=True)
    for name in ask.without:
        if name not in oracles.ORACLES:
            close = difflib.get_close_matches(name, oracles.ORACLES)
            hint = f"did you mean {' or '.join(close)}?" if close else ""
            judges = ", ".join(oracles.ORACLES)
            raise UsageError(expected=f"a judge out of {judges}", got=name, where="--without", try_=hint)
    if ask.exhaustive and not ask.systematic:
        raise UsageError(
            expected="a strategy that knows its end", got=ask.strategy, where="--exhaustive", try_="--strategy dpor"
        )
    if ask.systematic and ask.jobs != 1:
        raise UsageError(
            expected="one process: a walk depends on its own last run", got=ask.jobs, where="--jobs", try_="no --jobs"
        )
    return ask


@dataclass(slots=True)
class Covered:
    """How far a systematic search got."""

    exhausted: bool = False
    blocked: int = 0
    bound: int | None = None
    """Of an iterative search: the last bound that was walked to its end; None: none, or no such search."""


@dataclass(slots=True)
class Exploration:
    """An exploration, under way or over."""

    ask: Ask
    tally: Tally = field(default_factory=Tally)
    classes: Classes = field(default_factory=Classes)
    covered: Covered | None = None
    hits: dict[str, Hit] = field(default_factory=dict)
    replayed: dict[str, tuple[int, int]] = field(default_factory=dict)
    """signature -> (replays that repeated it, replays tried)."""
    realised: dict[str, str] = field(default_factory=dict)
    """signature of a predicted deadlock -> signature of the one that a search for it met, "" if none was met."""
    by_strategy: dict[str, list[int]] = field(default_factory=dict)
    """strategy -> [schedules, classes that it was the first to meet]."""
    promoted: tuple[str, ...] | None = None
    profile: str | None = None
    exercised: bool = False
    """Whether some run had a point at which two tasks could go on."""
    troubles: list[Trouble] = field(default_factory=list)
    deaths: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    def hit(self, new: Hit) -> Hit | None:
        """Count a finding; return it if its signature is new."""
        old = self.hits.get(new.finding.signature)
        if old is not None:
            old.times += 1
            return None
        if len(self.hits) < HITS_MAX:
            self.hits[new.finding.signature] = new
            return new
        return None

    @property
    def exhaustive(self) -> bool:
        """Whether every class was visited and judged."""
        return self.covered is not None and self.covered.exhausted and not self.tally.verdicts["UNKNOWN"]

    def unknown_because(self) -> str:
        """Say why an exploration without a finding proves nothing; "" if it proves something."""
        runs, unknown = self.tally.runs, self.tally.verdicts["UNKNOWN"]
        if not runs:
            return "no schedule was run"
        if not self.exercised:
            return "no interleaving was exercised: no run had two tasks that could go on at once"
        if unknown > UNKNOWN_SHARE_MAX * runs:
            return f"{unknown} of {runs} runs could not be judged"
        if self.ask.exhaustive and not self.exhaustive:
            return "the tree was not walked to its end" if not unknown else f"{unknown} runs could not be judged"
        return ""

    @property
    def verdict(self) -> str:
        """PASS, FAIL or UNKNOWN."""
        if self.hits or self.tally.verdicts["FAIL"]:
            return "FAIL"
        return "UNKNOWN" if self.troubles or self.interrupted or self.unknown_because() else "PASS"

    @property
    def exit_code(self) -> int:
        """The exit code, as of a campaign."""
        return exit_code(self.verdict, self.troubles, self.interrupted)
