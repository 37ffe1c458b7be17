"""What the schedules of the programs said of the claims, and the verdicts and the exit code that follow.

Invariant: no verdict is looked up; what the protocol's description says of a part (`Part.expected`) decides the exit
code only.  Not here: how the schedules are made.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mmrace.claims.judges import Claim, Example, Expected, Part
from mmrace.claims.programs import SETTINGS, Setting
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_PASS, EXIT_SIGNALLED, EXIT_UNKNOWN

CUT = "cut"
"""How a run ended that reached its bound."""
NOT_TESTED = "not tested yet"


@dataclass(frozen=True, slots=True)
class Witness:
    """The run that decides a part: which one, its example, where its record is, how often the record was repeated."""

    setting: str
    index: int
    spec: RunSpec
    example: Example
    path: str = ""
    replayed: int = 0
    tried: int = 0
    error: str = ""


@dataclass(slots=True)
class PartCounts:
    """What the schedules of one program say of one part.  `first`: index of the first that decides it, or -1."""

    runs: int = 0
    tested: int = 0
    times: int = 0
    first: int = -1
    exhausted: bool = False

    def add(self, index: int, tested: int, times: int) -> None:
        """Count one run."""
        self.runs += 1
        self.tested += tested
        self.times += times
        if times and (self.first < 0 or index < self.first):
            self.first = index


@dataclass(slots=True)
class Failure:
    """A run that ended as no correct run does."""

    spec: RunSpec
    how: str


@dataclass(slots=True)
class ClaimsResult:
    """What came of the schedules of one era; "": the model's own.

    `evidence`: part -> program -> what its schedules say.  `interrupted`: the signal that ended it, 0 if none did.
    """

    claims: tuple[Claim, ...]
    seed: int
    evidence: dict[str, dict[str, PartCounts]] = field(default_factory=dict)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    trouble_codes: set[int] = field(default_factory=set)
    losses: Counter[str] = field(default_factory=Counter)
    """Workers that were lost: how -> how many."""
    given_up: list[RunSpec] = field(default_factory=list)
    runs: int = 0
    cut: int = 0
    seconds: float = 0.0
    interrupted: int = 0
    era: str = ""

    def add_unfinished(self, spec: RunSpec, how: str) -> None:
        """Count a run that ended other than by finishing; unless it was cut, it failed."""
        if how == CUT:
            self.cut += 1
        else:
            self.failures.append(Failure(spec, how))

    def programs(self, part: Part) -> list[tuple[Setting, PartCounts]]:
        """Return the programs that were run for a part, in their own order, with what they say."""
        found = self.evidence.get(part.name, {})
        return [(setting, found[name]) for name, setting in SETTINGS.items() if name in found]

    def sampled(self, part: Part) -> PartCounts:
        """Return the sum over the programs that were sampled."""
        total = PartCounts()
        for setting, evidence in self.programs(part):
            if setting.schedules:
                total.runs += evidence.runs
                total.tested += evidence.tested
                total.times += evidence.times
        return total

    def walked(self, part: Part) -> list[tuple[Setting, PartCounts]]:
        """Return the programs that were walked, with what they say; without those that put the part to no test."""
        return [(setting, e) for setting, e in self.programs(part) if not setting.schedules and e.tested]

    def tested(self, part: Part) -> int:
        """Return how many instances were tested in all."""
        return sum(evidence.tested for _, evidence in self.programs(part))

    def times(self, part: Part) -> int:
        """Return how many instances decide the part."""
        return sum(evidence.times for _, evidence in self.programs(part))

    def verdict(self, part: Part) -> str:
        """Return "not tested yet", "false as worded", "true", "not shown", or "held"."""
        if not self.tested(part):
            return NOT_TESTED
        if self.times(part):
            return "true" if part.exists else "false as worded"
        return "not shown" if part.exists else "held"

    @property
    def parts(self) -> list[Part]:
        """All parts of the claims."""
        return [part for claim in self.claims for part in claim.parts]

    def expected(self, part: Part) -> Expected:
        """Return what the source of the era says of a part."""
        return part.expects(self.era).what

    @property
    def broken(self) -> list[Part]:
        """Return the parts of which a run shows what the source excludes.

        A part that holds by the source is refuted, what there is not by the source is there, or what nothing can ask by
        the source was asked.
        """
        excluded = {"holds": "false as worded", "false": "true"}
        return [
            part for part in self.parts
            if (self.tested(part) and self.expected(part) == "nothing")
            or self.verdict(part) == excluded.get(self.expected(part))
        ]  # fmt: skip

    @property
    def without_instance(self) -> list[Part]:
        """Return the parts that the era can be asked and that were not tested by any run."""
        return [part for part in self.parts if not self.tested(part) and self.expected(part) != "nothing"]

    @property
    def unshown(self) -> list[Part]:
        """Return the parts that say that something exists, by the source too, and that no run shows."""
        return [part for part in self.parts if self.verdict(part) == "not shown" and self.expected(part) == "holds"]

    @property
    def exit_code(self) -> int:
        """The exit code: of Ctrl-C, a broken part or failed run, trouble, something unknown, or PASS, in this order."""
        if self.interrupted:
            return EXIT_SIGNALLED + self.interrupted
        if self.broken or self.failures:
            return EXIT_FAIL
        if self.troubles:
            return EXIT_UNKNOWN if self.trouble_codes == {EXIT_UNKNOWN} else EXIT_INTERNAL
        unproven = any(w.error or w.replayed < w.tried for w in self.witnesses.values())
        return EXIT_UNKNOWN if self.without_instance or self.unshown or unproven else EXIT_PASS
