"""The hunt for false alarms: what it plays, and what it leaves out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmrace.scenarios import casts as every_cast
from mmrace.scenarios.scenario import WITHOUT
from stress import false_alarms


def test_each_set_is_unusual_and_some_cast_can_play_it() -> None:
    assert len(false_alarms.SETS) >= 20
    for values in false_alarms.SETS.values():
        for scenario in false_alarms.casts(values):
            assert scenario.merged(values) != scenario.merged({}), scenario.name
        assert false_alarms.casts(values)


def test_every_cast_without_a_workload_is_played() -> None:
    played = {scenario.name for values in false_alarms.SETS.values() for scenario in false_alarms.casts(values)}
    assert played == {
        scenario.name
        for scenario in every_cast.SCENARIOS
        if not scenario.needs_workload and all(known.rare for known in scenario.expected(scenario.merged({})))
    }


def test_every_parameter_of_a_cast_is_varied() -> None:
    """Except who is left out: with fewer actors a cast is a smaller one."""
    known = {name for scenario in every_cast.SCENARIOS if not scenario.needs_workload for name in scenario.params}
    assert known - {name for values in false_alarms.SETS.values() for name in values} == {WITHOUT.name}


def test_io_fails_only_where_nobody_commits() -> None:
    for values in false_alarms.SETS.values():
        if values.get("errors"):
            for scenario in false_alarms.casts(values):
                assert not {actor.name for actor in scenario.cast} & {"committer", "fsync"}


def test_the_runs_of_a_set_go_through_every_engine() -> None:
    specs = list(false_alarms.specs({"words": 1}, 60, 1))
    assert {spec.engine for spec in specs} == set(false_alarms.ENGINES)
    assert len({(spec.program, spec.engine, spec.seed) for spec in specs}) == 60


def test_a_run_that_does_not_pass_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(false_alarms, "run_one", lambda spec: SimpleNamespace(verdict="FAIL", findings=[]))
    told, lines = false_alarms.play("failing-io", 2, 1)
    assert told == {"FAIL": 2} and len(lines) == 4
    assert lines[1].strip().startswith("mmrace run ")


def test_a_wrong_call_is_refused() -> None:
    with pytest.raises(SystemExit) as ended:
        false_alarms.main(["--runs", "0"])
    assert ended.value.code == 2
