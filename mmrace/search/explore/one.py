"""One run of an exploration: with the class that it belongs to, and what feedback wants to know.

Invariant: an exploration adds to the cost of a run the number of its class only; a record is kept only of a failure.
"""

from __future__ import annotations

import time
from collections.abc import Container

from mmrace.oracles.general import data_race
from mmrace.oracles.general.judgement import Verdict
from mmrace.runs.judge import judge
from mmrace.runs.play import Play, play
from mmrace.runs.program import Makers
from mmrace.runs.run import judge_play, prove
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.crash import repeats
from mmrace.search.explore.walk import Visit
from mmrace.strategies.feedback import collect
from mmrace.strategies.order.classes import ClassDigest


def explore_one(spec: RunSpec, keep_record: bool = False, *, makers: Makers, naming: bool = False) -> RunResult:
    """Draw one schedule, run it, judge it.  Args: naming: tell which plain fields race and are no switch points."""
    began = time.perf_counter()
    program = makers.program(spec)
    chosen = strategy_for(program, spec)
    with play(program, spec, chosen, watch=ClassDigest) as played:
        result = judge_play(played, keep_record)
        assert isinstance(played.watched, ClassDigest)
        result.digest = played.watched.value()
        result.profile = chosen.profile
        if chosen.tape is not None:
            result.shown = collect(chosen.tape, _controlled(played), played.record)
        result.raced = _raced(result, played) - (chosen.promoted or frozenset()) if naming else frozenset()
    result.seconds = time.perf_counter() - began
    return result


def _raced(result: RunResult, played: Play) -> frozenset[str]:
    """Return the fields that race, whether or not their judge was asked."""
    if data_race.NAME in played.program.judges and data_race.NAME not in played.spec.without:
        return result.raced
    return data_race.racing_fields(played.record)


def judge_visit(visit: Visit, kept: Container[str]) -> RunResult:
    """Judge one run of a walk.

    Args: kept: signatures whose record is kept already; only a new one is run again, with sites.
    """
    began = time.perf_counter()
    played = visit.played
    program, spec = played.program, played.spec
    result = judge(program, spec, played.record, 0.0)
    if result.shows and any(finding.signature not in kept for finding in result.findings):
        if repeats(played.record.end):
            result = prove(played, result)
    else:
        result.record = None
    if _controlled(played).bounded_at is not None and result.verdict != Verdict.FAIL:
        result.verdict, result.alone = str(Verdict.UNKNOWN), ""
        bound = f"the run passed its bound of {program.steps_max} ops: what follows it was not searched"
        result.unknown["search"] = f"{bound}; {program.advice()}"
    result.digest = None if visit.digest is None else visit.digest.value()
    result.seconds = played.seconds + time.perf_counter() - began
    return result


def _controlled(played: Play) -> Controlled:
    assert isinstance(played.engine, Controlled)
    return played.engine
