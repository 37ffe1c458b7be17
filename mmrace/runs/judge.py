"""Ask a program's judges, and those of loaded files, for their verdict on a record, and put it there.

Invariant: a run that was cut at its bound is never PASS, nor is one with nothing to interleave, or that followed
nothing of the schedule that it was given; and a run that crashed is always FAIL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmrace.oracles.general import expected
from mmrace.oracles.general.bench import judge_all, overall
from mmrace.oracles.general.judgement import NOTHING, Finding, Oracle, Verdict
from mmrace.oracles.general.violations import VIOLATION
from mmrace.runs import registrations
from mmrace.runs.counters import ops_and_switches
from mmrace.runs.exercised import why_alone
from mmrace.runs.program import Program
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import Followed

EVERY = "every judge"
"""Who does not know, where the run itself proves nothing."""


def judges_of(program: Program, spec: RunSpec) -> Mapping[str, Oracle]:
    """Return who judges a run, by name."""
    return {**program.judges, **registrations.judges(spec.load)}


def judge(program: Program, spec: RunSpec, record: Record, seconds: float) -> RunResult:
    """Judge a run."""
    bench = {name: oracle for name, oracle in judges_of(program, spec).items() if name not in spec.without}
    judgements = expected.mark(record, judge_all(record, bench), program.expects)
    verdict = overall(judgements, program.required - frozenset(spec.without))
    findings = [finding for judgement in judgements for finding in judgement.findings]
    how = record.end.get("how")
    if verdict == Verdict.UNKNOWN and _ended_by_known(record, findings):
        verdict = Verdict.PASS  # as far as it went
    if how == "bound" and record.end["detail"].get("kind") == "cut" and verdict == Verdict.PASS:
        verdict = Verdict.UNKNOWN
    followed = followed_in(record)
    idle = set() if verdict == Verdict.UNKNOWN else {j.oracle for j in judgements if j.nothing_to_check}
    idle -= program.required
    unknown = {j.oracle: j.reason for j in judgements if j.verdict == Verdict.UNKNOWN and j.oracle not in idle}
    if followed is not None and followed.of and not followed.done and verdict != Verdict.FAIL:
        verdict, unknown[EVERY] = Verdict.UNKNOWN, f"the run followed none of {followed.of} {followed.what}"
    alone = ""
    if verdict == Verdict.PASS or (verdict == Verdict.UNKNOWN and {*unknown.values()} == {NOTHING}):
        alone = why_alone(program, record)
        if alone:
            verdict, unknown[EVERY] = Verdict.UNKNOWN, alone
    if how == "crash" and verdict != Verdict.FAIL:
        verdict = Verdict.FAIL
    record.verdict = {
        "verdict": str(verdict),
        "findings": [
            {"oracle": f.oracle, "rule": f.rule, "title": f.title, "facts": f.facts, "signature": f.signature}
            | ({"known": f.known} if f.known else {})
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
        unknown=unknown,
        record=record,
        followed=followed,
        alone=alone,
        expects=tuple(known.row for known in program.expects if not known.rare),
        raced=frozenset().union(*(judgement.raced for judgement in judgements)),
    )


def _ended_by_known(record: Record, findings: Sequence[Finding]) -> bool:
    """Say whether a known finding ended a run before its end, so that some judges could not see all they need."""
    detail = record.end.get("detail", {})
    ending = [f for f in findings if (f.oracle, f.rule) == (detail.get("oracle"), detail.get("rule"))]
    return record.end.get("how") == VIOLATION and any(finding.known for finding in ending)


def followed_in(record: Record) -> Followed | None:
    """Return what a record's header says of how much of a given schedule the run was."""
    match record.header.get("followed"):
        case {"done": int(done), "of": int(of), "what": str(what), "left": [*left]}:
            return Followed(done, of, what, tuple(map(str, left)))
    return None
