"""Which programs put the claims of exclusion to the test, and what their schedules said.

Invariant: no verdict is looked up; what the protocol's description says of a part (`Part.expected`) decides the exit
code only.  Not here: how the schedules are made.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmrace.claims.judges import Claim, Example, Part
from mmrace.runs.spec import Params, RunSpec
from mmrace.runtime.errors import EXIT_FAIL, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_PASS, EXIT_UNKNOWN


@dataclass(frozen=True, slots=True)
class Setting:
    """A program with bounded parameters, and how many of its schedules the default takes; 0: walk it to its end."""

    name: str
    scenario: str
    params: Params
    schedules: int

    @property
    def command(self) -> str:
        """Return how the program is named to `mmrace explore`."""
        how = "" if self.schedules else " --exhaustive"
        return f"{self.scenario}{how}" + "".join(f" --param {key}={value}" for key, value in self.params)


def _setting(name: str, scenario: str, schedules: int, **params: int | str) -> Setting:
    return Setting(name, scenario, tuple(sorted(params.items())), schedules)


def _small(name: str, scenario: str, **params: int | str) -> Setting:
    one: dict[str, int | str] = {
        "rounds": 1, "migrations": 1, "batch": 1, "passes": 1, "buffers": 1, "words": 1, "idle": 0, "irq": "idle",
    }  # fmt: skip
    return _setting(name, scenario, 0, **{**one, **params})


_PAIR: dict[str, int | str] = {"idle": 10, "rounds": 1, "migrations": 2, "dirtied": 2, "without": "reader,writer"}
_WRITTEN: dict[str, int | str] = {"idle": 40, "rounds": 2, "migrations": 3, "dirtied": 2, "without": "fsync"}

SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        _setting("async", "async-vs-commit", 300, idle=20, rounds=3, dirtied=2),
        _setting("sync", "sync-vs-commit", 300, idle=20, rounds=3, dirtied=2),
        _setting("async-commit", "async-vs-commit", 400, **_PAIR),
        _setting("sync-commit", "sync-vs-commit", 300, **_PAIR),
        _setting("metadata", "sync-vs-commit", 150, idle=20, rounds=2, migrations=3, metadata=1, device=1),
        _setting("lookups", "sync-vs-commit", 500, idle=0, rounds=6, migrations=3, without="writer,committer"),
        _setting("writeback", "migrate-vs-writeback", 300, **_WRITTEN),
        _setting("writeback-light", "migrate-vs-writeback", 200, **_WRITTEN, mode="MIGRATE_SYNC_LIGHT"),
        _setting("reclaim", "migrate-vs-reclaim", 300, idle=10, pages=3, rounds=4, migrations=6, pagevec=1),
        _small("async-reader", "async-vs-commit", without="writer,committer"),
        _small("sync-reader", "sync-vs-commit", without="writer,committer"),
    )
}
"""Parameters so that the actors meet; the last two are what DPOR can walk to its end in seconds."""

WALK = "dpor"
"""The strategy of a walk."""

_COMMIT = ("async", "sync", "async-commit", "sync-commit")
_READERS = ("async-reader", "sync-reader")
TESTS: dict[str, tuple[str, ...]] = {
    "C0": _COMMIT,
    "C1": (*_COMMIT, "writeback", "reclaim", *_READERS),
    "C2": (*_COMMIT, "writeback", "reclaim", *_READERS),
    "C3": ("sync", "lookups", *_READERS),
    "C4": (*_COMMIT, "metadata"),
    "C5": (*_COMMIT, "metadata"),
    "C6": ("writeback", "writeback-light"),
    "C7": ("async", "lookups", "writeback", *_READERS),
    "C8": ("reclaim", "metadata"),
    "C9": ("reclaim", "metadata"),
    "C10": (),
    "C11": ("async", "async-commit", "async-reader"),
    "C12": ("async", "async-commit", "reclaim"),
    "C13": ("sync", "sync-commit", "metadata", "writeback-light"),
    "C14": (*_COMMIT, "metadata", *_READERS),
}
"""Claim -> programs."""


def setting_of(spec: RunSpec) -> Setting:
    """Return the program of a run."""
    return next(s for s in SETTINGS.values() if (s.scenario, s.params) == (spec.program, spec.params))


def repeated_by(spec: RunSpec) -> str:
    """Return the command that repeats a run; of a walk, which has no run by itself, the one that walks again."""
    return f"mmrace explore {setting_of(spec).command}" if spec.strategy == WALK else spec.command()


@dataclass(frozen=True, slots=True)
class Witness:
    """The run that decides a part: which, its example, where its record is, and how often that was repeated."""

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
    """What the schedules of one program say of one part.  `first`: index of the first that decides it, -1: none."""

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
    """What came of it.  `evidence`: part -> setting -> what its schedules say."""

    claims: tuple[Claim, ...]
    seed: int
    evidence: dict[str, dict[str, PartCounts]] = field(default_factory=dict)
    witnesses: dict[str, Witness] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    runs: int = 0
    cut: int = 0
    seconds: float = 0.0
    interrupted: bool = False

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
            return "not tested yet"
        if self.times(part):
            return "true" if part.exists else "false as worded"
        return "not shown" if part.exists else "held"

    @property
    def broken(self) -> list[Part]:
        """Return the parts that the protocol's description says hold, and that a run refutes."""
        return [
            part for claim in self.claims for part in claim.parts
            if part.expected == "holds" and self.verdict(part) == "false as worded"
        ]  # fmt: skip

    @property
    def without_instance(self) -> list[Part]:
        """Return the parts that have programs and were not tested by any run."""
        return [part for claim in self.claims for part in claim.parts if not self.tested(part)]

    @property
    def exit_code(self) -> int:
        """The exit code: Ctrl-C, a claim broken or a run that failed, trouble, a claim without instances, or none."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.broken or self.failures:
            return EXIT_FAIL
        if self.troubles:
            return EXIT_INTERNAL
        unshown = any(self.verdict(part) == "not shown" for claim in self.claims for part in claim.parts)
        unproven = any(w.error or w.replayed < w.tried for w in self.witnesses.values())
        return EXIT_UNKNOWN if self.without_instance or unshown or unproven else EXIT_PASS
