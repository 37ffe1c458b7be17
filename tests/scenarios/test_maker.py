"""The maker of the kernel model's programs: what a spec names is looked at only where the scenario asks for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.scenarios.maker import ScenarioMaker
from mmrace.scenarios.workload import Workload


def test_a_workload_is_not_looked_for_where_the_scenario_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    monkeypatch.setattr(Workload, "load", None)
    with pytest.raises(UsageError, match="no workload for async-vs-commit"):
        ScenarioMaker().program(RunSpec("async-vs-commit", workload=str(tmp_path / "fifo.json")))


def test_a_workload_that_would_block_is_refused_where_the_scenario_takes_one(tmp_path: Path) -> None:
    path = tmp_path / "fifo.json"
    os.mkfifo(path)
    with pytest.raises(UsageError, match="not a regular file"):
        ScenarioMaker().program(RunSpec("recorded", workload=str(path)))


def test_a_scenario_that_performs_a_workload_needs_one() -> None:
    with pytest.raises(UsageError, match="a workload for recorded"):
        ScenarioMaker().program(RunSpec("recorded"))


def test_smaller_programs_of_a_scenario_have_lower_numbers_or_one_actor_less() -> None:
    program = ScenarioMaker().program(RunSpec("async-vs-commit", (("rounds", 3), ("without", "reader"))))
    made = list(program.smaller())
    lowest = made[0]
    assert (lowest["rounds"], lowest["idle"], lowest["without"]) == (1, 0, "reader")
    playing = [actor.name for actor in program.scenario.playing(program.params)]
    assert [one["without"] for one in made[1 : len(playing) + 1]] == [f"reader,{name}" for name in playing]
    for one in made:
        program.scenario.params.merged(one)
