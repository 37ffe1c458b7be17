"""One run from its spec to its result: played, judged, and if it failed under a controlled engine, proved.

Proved means: run a second time, strictly along its own record, this time keeping sites.  That shows that it can be
replayed, and makes the record that is saved.  Invariant: what raises is a wrong call or a bug of mmrace (`play.py`).
"""

from __future__ import annotations

from dataclasses import replace

from mmrace.oracles.general.judgement import Verdict
from mmrace.runs import debugging, engines
from mmrace.runs.follow import follow
from mmrace.runs.judge import judge
from mmrace.runs.play import Play, play, stopped_by
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.breaking import BreakAt
from mmrace.runtime.crash import repeats
from mmrace.runtime.errors import NondeterminismError


def run_one(spec: RunSpec, keep_record: bool = False, *, makers: Makers, breaking: BreakAt | None = None) -> RunResult:
    """Do one run and judge it.

    Args: breaking: stops it at a step, under engine `gate`.  Raises DebuggerQuit if it was ended there, UsageError for
    a spec that names what does not exist, InternalError for a bug of mmrace.
    """
    engines.check(spec.engine)
    program = makers.program(spec)
    chosen = None if spec.engine == "free" else strategy_for(program, spec)
    with debugging.ending(breaking), play(program, spec, chosen, **stopped_by(breaking)) as played:
        debugging.check_finished(breaking)
        return judge_play(played, keep_record)


def judge_play(played: Play, keep_record: bool = False) -> RunResult:
    """Judge a run; if it showed anything under a controlled engine, do it again along its record first, keeping sites.

    Raises UsageError for a run that neither failed nor went as its strategy was told.
    """
    program, spec = played.program, played.spec
    result = judge(program, spec, played.record, played.seconds)
    if played.unmet is not None and result.verdict != Verdict.FAIL:
        raise played.unmet
    if result.shows and spec.engine != "free" and repeats(played.record.end):
        return prove(played, result)
    if result.verdict == Verdict.PASS and not result.shows and not keep_record:
        result.record = None
    return result


def prove(played: Play, result: RunResult) -> RunResult:
    """Judge a failed run again, made along its record: its findings name sites, as those of its replay will.

    A run that goes otherwise when it is made again has failed all the same: its findings say so, and it has no record.
    """
    try:
        again = follow(played.program, played.spec, played.record)
    except NondeterminismError as error:
        told = {"unrepeatable": f"made again along its record, the run went otherwise; {error.beside()}"}
        result.findings = [replace(finding, facts={**finding.facts, **told}) for finding in result.findings]
        result.record = None
        return result
    return judge(played.program, played.spec, again, result.seconds)
