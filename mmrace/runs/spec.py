"""What to run, and what came of it: plain data that travels between processes.

Invariant: a `RunSpec` says everything that a run depends on, so that the same spec gives the same run (under `gate`:
the same record; under `free`: the same noise).
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from mmrace.oracles.general.judgement import Fact, Finding
from mmrace.runs.conversion import Conversion
from mmrace.runtime.param import Value
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import Followed
from mmrace.strategies import registry
from mmrace.strategies.feedback import Shown

Params: TypeAlias = tuple[tuple[str, Value], ...]
"""Parameters of a run, sorted by name."""

SEED_BITS = 48  # short enough to type, wide enough that no campaign meets a seed twice


class LoadedFile(NamedTuple):
    """A file of the user's own that adds to what there is (`registrations.py`).

    `digest`: of it and what it imports from beside it; "": as it is now.
    """

    path: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run.

    A program travels as text.  Args: program: its name.  maker: who makes programs of that name (`program.Makers`).
    params: sorted pairs, of parameters that differ from the program's defaults.  digest: hash of the program's file, ""
    if the program comes with mmrace.  variant: "" for the program as it stands.  era: which
    state of the program, of those that its maker has; "" for the maker's own.  workload: a file or name, or None.
    promote: which plain accesses are switch points under a controlled engine: "all", "racing", or fields by name.
    load: Python files of the user's own, loaded first.  without: judges that are switched off.
    """

    program: str
    params: Params = ()
    variant: str = ""
    engine: str = "free"
    strategy: str = "random"
    noise: str = "off"
    seed: int = 0
    workload: str | None = None
    promote: str = "all"
    load: tuple[LoadedFile, ...] = ()
    maker: str = "scenario"
    digest: str = ""
    without: tuple[str, ...] = ()
    era: str = ""

    def command(self, signature: str = "") -> str:
        """Return the command that repeats this run; of a walk through a tree, the one that walks there again.

        Args: signature: of the finding that a walk is to stop at, which need not be its first one.
        """
        if self.engine != "free" and registry.is_systematic(self.strategy):
            words = ["mmrace", "explore", self.program, "--exhaustive"]
            if signature:
                words += ["--until", signature]
        else:
            words = ["mmrace", "run", self.program]
        words += ["--engine", self.engine, "--seed", str(self.seed)]
        for file in self.load:
            words += ["--load", file.path]
        if self.engine == "free":
            words += ["--noise", self.noise]
        else:
            words += ["--strategy", self.strategy]
            if self.promote != "all":
                words += ["--promote", self.promote]
        if self.era:
            words += ["--era", self.era]
        if self.variant:
            words += ["--variant", self.variant]
        if self.workload:
            words += ["--workload", self.workload]
        for judge in self.without:
            words += ["--without", judge]
        for key, value in self.params:
            words += ["--param", f"{key}={value}"]
        return shlex.join(words)


@dataclass(slots=True)
class RunResult:
    """What came of one run.

    Attributes: findings: known ones too, which fail no run.  expects: where those are written down that could have been
    seen.  record: of a run that did not pass, or if it was asked for.  raced: plain fields that race, as far as
    the data race judge was asked.  followed: how much of the schedule that its strategy was given it was, if that was
    given one.  alone: why it is UNKNOWN only because there was nothing to interleave; else "".  told, rejudged: of a
    replay: what could not be compared or differs because another version made the record; how the verdict differs.
    unchecked: of a replay: nobody can say that its strategy and seed come to it, or are those that the record was
    written with.  claim: of a replayed witness: what its claim's judge says of it.  free: the record of free threads
    that this run was made after.  conversion: what came of making one so.  digest (of the class), profile, shown: of
    runs of an exploration only.
    """

    spec: RunSpec
    verdict: str
    findings: list[Finding] = field(default_factory=list)
    expects: tuple[str, ...] = ()
    ops: int = 0
    switches: int = 0
    seconds: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    record: Record | None = None
    raced: frozenset[str] = frozenset()
    digest: int | None = None
    alone: str = ""
    profile: str | None = None
    shown: Shown | None = None
    followed: Followed | None = None
    told: list[str] = field(default_factory=list)
    rejudged: list[str] = field(default_factory=list)
    unchecked: bool = False
    claim: Mapping[str, Fact] | None = None
    free: Record | None = None
    conversion: Conversion | None = None

    @property
    def shows(self) -> bool:
        """Whether there is something to keep: it failed, or showed what its program is known for."""
        return self.verdict == "FAIL" or bool(self.findings)


def derive(seed: int, *names: object) -> int:
    """Return the seed of one run: a hash, so that neighbours have nothing in common."""
    text = "/".join(str(part) for part in (seed, *names))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)
