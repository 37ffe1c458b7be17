"""Liveness of the kernel model: an idle page can be migrated.

Extends the general judge.  Rule: attempts at an idle page are bounded (`attempts.py`).  Invariant: as the general
judge's.  Not checked: how long an attempt takes.
"""

from __future__ import annotations

from mmrace.oracles.general import liveness
from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol import attempts
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record

NAME = liveness.NAME


def judge(record: Record) -> Judgement:
    """Judge the end of the run, each sleep in it, and each series of refused migrations."""
    evidence = Evidence(NAME)
    checked, missing = liveness.examine(record, evidence)
    checked += _attempts(record, evidence)
    return evidence.judgement(checked, missing)


def _attempts(record: Record, evidence: Evidence) -> int:
    """Judge each series of refusals; count the attempts."""
    counter = attempts.Counter()
    checked = 0
    for step in record.steps(NOTE):
        task, _, kind, facts = record.events[step]
        if kind == "migrate-begin":
            counter.begin(step, task)
        elif kind == "migrate-end":
            checked += 1
            counter.end(step, task, str(record.name(facts[0])), str(facts[3]), str(facts[4]))
    for series in counter.series:
        leaks = attempts.idle(record, series)
        if leaks is not None:
            who = record.task_name(series.task)
            tries = len(series.reasons)
            held = f", for it is held: {'; '.join(leak.text(record) for leak in leaks)}" if leaks else ""
            evidence.add(
                "idle page refused",
                f"{series.page} was idle, yet {who} failed {tries} times in a row to migrate it{held}",
                (series.page, who),
                page=series.page,
                task=who,
                held=[leak.fact(record) for leak in leaks],
                reasons=list(series.reasons),
                step=series.last,
                since=series.first,
            )
    return checked
