"""What the eras say of the claims, side by side: which verdicts change from one era to the next, and what shows it.

Every era plays the same programs, with the same parameters and seeds.  Invariant: a change is a difference of verdicts
of runs, never of expectations.  Not here: how an era is run (`driver.py`), and how the table looks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mmrace.claims.judges import Part
from mmrace.claims.programs import SETTINGS
from mmrace.claims.result import NOT_TESTED, ClaimsResult
from mmrace.history.eras import ERAS
from mmrace.oracles.general.judgement import Fact
from mmrace.runtime.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_PASS, EXIT_SIGNALLED, EXIT_UNKNOWN, unknown

ALL = "all"
SCHEMA = "mmrace-claims/1"


def select_eras(names: Sequence[str]) -> tuple[str, ...]:
    """Return the eras of these names in the order of time; "all" is every one.  Raises UsageError."""
    for name in names:
        if name != ALL and name not in ERAS:
            raise unknown("an era, or all", name, ERAS, where="--era", try_="`mmrace list eras` says what each is")
    return tuple(name for name in ERAS if ALL in names or name in names)


@dataclass(frozen=True, slots=True)
class Change:
    """A part whose verdict is another in era `after` than in the last one before it that was asked, `before`."""

    part: Part
    before: str
    after: str


class Across:
    """What came of several eras.  Args: results: era -> what came of it, in the order of time."""

    def __init__(self, results: Mapping[str, ClaimsResult]) -> None:
        self.results = dict(results)

    @property
    def eras(self) -> tuple[str, ...]:
        """The eras, in the order of time."""
        return tuple(self.results)

    @property
    def parts(self) -> list[Part]:
        """All parts of the claims that were asked."""
        return next(iter(self.results.values())).parts if self.results else []

    def verdicts(self, part: Part) -> dict[str, str]:
        """Return the verdict of each era on a part."""
        return {era: result.verdict(part) for era, result in self.results.items()}

    @property
    def changes(self) -> list[Change]:
        """The changes, part by part; an era in which nothing tested a part neither makes one nor hides one."""
        found = []
        for part in self.parts:
            told = [(era, verdict) for era, verdict in self.verdicts(part).items() if verdict != NOT_TESTED]
            for (before, old), (after, new) in pairwise(told):
                if old != new:
                    found.append(Change(part, before, after))
        return found

    @property
    def exit_code(self) -> int:
        """The worst of the eras' exit codes: of Ctrl-C, FAIL, trouble, UNKNOWN, PASS."""
        codes = [result.exit_code for result in self.results.values()]
        ranks = (EXIT_FAIL, EXIT_INTERNAL, EXIT_UNKNOWN, EXIT_PASS)
        return max((code for code in codes if code > EXIT_SIGNALLED), default=None) or min(
            codes, key=ranks.index, default=EXIT_PASS
        )

    def plain(self) -> dict[str, Fact]:
        """Return all of it as JSON values: what `mail.py` takes its evidence from."""
        used = {name for result in self.results.values() for found in result.evidence.values() for name in found}
        return {
            "schema": SCHEMA,
            "seed": next(iter(self.results.values())).seed if self.results else 0,
            "programs": {name: setting.command for name, setting in SETTINGS.items() if name in used},
            "eras": {era: {part.name: _plain(result, part) for part in result.parts}
                     for era, result in self.results.items()},
        }  # fmt: skip


def _plain(result: ClaimsResult, part: Part) -> dict[str, Fact]:
    """Return what one era says of one part."""
    sampled, witness = result.sampled(part), result.witnesses.get(part.name)
    told: dict[str, Fact] = {
        "verdict": result.verdict(part),
        "schedules": sampled.runs,
        "tested": result.tested(part),
        "times": result.times(part),
        "walked": {setting.name: counts.runs for setting, counts in result.walked(part) if counts.exhausted},
    }
    if witness is not None:
        told["witness"] = {"program": witness.setting, "schedule": witness.index, "title": witness.example.title}
    return told
