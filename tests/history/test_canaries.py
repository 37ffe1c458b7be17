"""Planted bugs: each is found by the oracle that it names, where the correct protocol passes the same seeds."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mmrace.kernel
from mmrace import history, scenarios
from mmrace.history import canaries as canaries_
from mmrace.history import rates
from mmrace.history.canaries import CANARIES, canaries
from mmrace.history.canary import MISS, SAFETY, Z99, Canary, cap, shortest, wilson_low
from mmrace.history.variant import Over, Variant, applied
from mmrace.installed import catalogue, run_one
from mmrace.oracles.general.judgement import Finding
from mmrace.oracles.protocol import PROTOCOL
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.noise import PROFILES
from tests.history import hunted
from tests.history.hunted import HUNTED, spec_of, twin_of

FOUND = [(name, seed) for name, seeds in HUNTED.items() for seed in seeds]
PLACES = [(canary.name, place) for canary in CANARIES for place in canary.variant.bind]
STEPS_SHORT = 10_000  # ops: a run of these tests is over in a fraction of a second


def kernel_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(mmrace.kernel.__path__, "mmrace.kernel.")
    return [importlib.import_module(info.name) for info in found]


def test_every_canary_was_hunted() -> None:
    assert list(HUNTED) and set(HUNTED) == set(canaries())
    assert all(HUNTED.values()), "python -m tests.history.hunted --write"


def test_seeds_of_a_hunt_take_the_place_of_the_old_ones_or_get_a_line_of_their_own() -> None:
    source = Path(hunted.__file__).read_text(encoding="utf-8")
    first, *_, last = HUNTED
    for name in (first, last, "quite-new"):
        again: dict[str, Any] = {"__name__": "again"}
        exec(compile(hunted.written(source, name, (7, 8)), "again", "exec", dont_inherit=True), again)
        assert again["HUNTED"] == {**HUNTED, name: (7, 8)} and list(again["HUNTED"])[: len(HUNTED)] == list(HUNTED)
    assert hunted.written(source, first, HUNTED[first]) == source


def test_a_canary_whose_oracle_is_no_judge_is_refused_with_the_close_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    typo = Canary(Variant("typo", "a test's"), "four", "livness")
    monkeypatch.setattr(canaries_, "CANARIES", (typo,))
    with pytest.raises(UsageError, match="canary typo") as caught:
        catalogue()
    assert "liveness" in caught.value.try_ and "mmrace list oracles" in caught.value.try_


@pytest.mark.parametrize(("name", "seed"), FOUND)
def test_a_canary_is_found_by_its_oracle(name: str, seed: int) -> None:
    result = run_one(spec_of(name, seed))
    assert result.verdict == "FAIL"
    assert canaries()[name].caught_in(result.findings)
    assert result.record is not None and result.record.end["how"] != "crash"
    assert result.ops < STEPS_SHORT


@pytest.mark.parametrize(("name", "seed"), FOUND)
def test_its_unmodified_twin_passes(name: str, seed: int) -> None:
    result = run_one(twin_of(spec_of(name, seed)))
    assert (result.verdict, result.findings, result.unknown) == ("PASS", [], {})


@pytest.mark.slow
@pytest.mark.parametrize("name", list(HUNTED))
def test_the_same_seed_finds_the_same_again(name: str) -> None:
    spec = spec_of(name, HUNTED[name][0])
    same_again(spec, spec)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(HUNTED))
def test_gate_and_fiber_find_the_same(name: str) -> None:
    seed = HUNTED[name][0]
    same_again(spec_of(name, seed, "fiber"), spec_of(name, seed, "gate"))


def same_again(first: RunSpec, second: RunSpec) -> None:
    one, two = run_one(first), run_one(second)
    assert [finding.signature for finding in one.findings] == [finding.signature for finding in two.findings]
    assert one.record is not None and two.record is not None
    assert list(one.record.plain()) == list(two.record.plain())


# -- what a canary says of itself --------------------------------------------------------------------------------


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_a_canary_names_an_oracle_a_scenario_its_parameters_and_noise(canary: Canary) -> None:
    assert canary.oracle in PROTOCOL
    assert scenarios.get(canary.scenario).merged(canary.params)
    assert scenarios.get(canary.scenario).merged(canary.params_under("fiber"))
    assert canary.noise in PROFILES
    assert canary.title and canary.source
    for engine in ("free", "fiber"):
        hits, runs = canary.rate_under(engine)
        assert 0 < hits <= runs


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_a_canary_s_file_says_buggy_on_line_one(canary: Canary) -> None:
    module = importlib.import_module(f"mmrace.history.canaries.{canary.name.replace('-', '_')}")
    assert module.CANARY is canary
    assert inspect.getsource(module).startswith('"""BUGGY: ')


