"""One run of a program that puts claims to the test: played, and asked.

Invariant: a run that did not finish says nothing of a claim.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmrace.claims.judges import CLAIMS, check_parts
from mmrace.claims.programs import parts_for, setting_of
from mmrace.claims.result import CUT
from mmrace.runs.play import Play, play
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime.record import Record
from mmrace.scenarios.maker import ScenarioMaker

MAKERS = Makers(ScenarioMaker())
FINISHED = "finished"
"""How a run has to end to say anything of a claim; a cut one says nothing, any other end is a failure by itself."""


@contextmanager
def play_one(spec: RunSpec) -> Iterator[Play]:
    """Draw one schedule and play it, for the length of the block."""
    program = MAKERS.program(spec)
    with play(program, spec, strategy_for(program, spec)) as played:
        yield played


def ask_one(spec: RunSpec, keep_record: bool = False, *, names: tuple[str, ...]) -> RunResult:
    """Play one schedule, and ask of these claims the parts that its program tests.

    The answers are the result's counters: "C7.tested", "C7.times".
    """
    with play_one(spec) as played:
        record = played.record
    result = RunResult(spec, "PASS", ops=len(record.events), record=record if keep_record else None)
    how = why_unfinished(record)
    if how:
        result.verdict, result.unknown = "UNKNOWN", {"claims": how}
        return result
    claims = [CLAIMS[name] for name in names]
    for name, instances in check_parts(record, parts_for(claims, setting_of(spec).name)).items():
        result.counters |= {f"{name}.tested": instances.tested, f"{name}.times": instances.times}
    return result


def why_unfinished(record: Record) -> str:
    """Say how a run ended that did not finish: `CUT`, or what was wrong with it; "" for one that finished."""
    how, detail = str(record.end.get("how")), record.end.get("detail", {})
    if how == FINISHED:
        return ""
    kind = str(detail.get("kind", detail.get("rule", "")))
    return CUT if (how, kind) == ("bound", "cut") else f"{how}: {kind}" if kind else how
