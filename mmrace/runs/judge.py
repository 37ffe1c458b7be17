"""Ask a program's judges for their verdict on a record, and put it there.

Invariant: a run that was cut at its bound is never PASS, and a run that crashed is always FAIL.
"""

from __future__ import annotations

from collections.abc import Collection

from mmrace.oracles.general.bench import judge_all, overall
from mmrace.oracles.general.judgement import Verdict
from mmrace.runs.counters import ops_and_switches
from mmrace.runs.program import Program
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.record import Record


def judge(program: Program, spec: RunSpec, record: Record, seconds: float, without: Collection[str] = ()) -> RunResult:
    """Judge a run.  Args: without: names of judges that are switched off."""
    bench = {name: oracle for name, oracle in program.judges.items() if name not in without}
    judgements = judge_all(record, bench)
    verdict = overall(judgements, program.required - frozenset(without))
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
    ops, switches = ops_and_switches(record)
    return RunResult(
        spec=spec,
        verdict=str(verdict),
        findings=findings,
        ops=ops,
        switches=switches,
        seconds=seconds,
        counters=program.counters(record),
        marks=record.marks,
        unknown={j.oracle: j.reason for j in judgements if j.verdict == Verdict.UNKNOWN},
        record=record,
        raced=frozenset().union(*(judgement.raced for judgement in judgements)),
    )
