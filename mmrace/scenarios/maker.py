"""The maker of the kernel model's programs: a scenario with all its parameters, an era, a variant, a workload.

Invariant: the same names give the same program in every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mmrace import history, scenarios
from mmrace.history import eras
from mmrace.history.canary import Canary
from mmrace.history.era import OWN, Era
from mmrace.history.variant import CORRECT, Variant, applied
from mmrace.oracles.general.expected import Expected
from mmrace.oracles.general.judgement import Oracle
from mmrace.oracles.protocol import FORWARD, OPTIONAL, PROTOCOL
from mmrace.runs import registrations
from mmrace.runs.program import Engine, Program
from mmrace.runs.spec import Params, RunSpec
from mmrace.runs.unused import Kind
from mmrace.runtime import given
from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.param import Value, Values, smaller
from mmrace.runtime.record import Record
from mmrace.scenarios import casts, counters, crash, model
from mmrace.scenarios.scenario import WITHOUT, Scenario, Stage, absent
from mmrace.scenarios.tables import KERNEL
from mmrace.scenarios.workload import Workload

KIND = "scenario"
VARIANT_FORM = "Variant(name, title, bind)"
JUDGES: dict[str, Oracle] = {**PROTOCOL, crash.NAME: crash.judge}
"""Who judges a scenario: judges that know records only, and the one that was handed the recovery of the model."""


@dataclass(frozen=True)
class ScenarioProgram(Program):
    """One scenario, ready to be played."""

    scenario: Scenario
    params: dict[str, Value]
    variant: Variant
    era: Era
    workload: Workload | None
    workload_name: str | None
    judges = JUDGES
    required = frozenset(PROTOCOL) - OPTIONAL
    forward = FORWARD
    tables = KERNEL

    @property
    def name(self) -> str:  # type: ignore[override]
        """The scenario's name."""
        return self.scenario.name

    @property
    def may_raise(self) -> bool:  # type: ignore[override]
        """A planted bug, or an actor of a user's own, may trip over Python itself: a crash that is a finding."""
        return self.variant is not CORRECT or casts.is_registered(self.scenario)

    @property
    def key(self) -> tuple[object, ...]:
        """What the program is a function of."""
        return self.name, tuple(sorted(self.params.items())), self.variant.name, self.era.name, self.workload_name

    @property
    def expects(self) -> tuple[Expected, ...]:
        """What the scenario is known for, as far as its parameters allow it."""
        return self.scenario.expected(self.params)

    @property
    def ncpus(self) -> int:
        """CPUs of the machine."""
        return self.scenario.ncpus(self.params)

    @property
    def steps_max(self) -> int:
        """Bound of a run in ops."""
        return self.scenario.steps(self.params, len(self.workload.actions) if self.workload else 0)

    def play(self, engine: Engine) -> dict[str, Any]:
        """Run on `engine` with the names of its era and variant bound; return the snapshots."""
        stage = Stage(self.params, self.workload)
        with applied(*self.era.stack, self.variant):
            engine.run(lambda: self.scenario.play(stage))
        return stage.final

    def lonely(self) -> str:
        """Say who plays, if that is one actor or none."""
        playing = self.scenario.playing(self.params)
        if len(playing) > 1:
            return ""
        return (
            f"only {playing[0].name} is left in {self.name}" if playing else f"every actor of {self.name} is left out"
        )

    def company(self) -> str:
        """Say which parameter decides who plays."""
        return f"leave fewer actors out (--param {WITHOUT.name}=...)"

    def smaller(self) -> Iterator[Values]:
        """Yield lower numbers than it has, with one actor less after the boldest of them."""
        lower = smaller(self.scenario.params, self.params)
        yield from islice(lower, 1)
        left_out = absent(self.params)
        for actor in self.scenario.playing(self.params):
            yield {**self.params, WITHOUT.name: ",".join((*left_out, actor.name))}
        yield from lower

    def header(self) -> dict[str, Any]:
        """Return the era of the model, and which source of it this is."""
        return {"era": self.era.name, "model": model.digest(*eras.sources(self.era))}

    def counters(self, record: Record) -> dict[str, int]:
        """Return what the actors did."""
        return counters.counters(record)


def _register_canary(canary: Canary, where: str) -> None:
    """Make the variant of a canary known, whose name the file may have used for it, too."""
    if not isinstance(canary.variant, Variant):
        raise UsageError(
            expected="a canary's variant", got=given.described(canary.variant), where=where, try_=VARIANT_FORM
        )
    known = [scenario.name for scenario in casts.all_scenarios()]
    if canary.scenario not in known:
        raise unknown("a scenario for the canary", str(canary.scenario), known, where=where)
    judges = {**JUDGES, **registrations.every_judge()}
    if canary.oracle not in judges:
        raise unknown("a judge for the canary", str(canary.oracle), judges, where=where)
    if history.own().get(canary.variant.name) is not canary.variant:
        history.register(canary.variant, where)


class ScenarioMaker:
    """Makes scenarios' programs.  From a user's files it takes scenarios, and variants; of a canary its variant."""

    kind = KIND
    era = OWN
    judges = JUDGES
    takes = (
        Kind("SCENARIO", Scenario, "Scenario(name, title, cast)", casts.register, several="SCENARIOS"),
        Kind("VARIANT", Variant, VARIANT_FORM, history.register),
        Kind("CANARY", Canary, "Canary(variant, scenario, oracle)", _register_canary),
    )

    def program(self, spec: RunSpec) -> ScenarioProgram:
        """Resolve the names of a spec.  Raises UsageError for one that does not exist."""
        scenario = scenarios.get(spec.program)
        variant = history.get(spec.variant) if spec.variant else CORRECT
        era = eras.get(spec.era)
        workload = _workload(scenario, spec.workload)
        params = scenario.merged(dict(spec.params))
        _check_pages(params, workload)
        return ScenarioProgram(scenario, params, variant, era, workload, spec.workload)

    def given(self, name: str, params: Mapping[str, Value]) -> Params:
        """Return the parameters that differ from the scenario's defaults."""
        return tuple(sorted(scenarios.changed(name, params).items()))


def _workload(scenario: Scenario, name: str | None) -> Workload | None:
    """Load the workload of a scenario that performs one; of another, no file is looked at.  Raises UsageError."""
    if scenario.needs_workload != bool(name):
        raise UsageError(
            expected=f"{'a' if scenario.needs_workload else 'no'} workload for {scenario.name}",
            got=name or "none",
            where="--workload",
        )
    return Workload.load(name) if name else None


def _check_pages(params: dict[str, Value], workload: Workload | None) -> None:
    if workload is not None and int(params["pages"]) < len(workload.pages):
        raise UsageError(
            expected=f"pages of at least {len(workload.pages)}, as workload {workload.name} has",
            got=params["pages"],
            where="--param",
        )