def test_names_are_told_apart() -> None:
    assert len(canaries()) == len(CANARIES)
    assert all(history.get(canary.name) is canary.variant for canary in CANARIES)


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_what_a_canary_binds_is_there_and_reached_by_every_caller(name: str, place: str) -> None:
    path, _, bound = place.partition(":")
    home = importlib.import_module(f"mmrace.kernel.{path}")
    original = vars(home)[bound]
    copies = [
        f"{module.__name__}:{key}"
        for module in kernel_modules()
        for key, value in vars(module).items()
        if value is original and (module, key) != (home, bound)
    ]
    assert not copies, "imported by name: a caller that no variant reaches"


@pytest.mark.parametrize(("name", "place"), PLACES)
def test_what_a_canary_binds_takes_the_same_arguments(name: str, place: str) -> None:
    path, _, bound = place.partition(":")
    original = vars(importlib.import_module(f"mmrace.kernel.{path}"))[bound]
    new = canaries()[name].variant.bind[place]
    takes = list(inspect.signature(new.function if isinstance(new, Over) else new).parameters)
    assert takes == ["below"] * isinstance(new, Over) + list(inspect.signature(original).parameters)


@pytest.mark.parametrize("name", canaries())
def test_a_canary_s_file_keeps_no_function_of_the_model_that_it_binds(name: str) -> None:
    """Such a one would be that of 3.3 in any era: `over` hands it what stands there."""
    module = importlib.import_module(f"{canaries_.__name__}.{name.replace('-', '_')}")
    with applied(Variant("", "", dict(canaries()[name].variant.bind))) as replaced:
        kept = [key for key, value in vars(module).items() if any(value is original for original in replaced.values())]
    assert not kept


def test_an_unknown_variant_is_refused_with_a_close_name() -> None:
    with pytest.raises(UsageError) as caught:
        history.get("double-putt")
    assert "did you mean double-put or" in caught.value.try_
    with pytest.raises(UsageError) as caught:
        history.get("zzz")
    assert (
        caught.value.try_
        == "`mmrace list canaries` shows all of them; --load FILE.py (in Python load=) brings your own"
    )


# -- caps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.95, 0.999])
def test_a_cap_is_the_least_number_of_runs_that_misses_rarely_enough(rate: float) -> None:
    runs = cap(rate)
    assert (1 - rate) ** runs < MISS <= (1 - rate) ** (runs - 1)


def test_a_cap_grows_as_the_rate_falls() -> None:
    caps = [cap(rate) for rate in (0.99, 0.9, 0.5, 0.1, 0.01, 0.001)]
    assert caps == sorted(caps) and caps[2] == 20
    assert math.isclose(cap(1e-4) / cap(1e-3), 10, rel_tol=0.01)


@pytest.mark.parametrize(("hits", "runs"), [(1, 1000), (7, 40), (50, 100), (150, 200), (200, 200)])
def test_a_lower_bound_is_the_rate_from_which_the_measured_one_is_just_z_away(hits: int, runs: int) -> None:
    """Wilson's definition: the p below the measured share whose own standard error puts the share z away."""
    low, share = wilson_low(hits, runs), hits / runs
    assert 0 < low < share
    assert math.isclose(share - low, Z99 * math.sqrt(low * (1 - low) / runs), rel_tol=1e-9)


