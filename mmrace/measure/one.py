"""One run of the load: played at a machine's pace, and counted.

Invariant: a run that did not finish counts for nothing.  Not judged: judges look at schedules, in every era; this is a
measure, of runs ten times as long.
"""

from __future__ import annotations

from mmrace.claims.one import play_one, why_unfinished
from mmrace.measure.counting import counted
from mmrace.measure.load import STALLED, Row
from mmrace.runs.spec import RunResult, RunSpec, derive

STRATEGY = "timed"


def spec_of(row: Row, era: str, seed: int, index: int) -> RunSpec:
    """Return run `index` of a row in an era: with the same seed in each of them."""
    params = tuple(sorted(row.params.items()))
    return RunSpec(row.scenario, params, engine="fiber", strategy=STRATEGY, seed=derive(seed, row.name, index), era=era)


def count_one(spec: RunSpec, keep_record: bool = False) -> RunResult:
    """Play one run; its counts are the result's counters."""
    with play_one(spec) as played:
        record = played.record
    result = RunResult(spec, "PASS", ops=len(record.events), record=record if keep_record else None)
    how = why_unfinished(record)
    if how:
        result.verdict, result.unknown = "UNKNOWN", {"table": how}
    else:
        result.counters = counted(record, STALLED)
    return result
