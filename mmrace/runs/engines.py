"""Engines by name, and one of them made for one run of a program."""

from __future__ import annotations

from mmrace.runs.program import Engine, Program
from mmrace.runs.spec import RunSpec
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import UsageError
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.noise import Noise
from mmrace.runtime.strategy import Strategy

CONTROLLED: dict[str, type[Controlled]] = {"gate": GateEngine, "fiber": FiberEngine}
ENGINES = ("free", *CONTROLLED)


def check(name: str) -> None:
    """Raise UsageError if no engine has this name."""
    if name not in ENGINES:
        raise UsageError(expected=f"an engine out of {', '.join(ENGINES)}", got=name, where="--engine")


def free(program: Program, spec: RunSpec) -> FreeEngine:
    """Return a free-running engine for one run."""
    engine = FreeEngine(
        Noise(spec.noise, spec.seed),
        seed=spec.seed,
        ncpus=program.ncpus,
        steps_max=program.steps_max,
        tables=program.tables,
    )
    engine.spread = program.spread
    return engine


def controlled(
    program: Program,
    spec: RunSpec,
    strategy: Strategy,
    *,
    sites: bool = False,
    promoted: frozenset[str] | None = None,
) -> Controlled:
    """Return a controlled engine for one run."""
    check(spec.engine)
    engine = CONTROLLED[spec.engine](
        strategy,
        seed=spec.seed,
        ncpus=program.ncpus,
        steps_max=program.steps_max,
        sites=sites,
        promoted=promoted,
        tables=program.tables,
    )
    if program.spread:
        engine.spread = True
    return engine


__all__ = ["CONTROLLED", "ENGINES", "Engine", "check", "controlled", "free"]
