"""What is run, resolved: a scenario with all its parameters, a variant and a workload; and how an engine runs it.

Invariant: a program is a function of the parts of a spec that name what is run; who chooses, and the seed, are the
engine's.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass
from typing import Any

from mmrace import history, scenarios
from mmrace.history.variant import CORRECT, Variant, applied
from mmrace.runs.spec import RunSpec
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import InternalError, NondeterminismError, UsageError, Violation
from mmrace.runtime.fiber import Fiber
from mmrace.runtime.free import Free
from mmrace.runtime.gate import Gate
from mmrace.runtime.noise import Noise
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import Strategy
from mmrace.scenarios.scenario import Scenario, Stage
from mmrace.scenarios.workload import Workload

ERA = "3.3"
CONTROLLED: dict[str, type[Controlled]] = {"gate": Gate, "fiber": Fiber}
ENGINES = ("free", *CONTROLLED)
NO_RESULT = (UsageError, InternalError, NondeterminismError, KeyboardInterrupt)
"""Errors that are never the model's, planted bug or not."""


@dataclass(frozen=True)
class Program:
    """One program; see the module docstring."""

    scenario: Scenario
    params: dict[str, int | str]
    variant: Variant
    workload: Workload | None
    workload_name: str | None

    @classmethod
    def of(cls, spec: RunSpec) -> Program:
        """Resolve the names of a spec.  Raises UsageError for one that does not exist."""
        scenario = scenarios.get(spec.scenario)
        if spec.engine not in ENGINES:
            raise UsageError(expected=f"an engine out of {', '.join(ENGINES)}", got=spec.engine)
        variant = history.get(spec.variant) if spec.variant else CORRECT
        workload = Workload.load(spec.workload) if spec.workload else None
        params = scenario.merged(dict(spec.params))
        _check_workload(scenario, params, workload)
        return cls(scenario, params, variant, workload, spec.workload)

    @property
    def steps_max(self) -> int:
        """Bound of a run in ops."""
        return self.scenario.steps(self.params, len(self.workload.actions) if self.workload else 0)

    @property
    def ncpus(self) -> int:
        """CPUs of the machine."""
        return self.scenario.ncpus(self.params)

    def free(self, noise: str, seed: int) -> Free:
        """Return a free-running engine for one run."""
        return Free(Noise(noise, seed), seed=seed, ncpus=self.ncpus, steps_max=self.steps_max)

    def engine(
        self, name: str, strategy: Strategy, seed: int, *, sites: bool = False, promoted: frozenset[str] | None = None
    ) -> Controlled:
        """Return a controlled engine for one run."""
        return CONTROLLED[name](
            strategy, seed=seed, ncpus=self.ncpus, steps_max=self.steps_max, sites=sites, promoted=promoted
        )

    def play(self, engine: Free | Controlled) -> dict[str, Any]:
        """Run on `engine`; return the final state.

        Raises what the model raised, if that is no result: UsageError, InternalError, and for the correct protocol
        anything that is no Violation.
        """
        stage = Stage(self.params, self.workload)
        with applied(self.variant):
            engine.run(lambda: self.scenario.play(stage))
        error = engine.error
        if error is not None and not isinstance(error, Violation):
            if isinstance(error, NO_RESULT) or self.variant is CORRECT:
                raise error
            # a planted bug may trip over Python itself; that is a crash of the model, and no oracle's finding
            engine.end = {"how": "crash", "detail": {"error": f"{type(error).__name__}: {error}"}}
        return stage.final

    def record(self, engine: Free | Controlled, final: dict[str, Any], spec: RunSpec, **more: object) -> Record:
        """Return the record of a finished run.  Args: more: further entries of the header."""
        free = isinstance(engine, Free)
        promoted = None if isinstance(engine, Free) else engine.promoted
        header = {
            "scenario": spec.scenario,
            "params": self.params,
            "variant": spec.variant,
            "era": ERA,
            "engine": spec.engine,
            "strategy": None if free else spec.strategy,
            "load": list(spec.load),
            "noise": spec.noise if free else None,
            "seed": spec.seed,
            "workload": spec.workload,
            "ncpus": self.ncpus,
            "promoted": None if promoted is None else sorted(promoted),
            "explored": None if isinstance(engine, Free) else list(engine.explored()),
            **{"profile": None, "corpus": None, **more},
            "host": {"python": sys.version.split()[0], "machine": platform.machine()},
        }
        return Record.of_run(engine, header, final)


def _check_workload(scenario: Scenario, params: dict[str, int | str], workload: Workload | None) -> None:
    if scenario.needs_workload != (workload is not None):
        raise UsageError(
            expected=f"{'a' if scenario.needs_workload else 'no'} workload for {scenario.name}",
            got="none" if workload is None else workload.name,
            where="--workload",
        )
    if workload is not None and int(params["pages"]) < len(workload.pages):
        raise UsageError(
            expected=f"pages of at least {len(workload.pages)}, as workload {workload.name} has",
            got=params["pages"],
            where="--param",
        )
