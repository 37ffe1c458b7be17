"""One run: build the engine and the variant, run the scenario, judge the record.

Invariant: a failure of the model is a result, never an exception; what raises is a wrong call (UsageError) or a bug of
mmrace (InternalError).  A failing run under a controlled engine is run a second time, strictly along its own record,
this time keeping sites: that is its proof that it can be replayed, and the record that is saved.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from typing import Any

from mmrace import history, oracles, scenarios
from mmrace.history.variant import CORRECT, Variant, applied
from mmrace.oracles.judgement import Judgement, Verdict
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import InternalError, UsageError, Violation
from mmrace.runtime.free import Free
from mmrace.runtime.gate import Gate
from mmrace.runtime.noise import Noise
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin, Strategy
from mmrace.scenarios.scenario import Scenario, Stage
from mmrace.scenarios.workload import Workload
from mmrace.search import tally
from mmrace.search.random_walk import RandomWalk
from mmrace.search.replay import StrictReplay
from mmrace.search.spec import RunResult, RunSpec

__all__ = ["RunResult", "RunSpec", "replay_record", "run_one"]

ERA = "3.3"
STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "random": RandomWalk,
    "round-robin": lambda seed: RoundRobin(1 + seed),
}
ENGINES = ("free", "gate")


def run_one(spec: RunSpec, keep_record: bool = False) -> RunResult:
    """Do one run and judge it.

    Raises UsageError for a spec that names what does not exist, InternalError for a bug of mmrace.
    """
    scenario, params, variant, workload = _resolve(spec)
    began = time.perf_counter()
    if spec.engine == "free":
        steps = _steps(scenario, params, workload)
        free = Free(Noise(spec.noise, spec.seed), seed=spec.seed, ncpus=scenario.ncpus(params), steps_max=steps)
        record = _run(free, spec, scenario, params, variant, workload)
    else:
        record = _controlled(spec, scenario, params, variant, workload, STRATEGIES[spec.strategy](spec.seed))
    result = _judge(spec, scenario, record, time.perf_counter() - began)
    if result.verdict == Verdict.FAIL and spec.engine != "free":
        again = _follow(spec, scenario, params, variant, workload, record)
        result = _judge(spec, scenario, again, result.seconds)  # its findings name sites, as those of its replay will
    elif result.verdict == Verdict.PASS and not keep_record:
        result.record = None
    return result


def _resolve(spec: RunSpec) -> tuple[Scenario, dict[str, int | str], Variant, Workload | None]:
    scenario = scenarios.get(spec.scenario)
    if spec.engine not in ENGINES:
        raise UsageError(expected=f"an engine out of {', '.join(ENGINES)}", got=spec.engine)
    if spec.engine != "free" and spec.strategy not in STRATEGIES:
        raise UsageError(expected=f"a strategy out of {', '.join(STRATEGIES)}", got=spec.strategy)
    variant = history.get(spec.variant) if spec.variant else CORRECT
    workload = Workload.load(spec.workload) if spec.workload else None
    params = scenario.merged(dict(spec.params))
    _check_workload(scenario, params, workload)
    return scenario, params, variant, workload


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


def _steps(scenario: Scenario, params: dict[str, int | str], workload: Workload | None) -> int:
    return scenario.steps(params, len(workload.actions) if workload else 0)


def _controlled(
    spec: RunSpec,
    scenario: Scenario,
    params: dict[str, int | str],
    variant: Variant,
    workload: Workload | None,
    strategy: Strategy,
    sites: bool = False,
) -> Record:
    steps = _steps(scenario, params, workload)
    engine = Gate(strategy, seed=spec.seed, ncpus=scenario.ncpus(params), steps_max=steps, sites=sites)
    if isinstance(strategy, StrictReplay):
        strategy.attach(engine)
    return _run(engine, spec, scenario, params, variant, workload)


def _run(
    engine: Free | Controlled,
    spec: RunSpec,
    scenario: Scenario,
    params: dict[str, int | str],
    variant: Variant,
    workload: Workload | None,
) -> Record:
    stage = Stage(params, workload)
    with applied(variant):
        engine.run(lambda: scenario.play(stage))
    error = engine.error
    if error is not None and not isinstance(error, Violation):
        if isinstance(error, UsageError | InternalError) or not spec.variant:
            raise error
        # a planted bug may trip over Python itself; that is a crash of the model, and no oracle's finding
        engine.end = {"how": "crash", "detail": {"error": f"{type(error).__name__}: {error}"}}
    header = {
        "scenario": spec.scenario,
        "params": params,
        "variant": spec.variant,
        "era": ERA,
        "engine": spec.engine,
        "strategy": spec.strategy if spec.engine != "free" else None,
        "noise": spec.noise if spec.engine == "free" else None,
        "seed": spec.seed,
        "workload": spec.workload,
        "ncpus": scenario.ncpus(params),
        "host": {"python": sys.version.split()[0], "machine": platform.machine()},
    }
    return Record.of_run(engine, header, stage.final)


def _judge(spec: RunSpec, scenario: Scenario, record: Record, seconds: float) -> RunResult:
    judgements: list[Judgement] = oracles.judge_all(record)
    verdict = oracles.overall(judgements)
    how = record.end.get("how")
    if how == "bound" and record.end["detail"].get("kind") == "cut" and verdict == Verdict.PASS:
        verdict = Verdict.UNKNOWN
    if how == "crash" and verdict != Verdict.FAIL:
        verdict = Verdict.FAIL
    findings = [finding for judgement in judgements for finding in judgement.findings]
    record.verdict = {
        "verdict": str(verdict),
        "findings": [
            {"oracle": f.oracle, "rule": f.rule, "title": f.title, "facts": f.facts, "signature": f.signature}
            for f in findings
        ],
        "checked": {judgement.oracle: judgement.checked for judgement in judgements},
    }
    counters = tally.counters(record)
    return RunResult(
        spec=spec,
        verdict=str(verdict),
        findings=findings,
        ops=counters.pop("ops"),
        switches=counters.pop("switches"),
        seconds=seconds,
        counters=counters,
        marks=record.marks,
        unknown={j.oracle: j.reason for j in judgements if j.verdict == Verdict.UNKNOWN},
        record=record,
    )


def _follow(
    spec: RunSpec,
    scenario: Scenario,
    params: dict[str, int | str],
    variant: Variant,
    workload: Workload | None,
    record: Record,
) -> Record:
    """Run strictly along `record`, keeping sites.  Raises NondeterminismError at the first difference."""
    strategy = StrictReplay(record)
    again = _controlled(spec, scenario, params, variant, workload, strategy, sites=True)
    strategy.finish()
    return again


def spec_of(record: Record) -> RunSpec:
    """Return the spec of a record's run.  Raises UsageError if it cannot be replayed strictly."""
    header: dict[str, Any] = record.header
    if header.get("engine") == "free":
        raise UsageError(
            expected="a record of a controlled engine",
            got="one of engine free",
            try_="run the same scenario with --engine gate: only its schedules can be followed strictly",
        )
    try:
        defaults = scenarios.get(header["scenario"]).defaults
        return RunSpec(
            scenario=header["scenario"],
            params=tuple(sorted(pair for pair in header["params"].items() if defaults.get(pair[0]) != pair[1])),
            variant=header["variant"],
            engine=header["engine"],
            strategy=header["strategy"],
            noise="off",
            seed=header["seed"],
            workload=header["workload"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(expected="a header with the run's spec", got=repr(error), where="record header") from error


def replay_record(path: str) -> RunResult:
    """Replay a record strictly and judge it again.

    Raises UsageError for a record that cannot be replayed, NondeterminismError at the first difference.
    """
    record = Record.read(path)
    spec = spec_of(record)
    scenario, params, variant, workload = _resolve(spec)
    began = time.perf_counter()
    again = _follow(spec, scenario, params, variant, workload, record)
    result = _judge(spec, scenario, again, time.perf_counter() - began)
    result.record = again
    return result
