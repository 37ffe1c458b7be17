"""What to run, and what came of it: plain data that travels between processes.

Invariant: a `RunSpec` says everything that a run depends on, so that the same spec gives the same run (under `gate`:
the same record; under `free`: the same noise).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

from mmrace.oracles.judgement import Finding
from mmrace.runtime.record import Record


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run.  `params` are sorted pairs; `variant` "" is the correct protocol; `workload` None is no workload."""

    scenario: str
    params: tuple[tuple[str, int | str], ...] = ()
    variant: str = ""
    engine: str = "free"
    strategy: str = "random"
    noise: str = "off"
    seed: int = 0
    workload: str | None = None

    def command(self) -> str:
        """Return the command that repeats this run."""
        words = ["mmrace", "run", self.scenario, "--engine", self.engine, "--seed", str(self.seed)]
        if self.engine == "free":
            words += ["--noise", self.noise]
        else:
            words += ["--strategy", self.strategy]
        if self.variant:
            words += ["--variant", self.variant]
        if self.workload:
            words += ["--workload", self.workload]
        for key, value in self.params:
            words += ["--param", f"{key}={value}"]
        return shlex.join(words)


@dataclass(slots=True)
class RunResult:
    """What came of one run.  `record` is there if the run did not pass, or if it was asked for."""

    spec: RunSpec
    verdict: str
    findings: list[Finding] = field(default_factory=list)
    ops: int = 0
    switches: int = 0
    seconds: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    record: Record | None = None
