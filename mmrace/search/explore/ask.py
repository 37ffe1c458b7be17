"""What an exploration is asked for, and the check of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import OWN_FILE, UsageError, unknown
from mmrace.search.options import Options
from mmrace.strategies import registry


@dataclass(frozen=True, slots=True)
class Ask(Options):
    """An exploration to make.

    `program`, `maker`, `digest`: what is explored (`RunSpec`).  `exhaustive`: until the tree is walked.
    `until`: until the finding of this signature, whatever is found before.
    """

    program: str
    maker: str = "scenario"
    digest: str = ""
    exhaustive: bool = False
    until: str = ""
    engine: str = field(default="fiber", kw_only=True)

    @property
    def systematic(self) -> bool:
        """Whether a tree is walked, in this process, rather than schedules drawn."""
        return registry.is_systematic(self.strategy)

    def spec(self, strategy: str, seed: int) -> RunSpec:
        """Return the spec of one of its runs."""
        return RunSpec(
            self.program,
            params=self.params,
            variant=self.variant,
            era=self.era,
            engine=self.engine,
            strategy=strategy,
            seed=seed,
            workload=self.workload,
            promote="all" if self.systematic else self.promote,
            load=self.load,
            maker=self.maker,
            digest=self.digest,
            without=self.without,
        )


def check(ask: Ask) -> Ask:
    """Return the ask, if its parts fit together.  Raises UsageError."""
    registry.check(ask.strategy, systematic=True)
    if ask.exhaustive and not ask.systematic:
        raise UsageError(
            expected="a strategy that knows its end", got=ask.strategy, where="--exhaustive", try_="--strategy dpor"
        )
    if ask.systematic and ask.jobs > 1:
        raise UsageError(
            expected="one process: a walk depends on its own last run", got=ask.jobs, where="--jobs", try_="no --jobs"
        )
    return ask


def check_judges(without: Iterable[str], judges: Collection[str]) -> None:
    """Raise UsageError if a judge that is to be switched off is none of `judges`."""
    for name in without:
        if name not in judges:
            raise unknown(
                "a judge", name, judges, where="--without", try_=f"`mmrace list oracles` shows all; {OWN_FILE}"
            )
