"""One run of an exploration: as `run.run_one`, with the class that it belongs to, and what feedback wants to know.

Invariant: what a run costs more here is the class's number; a record is kept only for a failure.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Container

from mmrace.oracles.general.judgement import Verdict
from mmrace.runs.play import follow, judge, judged
from mmrace.runs.program import Program
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.strategy import Strategy
from mmrace.strategies.contract import Systematic
from mmrace.strategies.feedback import collect
from mmrace.strategies.order.classes import ClassDigest


def explored(spec: RunSpec, keep_record: bool = False, without: Collection[str] = ()) -> RunResult:
    """Draw one schedule, run it, judge it.  Args: without: judges that are switched off."""
    began = time.perf_counter()
    program = Program.of(spec)
    chosen = strategy_for(program, spec)
    engine = program.engine(spec.engine, chosen.strategy, spec.seed, promoted=chosen.promoted)
    digest = ClassDigest(engine)
    final = program.play(engine)
    chosen.strategy.finish()
    record = program.record(engine, final, spec, profile=chosen.profile, corpus=chosen.corpus)
    result = judged(program, spec, record, 0.0, keep_record, without)
    result.digest = digest.value()
    result.exercised = exercised(engine)
    result.profile = chosen.profile
    if chosen.tape is not None:
        result.shown = collect(chosen.tape, engine, record)
    engine.release()
    result.seconds = time.perf_counter() - began
    return result


def walked(
    program: Program,
    spec: RunSpec,
    strategy: Strategy,
    search: Systematic,
    without: Collection[str],
    known: Container[str],
) -> RunResult | None:
    """Make one run of a systematic search; None if the search had no use for it.

    Args: known: signatures whose record is kept already; only a new one is run again, with sites.
    """
    began = time.perf_counter()
    engine = program.engine(spec.engine, strategy, spec.seed)
    digest = None if search.standing().reduced else ClassDigest(engine)
    final = program.play(engine)
    search.learn(engine)
    if engine.end.get("how") == "abandoned" or not search.standing().new:
        engine.release()
        return None
    record = program.record(engine, final, spec)
    result = judge(spec, record, 0.0, without)
    if result.verdict == Verdict.FAIL and any(finding.signature not in known for finding in result.findings):
        result = judge(spec, follow(program, spec, record), 0.0, without)
    else:
        result.record = None
    if engine.bounded_at is not None and result.verdict == Verdict.PASS:
        result.verdict = str(Verdict.UNKNOWN)
        result.unknown["search"] = "the run passed its bound: what follows it was not searched"
    result.digest = None if digest is None else digest.value()
    result.exercised = exercised(engine)
    engine.release()
    result.seconds = time.perf_counter() - began
    return result


def exercised(engine: Controlled) -> bool:
    """Say whether two tasks could go on at some point of the explored part."""
    first, end = engine.explored()
    return any(mask & (mask - 1) for mask in engine.masks[first:end])
