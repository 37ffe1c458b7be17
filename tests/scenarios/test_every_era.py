"""Every scenario runs in every era, and each of its variations in one of them; nothing is found but what is known."""

from __future__ import annotations

import pytest

from mmrace import scenarios
from mmrace.history.era import OWN
from mmrace.history.eras import ERAS
from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec, derive
from mmrace.scenarios import workload
from mmrace.scenarios.casts import SCENARIOS

STRATEGIES = ("random", "pos", "pct")  # those that need no runs of their own first
OTHERS = tuple(name for name in ERAS if name != OWN)


def specs(name: str) -> list[RunSpec]:
    """Return a run of a scenario for each era, or for each variation if there are more of those."""
    scenario = scenarios.get(name)
    turns = range(max(len(OTHERS), len(scenario.variations)))
    return [
        RunSpec(
            name,
            params=tuple(sorted(scenario.variations[turn % len(scenario.variations)].items())),
            engine="fiber",
            strategy=STRATEGIES[turn % len(STRATEGIES)],
            seed=derive(1, name, turn),
            era=OTHERS[turn % len(OTHERS)],
            workload=workload.packaged()[0] if scenario.needs_workload else None,
        )
        for turn in turns
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", [scenario.name for scenario in SCENARIOS])
def test_every_scenario_runs_in_every_era(name: str) -> None:
    for spec in specs(name):
        result = run_one(spec)
        assert (result.verdict, [finding for finding in result.findings if not finding.known]) == ("PASS", []), spec


def test_no_scenario_and_no_variation_is_left_out() -> None:
    for scenario in SCENARIOS:
        made = specs(scenario.name)
        assert {spec.era for spec in made} == set(OTHERS)
        assert {spec.params for spec in made} == {tuple(sorted(one.items())) for one in scenario.variations}