def test_a_lower_bound_rises_with_the_number_of_runs() -> None:
    bounds = [wilson_low(n // 2, n) for n in (10, 100, 1000, 10_000)]
    assert bounds == sorted(bounds) and bounds[-1] > 0.48
    assert wilson_low(0, 100) == 0


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.name)
def test_a_canary_s_caps_follow_from_what_was_measured(canary: Canary) -> None:
    for engine, place in (("free", "free"), ("gate", "controlled"), ("fiber", "controlled")):
        assert canary.cap_under(engine) == cap(SAFETY * wilson_low(*rates.load()[canary.name][place]))


def test_rates_are_kept_of_canaries_that_there_are() -> None:
    assert set(rates.load()) == set(canaries())


@pytest.mark.parametrize(("rate", "text"), [(None, "0 hits in 0 runs"), (rates.Rate(0, 200), "0 hits in 200 runs")])
def test_a_canary_that_was_never_found_has_no_cap_and_says_how_to_measure_it(
    monkeypatch: pytest.MonkeyPatch, rate: rates.Rate | None, text: str
) -> None:
    new = Canary(Variant("new", "a test's"), "four", "content")
    known = {"new": {"free": rates.Rate(5, 10), **({"controlled": rate} if rate else {})}}
    monkeypatch.setattr(rates, "load", lambda: known)
    assert new.cap_under("free") > 0
    with pytest.raises(UsageError, match=text) as caught:
        new.cap_under("gate")
    assert "stress/bench/canaries.py --canary new --write" in caught.value.try_


def test_rates_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    rates.write(rates.load(), path)
    assert path.read_bytes() == rates.FILE.read_bytes()
    rates.write({"b": {"free": rates.Rate(1, 2)}, "a": {}}, path)
    assert rates.read(path) == {"a": {}, "b": {"free": (1, 2)}}


def test_every_file_of_the_folder_is_a_canary_found_by_itself() -> None:
    files = {path.stem.replace("_", "-") for path in Path(canaries_.__path__[0]).glob("[!_]*.py")}
    assert set(canaries()) == files


def test_a_hunt_is_as_short_as_its_actors_can_make_it_but_for_what_is_given() -> None:
    assert shortest()["rounds"] == 1
    assert shortest(rounds=3, mode="MIGRATE_SYNC") == {**shortest(), "rounds": 3, "mode": "MIGRATE_SYNC"}


# -- whose finding it is -----------------------------------------------------------------------------------------


def found_by(oracle: str, rule: str) -> list[Finding]:
    return [Finding(oracle, rule, "", {}, "")]


def test_a_canary_with_a_rule_is_caught_by_that_rule_of_its_oracle_only() -> None:
    canary = replace(canaries()["no-freeze"], oracle="refcount", rule="lost get")
    assert canary.caught_in(found_by("slot", "x") + found_by("refcount", "lost get"))
    assert not canary.caught_in(found_by("refcount", "leaked reference"))
    assert not canary.caught_in(found_by("slot", "lost get"))
    assert not canary.caught_in([])


def test_a_canary_without_a_rule_is_caught_by_any_of_its_oracle() -> None:
    canary = replace(canaries()["no-freeze"], oracle="refcount", rule="")
    assert canary.caught_in(found_by("refcount", "leaked reference"))
    assert not canary.caught_in(found_by("slot", "lost get"))


def test_free_threads_get_the_parameters_and_controlled_engines_those_of_the_hunt_over_them() -> None:
    canary = replace(canaries()["no-freeze"], params={"rounds": 8, "reads": 2}, hunt={"rounds": 1})
    assert canary.params_under("free") == {"rounds": 8, "reads": 2}
    assert canary.params_under("gate") == canary.params_under("fiber") == {"rounds": 1, "reads": 2}
