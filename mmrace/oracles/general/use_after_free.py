"""Use after free: nobody touches a freed object, and none is freed twice.

The runtime poisons what the model frees and refuses every op on it; each
op of the run was one such check.  Invariant: `struct page` is type-stable, so its count, flags and map count
may be touched at any time. Not checked: a stale pointer that is only compared, and a page that was freed and
allocated again in between (what was written there is judged by the content oracle, what was counted by the
ledger).
"""

from __future__ import annotations

from mmrace.oracles.general import violations
from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.runtime.record import Record

NAME = "use-after-free"


def judge(record: Record) -> Judgement:
    """Judge by the runtime's own checks."""
    evidence = Evidence(NAME)
    violations.report(record, NAME, evidence)
    return evidence.judgement(violations.ops(record))
