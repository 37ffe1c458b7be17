"""Liveness of the kernel model: an idle page can be migrated, and who waits sleeps.

Extends the general judge.  Rules: attempts at an idle page are bounded (`attempts.py`); nobody waits without giving way
(`busy_wait.py`).  Invariant: as the general judge's.  Not checked: how long an attempt takes.
"""

from __future__ import annotations

from mmrace.oracles.general import liveness
from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol import attempts, busy_wait
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.record import Record

NAME = liveness.NAME


def judge(record: Record) -> Judgement:
    """Judge the end of the run, each sleep in it, each series of refused migrations, and waits that are no sleeps."""
    evidence = Evidence(NAME)
    checked, missing = liveness.examine(record, evidence)
    checked += _attempts(record, evidence)
    _busy_waits(record, evidence)
    return evidence.judgement(checked, missing)


def _attempts(record: Record, evidence: Evidence) -> int:
    """Judge each series of refusals; count the attempts."""
    counter = attempts.Counter()
    checked = 0
    for step in record.steps_on((), notes=("migrate-begin", "migrate-end")):
        task, _, kind, facts = record.events[step]
        if kind == "migrate-begin":
            counter.begin(step, task)
        else:
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


def _busy_waits(record: Record, evidence: Evidence) -> None:
    """Note each wait of a task that did not give way, with the first thing that it looked at in each round."""
    for wait in busy_wait.busy_waits(record):
        who, what = record.task_name(wait.task), record.lane_name(wait.ops[0] >> SHIFT)
        evidence.add(
            "busy wait",
            f"{who} did the same {wait.rounds} times in a row, from step {wait.first} to {wait.last}, beginning with "
            f"{what}, and gave way to nobody",
            (who, *(record.lane_name(op >> SHIFT) for op in wait.ops)),
            task=who,
            object=what,
            objects=list(dict.fromkeys(record.lane_name(op >> SHIFT) for op in wait.ops)),
            rounds=wait.rounds,
            step=wait.last,
            since=wait.first,
        )
