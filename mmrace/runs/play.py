"""One run: take the program and a strategy, let an engine run it, judge the record.

Invariant: a failure of the model is a result, never an exception; what raises is a wrong call (UsageError) or a bug of
mmrace (InternalError, NondeterminismError).  A failing run under a controlled engine is run a second time, strictly
along its own record, this time keeping sites: that is its proof that it can be replayed, and the record that is saved.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from mmrace import oracles, scenarios
from mmrace.oracles.general.judgement import Judgement, Verdict
from mmrace.runs import counters
from mmrace.runs.profile import NO_FIELD
from mmrace.runs.program import Program
from mmrace.runs.replay import StrictReplay
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import SCHEMA, Record

__all__ = ["RunResult", "RunSpec", "judged", "replay_record", "run_one"]


def run_one(spec: RunSpec, keep_record: bool = False) -> RunResult:
    """Do one run and judge it.

    Raises UsageError for a spec that names what does not exist, InternalError for a bug of mmrace.
    """
    program = Program.of(spec)
    if spec.engine == "free":
        began = time.perf_counter()
        free = program.free(spec.noise, spec.seed)
        record = program.record(free, program.play(free), spec)
        return judged(program, spec, record, time.perf_counter() - began, keep_record)
    chosen = strategy_for(program, spec)
    began = time.perf_counter()
    engine = program.engine(spec.engine, chosen.strategy, spec.seed, promoted=chosen.promoted)
    final = program.play(engine)
    chosen.strategy.finish()
    record = program.record(engine, final, spec, profile=chosen.profile, corpus=chosen.corpus)
    result = judged(program, spec, record, time.perf_counter() - began, keep_record)
    engine.release()
    return result


def judged(
    program: Program,
    spec: RunSpec,
    record: Record,
    seconds: float,
    keep_record: bool = False,
    without: Collection[str] = (),
) -> RunResult:
    """Judge a run; if it failed under a controlled engine, do it again along its record first, keeping sites.

    Args: without: names of judges that are switched off.
    """
    result = judge(spec, record, seconds, without)
    if result.verdict == Verdict.FAIL and spec.engine != "free":
        # its findings name sites, as those of its replay will
        result = judge(spec, follow(program, spec, record), result.seconds, without)
    elif result.verdict == Verdict.PASS and not keep_record:
        result.record = None
    return result


def judge(spec: RunSpec, record: Record, seconds: float, without: Collection[str] = ()) -> RunResult:
    """Ask the oracles, and put their verdict in the record."""
    names = [name for name in oracles.ORACLES if name not in without]
    judgements: list[Judgement] = oracles.judge_all(record, names)
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
    counts = counters.counters(record)
    return RunResult(
        spec=spec,
        verdict=str(verdict),
        findings=findings,
        ops=counts.pop("ops"),
        switches=counts.pop("switches"),
        seconds=seconds,
        counters=counts,
        marks=record.marks,
        unknown={j.oracle: j.reason for j in judgements if j.verdict == Verdict.UNKNOWN},
        record=record,
    )


def follow(program: Program, spec: RunSpec, record: Record) -> Record:
    """Run strictly along `record`, keeping sites.  Raises NondeterminismError at the first difference."""
    strategy = StrictReplay(record)
    promoted = record.header.get("promoted")
    engine = program.engine(
        spec.engine, strategy, spec.seed, sites=True, promoted=None if promoted is None else frozenset(promoted)
    )
    final = program.play(engine)
    strategy.finish()
    again = program.record(
        engine, final, spec, profile=record.header.get("profile"), corpus=record.header.get("corpus")
    )
    engine.release()
    return again


def with_sites(result: RunResult) -> Record:
    """Return the record of a result with sites, which a controlled run that passed has kept none of.

    Raises NondeterminismError if the run does not repeat itself.
    """
    record = result.record
    assert record is not None
    if result.spec.engine == "free" or record.sites:
        return record
    again = follow(Program.of(result.spec), result.spec, record)
    again.verdict = record.verdict
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
        return RunSpec(
            scenario=header["scenario"],
            params=tuple(sorted(_changed(header["scenario"], header["params"]).items())),
            variant=header["variant"],
            engine=header["engine"],
            strategy=header["strategy"],
            noise="off",
            seed=header["seed"],
            workload=header["workload"],
            promote="all" if header.get("promoted") is None else ",".join(header["promoted"]) or NO_FIELD,
            load=tuple(header.get("load", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(expected="a header with the run's spec", got=repr(error), where="record header") from error


def _refuse_older(record: Record, spec: RunSpec) -> None:
    """Raise UsageError for a record of an older schema: its ops are not those of the program any more."""
    if record.schema != SCHEMA:
        raise UsageError(
            expected=f"a record of schema {SCHEMA}, whose ops this mmrace repeats",
            got=f"one that an older mmrace wrote ({record.schema})",
            where="replay",
            try_=f"`mmrace show` and the judges still read it; to make such a run anew: {spec.command()}",
        )


def _changed(scenario: str, params: dict[str, int | str]) -> dict[str, int | str]:
    """Return the parameters that differ from the scenario's defaults."""
    defaults = scenarios.get(scenario).defaults
    return {key: value for key, value in params.items() if defaults.get(key) != value}


def replay_record(path: str) -> RunResult:
    """Replay a record strictly and judge it again.

    Raises UsageError for a record that cannot be replayed, NondeterminismError at the first difference.
    """
    record = Record.read(path)
    spec = spec_of(record)
    _refuse_older(record, spec)
    program = Program.of(spec)
    began = time.perf_counter()
    again = follow(program, spec, record)
    result = judge(spec, again, time.perf_counter() - began)
    result.record = again
    return result
