"""Scenarios: what they take as parameters, whom they cast, and that every cast passes on the correct protocol."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import scenarios
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.noise import PROFILES
from mmrace.runtime.param import AnyParam, Choice, Number, Value, Values
from mmrace.runtime.strategy import RoundRobin
from mmrace.scenarios.build import BORROWED
from mmrace.scenarios.casts import SCENARIOS
from mmrace.scenarios.scenario import COUNTED, WITHOUT
from tests.scenarios.staged import EXPLICIT, gate_spec, spelled_out
from tests.scenarios.workloads import tiny

NAMES = [scenario.name for scenario in SCENARIOS]
MODES = list(MigrateMode.__members__)
CASTS = [name for name in NAMES if not scenarios.get(name).needs_workload]
IN_MODES = [
    (name, {"mode": mode} if "mode" in scenarios.get(name).params else {})
    for name in CASTS
    for mode in (MODES if "mode" in scenarios.get(name).params else MODES[:1])
]
"""Each cast in every mode of its migrator, if it has one."""
DECLARED = {name: param for scenario in SCENARIOS for name, param in scenario.params.items()}
GATE_SEEDS = range(8)
SHORT: Values = {"rounds": 2, "migrations": 2, "idle": 20}
VARIATIONS = [(name, i) for name in CASTS for i in range(len(scenarios.get(name).variations))]


def refused(name: str, **params: int | str) -> UsageError:
    """Return the error of parameters that a scenario does not take."""
    with pytest.raises(UsageError) as caught:
        scenarios.get(name).merged(params)
    assert caught.value.where.startswith("--param")
    return caught.value


# -- they pass ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), IN_MODES)
def test_every_cast_passes_under_gate_in_every_mode(name: str, mode: Values) -> None:
    for seed in GATE_SEEDS:
        result = run_one(gate_spec(name, seed, **mode, pages=1 + seed % 2, buffers=1 + seed % 3, idle=20))
        assert (result.verdict, result.findings, result.unknown) == ("PASS", [], {}), result.spec.command()


@pytest.mark.slow
@pytest.mark.parametrize("noise", PROFILES)
@pytest.mark.parametrize(("name", "mode"), IN_MODES)
def test_every_cast_passes_free_running_in_every_mode_and_noise(name: str, mode: Values, noise: str) -> None:
    params = spelled_out(name, **mode, pages=2, rounds=1)
    result = run_one(RunSpec(name, params, noise=noise, seed=11))
    if result.alone and (noise == "off" or scenarios.get(name).longer > 1):
        return  # who is not slowed, or ends the run when it is done, may be through before the next thread begins
    assert (result.verdict, result.findings, result.unknown) == ("PASS", [], {}), result.spec.command()


@pytest.mark.parametrize(("name", "number"), VARIATIONS)
def test_every_variation_passes_under_gate(name: str, number: int) -> None:
    scenario = scenarios.get(name)
    short = {key: value for key, value in SHORT.items() if key in scenario.params}
    params = {**scenario.variations[number], **short}
    result = run_one(RunSpec(name, tuple(sorted(params.items())), engine="gate", seed=7))
    assert (result.verdict, [f for f in result.findings if not f.known]) == ("PASS", []), result.spec.command()


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
def test_every_default_is_allowed(name: str) -> None:
    scenario = scenarios.get(name)
    assert scenario.merged(scenario.defaults) == scenario.defaults
    assert scenario.merged({}) == scenario.defaults


@pytest.mark.parametrize("param", DECLARED.values(), ids=lambda param: param.name)
def test_every_parameter_says_what_its_value_means_and_keeps_its_bounds(param: AnyParam) -> None:
    assert param.says and not param.says.endswith(".")
    if isinstance(param, Number):
        assert param.low is not None and param.high is not None
        assert param.check(param.low) <= param.default <= param.check(param.high)
        with pytest.raises(UsageError):
            param.check(param.high + 1)
    else:
        assert isinstance(param, Choice) or param is WITHOUT


def test_tests_spell_out_every_parameter() -> None:
    assert set(DECLARED) == set(EXPLICIT)


SET_UP = {
    "pages", "buffers", "words", "pagevec", "irq", "errors", "warm", "dirtied", "data", "bare", "holes", "cache",
    "huge", "frames", "pinned", "cluster", "free", "kept",
    "stick", "stick_ticks",
    "ticks", "requests", "slabs", "slab_order", "cold", "raw_ticks",
    "cpus", "without",
}  # fmt: skip
OF_ACTOR = {
    "committer": {"idle", "resched", "rounds", "wbuf"},
    "compactor": {"compacts", "idle", "passes", "rounds"},
    "copier": {"chunk", "copy_sync", "idle", "rounds"},
    "faulter": {"accesses", "idle", "mappings", "rounds", "stores", "touched"},
    "flusher": {"flushes", "idle"},
    "fsync": {"credits", "idle", "log", "log_errors", "resched", "rounds", "wbuf"},
    "heap": {"accesses", "exits", "heap", "idle", "rounds", "stores", "touched"},
    "hugepage": {"faults", "held", "idle", "passes"},
    "migrator": {"batch", "device", "direct", "idle", "migrations", "mode", "passes"},
    "reader": {"idle", "reads", "rounds"},
    "reclaimer": {"idle", "order", "rounds", "zone_reclaim"},
    "stick_flusher": {"idle", "rounds"},
    "rival": {"compacts", "idle", "passes", "rounds"},
    "streamer": {"idle", "streamed", "window", "streams", "raw"},
    "toucher": {"idle", "rounds", "touches"},
    "truncater": {"idle", "rounds", "tails"},
    "unmapper": {"exits", "heap", "idle", "rounds", "touched", "unmaps"},
    "writeback": {"idle", "rounds"},
    "writer": {"burst", "idle", "metadata", "rounds"},
    "zapper": {"idle", "mappings", "rounds", "touched", "zaps"},
}
RECORDED = {"direct", "metadata", "passes", "resched", "wbuf"}


def test_a_scenario_has_only_what_its_cast_and_its_set_up_read() -> None:
    for scenario in SCENARIOS:
        of_cast = [RECORDED] if scenario.needs_workload else [OF_ACTOR[actor.name] for actor in scenario.cast]
        assert set(scenario.params) == SET_UP.union(*of_cast), scenario.name
    assert set(EXPLICIT) == SET_UP.union(RECORDED, *OF_ACTOR.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_run_reads_every_parameter_of_its_scenario_and_no_other(name: str) -> None:
    """What `Stage.value` is asked for, and what is read around the actors, is what is declared."""
    scenario, read = scenarios.get(name), set()

    class Watched(dict[str, int | str]):
        def __getitem__(self, key: str) -> int | str:
            read.add(key)
            return super().__getitem__(key)

        def get(self, key: str, default: Any = None) -> Any:
            read.add(key)
            return super().get(key, default)

    workload = tiny() if scenario.needs_workload else None
    asked: Values = {"idle": 0, "mode": "MIGRATE_ASYNC"}  # `direct` says nothing to MIGRATE_SYNC
    values = Watched(scenario.merged({key: value for key, value in asked.items() if key in scenario.params}))
    engine = FiberEngine(RoundRobin(), ncpus=scenario.ncpus(values), steps_max=scenario.steps(values, 7))
    engine.run(lambda: scenario.play(Stage(values, workload)))
    assert engine.error is None and engine.end["how"] == "finished"
    borrowed = {param.name for param in (*BORROWED, *COUNTED)}
    assert set(scenario.params) <= read <= set(scenario.params) | borrowed


def test_the_bound_and_the_set_up_count_with_a_default_for_an_actor_that_is_not_cast() -> None:
    """What they were when every scenario had every parameter, so that runs stay as they were."""
    scenario = scenarios.get("migrate-vs-reclaim")
    everything = {param.name: param.default for param in COUNTED} | scenario.merged({"rounds": 7})
    assert "burst" not in scenario.params
    assert scenario.steps(everything) == scenario.steps(scenario.merged({"rounds": 7}))


@pytest.mark.parametrize("key", ["wbuf", "burst"])
def test_a_parameter_that_only_others_have_is_refused_with_those_that_there_are(key: str) -> None:
    error = refused("migrate-vs-reclaim", **{key: 2})
    assert error.expected.startswith("a parameter of migrate-vs-reclaim: pages, ") and error.got == key


def test_merging_leaves_the_defaults_alone() -> None:
    scenario = scenarios.get("four")
    before = dict(scenario.defaults)
    scenario.merged({"pages": 5})
    assert scenario.defaults == before


@pytest.mark.parametrize("without", ["", "migrator"])
def test_a_truncation_where_the_journal_may_be_given_up_is_refused(without: str) -> None:
    scenario = scenarios.get("truncate-vs-writeback")
    with pytest.raises(UsageError, match="no truncation where the journal may be given up"):
        scenario.merged({"log_errors": 4, "without": without})
    assert scenario.merged({"log_errors": 4, "without": "truncater"})["log_errors"] == 4


# -- records of older versions, which list the parameters of all scenarios -----------------------------------------


def test_of_a_record_only_what_differs_from_the_defaults_is_told() -> None:
    assert scenarios.changed("four", scenarios.get("four").merged({"pages": 5})) == {"pages": 5}


@pytest.mark.parametrize("name", NAMES)
def test_defaults_of_parameters_that_a_scenario_no_longer_has_are_left_out(name: str) -> None:
    every: Values = {key: param.default for key, param in DECLARED.items()}
    for param in (*BORROWED, *COUNTED):
        every[param.name] = param.default
    assert scenarios.changed(name, {**every, **scenarios.get(name).merged({"pages": 5})}) == {"pages": 5}


def test_what_nobody_reads_is_left_out_whatever_its_value() -> None:
    recorded: Values = {"idle": 3, "mode": "MIGRATE_SYNC", "migrations": 9}
    assert scenarios.changed("recorded", recorded) == {}


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [("migrate-vs-reclaim", "wbuf", 2), ("migrate-vs-reclaim", "burst", 3), ("recorded", "batch", 8)],
)
def test_what_the_set_up_or_the_bound_read_is_refused_unless_it_is_the_default(name: str, key: str, value: int) -> None:
    with pytest.raises(UsageError) as caught:
        scenarios.changed(name, {key: value})
    assert caught.value.expected.startswith(f"{key}=") and caught.value.got == value


def test_a_parameter_of_no_scenario_is_refused() -> None:
    assert scenarios.changed("four", {"zzz": 1}) == {"zzz": 1}
    assert refused("four", zzz=1).got == "zzz"


# -- the cast ----------------------------------------------------------------------------------------------------


def test_without_leaves_actors_out() -> None:
    scenario = scenarios.get("four")
    assert scenario.playing({"without": "reader,writer"}) == tuple(
        actor for actor in scenario.cast if actor.name not in ("reader", "writer")
    )
    assert scenario.playing({"without": ""}) == scenario.cast
    result = run_one(gate_spec("four", without="reader,writer"), keep_record=True)
    assert result.record is not None
    assert {"reader", "writer"}.isdisjoint(task["name"] for task in result.record.tasks)


@pytest.mark.parametrize("without", ["migrater", "reader,stranger", "reader, writer", "main"])
def test_without_refuses_a_stranger(without: str) -> None:
    error = refused("four", without=without)
    assert error.where == "--param without" and "migrator" in error.expected


def test_a_misspelt_actor_that_is_left_out_has_a_proposal() -> None:
    assert "did you mean writer" in str(refused("four", without="writter"))


def test_each_actor_has_a_cpu_unless_cpus_says_otherwise() -> None:
    scenario = scenarios.get("four")
    count = len(scenario.cast)
    assert scenario.ncpus(scenario.defaults) == count
    assert scenario.ncpus(scenario.merged({"without": "reader,writer"})) == count - 2
    assert scenario.ncpus(scenario.merged({"cpus": 3})) == 3
    alone = ",".join(actor.name for actor in scenario.cast[1:])
    assert scenario.ncpus(scenario.merged({"without": alone})) == 2  # main and one actor must be able to meet


@pytest.mark.parametrize("cpus", [1, 2, 3])
def test_actors_share_cpus_in_turn(cpus: int) -> None:
    result = run_one(gate_spec("four", 2, cpus=cpus), keep_record=True)
    assert result.verdict == "PASS" and result.record is not None
    cast = {actor.name for actor in scenarios.get("four").cast}
    actors = [task for task in result.record.tasks if task["name"] in cast]
    assert [task["cpu"] for task in actors] == [i % cpus for i in range(len(actors))]


def test_the_bound_grows_with_what_there_is_to_do() -> None:
    scenario = scenarios.get("four")
    least = scenario.steps(scenario.defaults)
    for key in ("rounds", "migrations", "burst", "reads", "pages"):
        more = int(scenario.defaults[key]) * 4
        assert scenario.steps(scenario.merged({key: more})) > least, key


def test_an_unknown_scenario_is_refused_with_a_close_name() -> None:
    with pytest.raises(UsageError) as caught:
        scenarios.get("async-commit")
    assert "async-vs-commit" in caught.value.try_


@pytest.mark.parametrize("logs", [{"metadata": 1}, {"data": "journal"}], ids=["metadata", "data=journal"])
def test_a_block_that_is_too_short_for_a_log_header_is_refused_where_one_is_written(logs: dict[str, Value]) -> None:
    scenario = scenarios.get("async-vs-commit")
    with pytest.raises(UsageError, match="words of at least 2 where metadata is logged"):
        scenario.merged({"words": 1, **logs})
    assert scenario.merged({"words": 1})["words"] == 1
    assert scenario.merged({"words": 2, **logs})["words"] == 2


def test_who_works_on_the_stick_needs_one() -> None:
    scenario = scenarios.get("migrate-vs-vfat")
    with pytest.raises(UsageError, match="a stick for copier, stick_flusher"):
        scenario.merged({"stick": "none"})
    assert scenario.merged({"stick": "none", "without": "copier,stick_flusher"})["stick"] == "none"


def test_an_fsync_of_a_copy_on_ext3_is_refused() -> None:
    scenario = scenarios.get("copy-vs-commit")
    with pytest.raises(UsageError, match="stick=vfat where the copier calls fsync"):
        scenario.merged({"copy_sync": 1})
    assert scenario.merged({"copy_sync": 1, "stick": "vfat"})["copy_sync"] == 1


def test_a_volatile_cache_beside_a_stick_is_refused() -> None:
    scenario = scenarios.get("migrate-vs-vfat")
    with pytest.raises(UsageError, match="no volatile cache beside a stick"):
        scenario.merged({"cache": 1})
    assert scenarios.get("async-vs-commit").merged({"stick": "vfat"})["stick"] == "vfat"


def test_pages_that_are_dirty_at_first_may_be_truncated() -> None:
    """What was written to them and truncated is gone by right, and judges know that."""
    for seed in range(8):
        params = (("dirtied", 4), ("rounds", 2))
        result = run_one(RunSpec("reclaim-vs-truncate", params, engine="fiber", strategy="portfolio", seed=seed))
        assert (result.verdict, result.findings) == ("PASS", []), result.spec.command()


def test_stores_through_a_mapping_beside_a_truncation_are_refused_with_the_reason() -> None:
    error = refused("mapped-vs-truncate", stores=1)
    assert "no page_mkwrite" in error.expected and error.try_ == "stores=0"
    assert "data=journal" in refused("mapped-vs-writeback", stores=1, data="journal").expected
    assert scenarios.get("mapped-vs-truncate").merged({"stores": 1, "without": "truncater"})["stores"] == 1
