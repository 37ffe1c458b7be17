"""Scenarios: what they take as parameters, whom they cast, and that every cast passes on the correct protocol."""

from __future__ import annotations

import pytest

from mmrace import scenarios
from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.noise import PROFILES
from mmrace.scenarios.scenario import CHOICES, LIMITS, MODES
from tests.scenarios.staged import EXPLICIT, gate_spec, spelled_out

NAMES = list(scenarios.scenarios())
CASTS = [name for name in NAMES if not scenarios.get(name).needs_workload]
GATE_SEEDS = range(8)
VARIATIONS = [(name, i) for name in CASTS for i in range(len(scenarios.get(name).variations))]


def refused(name: str, **params: int | str) -> UsageError:
    """Return the error of parameters that a scenario does not take."""
    with pytest.raises(UsageError) as caught:
        scenarios.get(name).merged(params)
    assert caught.value.where.startswith("--param")
    return caught.value


# -- they pass ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASTS)
def test_every_cast_passes_under_gate_in_every_mode(name: str, mode: str) -> None:
    for seed in GATE_SEEDS:
        result = run_one(gate_spec(name, seed, mode=mode, pages=1 + seed % 2, buffers=1 + seed % 3, idle=20))
        assert (result.verdict, result.findings, result.unknown) == ("PASS", [], {}), result.spec.command()


@pytest.mark.parametrize("noise", PROFILES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASTS)
def test_every_cast_passes_free_running_in_every_mode_and_noise(name: str, mode: str, noise: str) -> None:
    params = spelled_out(mode=mode, pages=2, rounds=1)
    result = run_one(RunSpec(name, params, noise=noise, seed=11))
    assert (result.verdict, result.findings, result.unknown) == ("PASS", [], {}), result.spec.command()


@pytest.mark.parametrize(("name", "number"), VARIATIONS)
def test_every_variation_passes_under_gate(name: str, number: int) -> None:
    scenario = scenarios.get(name)
    params = {**scenario.variations[number], "rounds": 2, "migrations": 2, "idle": 20}
    result = run_one(RunSpec(name, tuple(sorted(params.items())), engine="gate", seed=7))
    assert (result.verdict, result.findings) == ("PASS", []), result.spec.command()


def test_the_first_variation_is_none() -> None:
    assert all(not scenarios.get(name).variations[0] for name in NAMES)


def test_a_run_does_what_its_parameters_count() -> None:
    result = run_one(gate_spec("async-vs-commit", 1, rounds=3, migrations=4), keep_record=True)
    assert result.record is not None
    played = [facts[0] for _, op, kind, facts in result.record.events if op < 0 and kind == "round"]
    assert {actor: played.count(actor) for actor in played} == {
        "writer": 3, "committer": 3, "reader": 3, "migrator": 4,
    }  # fmt: skip


# -- parameters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_default_is_within_its_limits_and_choices(name: str) -> None:
    scenario = scenarios.get(name)
    assert scenario.merged(scenario.defaults) == scenario.defaults
    assert scenario.merged({}) == scenario.defaults


def test_every_number_has_limits_and_every_text_choices() -> None:
    numbers = {key for key, value in EXPLICIT.items() if isinstance(value, int)}
    assert set(LIMITS) == numbers
    assert set(CHOICES) == set(EXPLICIT) - numbers - {"without"}


@pytest.mark.parametrize(("key", "limits"), LIMITS.items())
def test_limits_are_kept_at_both_ends(key: str, limits: tuple[int, int]) -> None:
    low, high = limits
    scenario = scenarios.get("four")
    assert scenario.merged({key: low})[key] == low
    assert scenario.merged({key: high})[key] == high
    for beyond in (low - 1, high + 1):
        error = refused("four", **{key: beyond})
        assert error.expected == f"{key} in {low}..{high}" and error.got == beyond


@pytest.mark.parametrize("value", ["3", "", "many"])
def test_a_text_is_refused_where_a_number_is_expected(value: str) -> None:
    assert refused("four", pages=value).expected == "a number for pages"


@pytest.mark.parametrize(("key", "choices"), CHOICES.items())
def test_texts_are_taken_out_of_their_choices(key: str, choices: tuple[str, ...]) -> None:
    scenario = scenarios.get("four")
    assert [scenario.merged({key: choice})[key] for choice in choices] == list(choices)
    error = refused("four", **{key: "else"})
    assert all(choice in error.expected for choice in choices)


def test_an_unknown_parameter_is_refused_with_a_close_one() -> None:
    assert refused("four", page=2).try_ == "pages"
    assert refused("four", zzz=2).try_ == ""


def test_merging_leaves_the_defaults_alone() -> None:
    scenario = scenarios.get("four")
    before = dict(scenario.defaults)
    scenario.merged({"pages": 5})
    assert scenario.defaults == before


# -- the cast ----------------------------------------------------------------------------------------------------


def test_without_leaves_actors_out() -> None:
    scenario = scenarios.get("four")
    assert list(scenario.playing({"without": "reader,writer"})) == [
        name for name in scenario.cast if name not in ("reader", "writer")
    ]
    assert scenario.playing({"without": ""}) == scenario.cast
    result = run_one(gate_spec("four", without="reader,writer"), keep_record=True)
    assert result.record is not None
    assert {"reader", "writer"}.isdisjoint(task["name"] for task in result.record.tasks)


@pytest.mark.parametrize("without", ["migrater", "reader,stranger", "reader, writer", "main"])
def test_without_refuses_a_stranger(without: str) -> None:
    error = refused("four", without=without)
    assert error.where == "--param without" and "migrator" in error.expected


def test_each_actor_has_a_cpu_unless_cpus_says_otherwise() -> None:
    scenario = scenarios.get("four")
    count = len(scenario.cast)
    assert scenario.ncpus(scenario.defaults) == count
    assert scenario.ncpus(scenario.merged({"without": "reader,writer"})) == count - 2
    assert scenario.ncpus(scenario.merged({"cpus": 3})) == 3
    alone = ",".join(list(scenario.cast)[1:])
    assert scenario.ncpus(scenario.merged({"without": alone})) == 2  # main and one actor must be able to meet


@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_actors_share_cpus_in_turn(cpus: int) -> None:
    result = run_one(gate_spec("four", 2, cpus=cpus), keep_record=True)
    assert result.verdict == "PASS" and result.record is not None
    actors = [task for task in result.record.tasks if task["name"] in scenarios.get("four").cast]
    assert [task["cpu"] for task in actors] == [i % cpus for i in range(len(actors))]


def test_the_bound_grows_with_what_there_is_to_do() -> None:
    scenario = scenarios.get("four")
    least = scenario.steps(scenario.defaults)
    for key in ("rounds", "migrations", "burst", "reads", "pages"):
        more = int(scenario.defaults[key]) * 4
        assert scenario.steps(scenario.merged({key: more})) > least, key


@pytest.mark.parametrize("name", NAMES)
def test_what_a_list_shows_of_a_scenario_is_there(name: str) -> None:
    info = scenarios.scenarios()[name]
    assert info.title and info.claims
    assert info.params == scenarios.get(name).defaults


def test_an_unknown_scenario_is_refused_with_a_close_name() -> None:
    with pytest.raises(UsageError) as caught:
        scenarios.get("async-commit")
    assert "async-vs-commit" in caught.value.try_
