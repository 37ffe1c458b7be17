"""Every registered strategy, everything twice: the same schedule again, on a small scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.installed import MAKERS, run_one
from mmrace.runs import engines
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runs.twice import run_again, run_twice
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.record import Record
from mmrace.scenarios.maker import ScenarioProgram
from mmrace.scenarios.scenario import Stage
from mmrace.strategies import registry
from tests.search.explore.explorations import SMALL

RUNS = 3  # of each sampler, and of each walk, the first ones

OPTIONS = {
    "script": ":text=migrator until migrate_pages:schedule; rest fair",
    "guided": ":record={record}",
    "retrace": ":record={record}",
    "near": ":record={record}",
    "postpone": ":cycle=migrator@40/12+committer@12/40",
}
"""Of the strategies that need to be told something."""


def spec_of(strategy: str, seed: int = 0) -> RunSpec:
    return RunSpec("async-vs-commit", SMALL, engine="fiber", strategy=strategy, seed=seed)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a record with sites, as a failing run leaves it."""
    path = tmp_path_factory.mktemp("saved") / "record.jsonl"
    for seed in range(30):
        result = run_one(RunSpec("async-vs-commit", SMALL, "double-put", "fiber", "pos", seed=seed))
        if result.verdict == "FAIL" and result.record is not None:
            result.record.write(path)
            return str(path)
    raise AssertionError("no run failed")


def scenario_of(program: Program) -> None:
    """Play the main task of a scenario's program."""
    assert isinstance(program, ScenarioProgram)
    program.scenario.play(Stage(program.params, None))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).kind == "sampler"])
def test_a_sampler_gives_the_same_run_twice(name: str, saved: str) -> None:
    text = name + OPTIONS.get(name, "").format(record=saved)
    for seed in range(RUNS):
        spec = spec_of(text, seed)
        program = MAKERS.program(spec)

        def make(program: Program = program, spec: RunSpec = spec) -> Controlled:
            return engines.controlled(program, spec, strategy_for(program, spec).strategy)

        engine = run_twice(make, lambda program=program: scenario_of(program))  # type: ignore[misc]
        assert engine.error is None and engine.end["how"] == "finished"


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).kind == "walk"])
def test_a_walk_gives_runs_that_can_be_run_again(name: str) -> None:
    search = registry.walk(name)
    spec = spec_of(name, 0)
    program = MAKERS.program(spec)

    def main() -> None:
        scenario_of(program)

    for _ in range(RUNS):
        chosen = search.next()
        assert chosen is not None
        engine = engines.controlled(program, spec, chosen)
        engine.run(main)
        search.learn(engine)
        record = Record.of_run(engine, {}, {})
        run_again(record, lambda strategy: engines.controlled(program, spec, strategy), main)


def test_a_feedback_schedule_is_the_same_twice(tmp_path: Path) -> None:
    lines = []
    for _ in range(2):
        record = run_one(spec_of("feedback:base=pct,index=5", 9), keep_record=True).record
        assert record is not None
        lines.append(list(record.lines()))
    assert lines[0] == lines[1]
    assert '"corpus":"' in lines[0][0]


def test_every_strategy_that_must_be_told_something_is() -> None:
    samplers = [strategy for strategy in registry.entries() if strategy.kind == "sampler"]
    told = {strategy.name for strategy in samplers if "" in strategy.options.values()}
    assert told == set(OPTIONS)
