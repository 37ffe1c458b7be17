"""Use after free: nobody touches a freed object, and none is freed twice.

The runtime poisons what the program frees and refuses every op on it; each op of the run was one such check.
Invariant: what the program keeps of a freed object (`poison(obj, keep=...)`: memory that never changes its type) may be
touched at any time.  Not checked: a stale pointer that is only compared, and an object that was freed and allocated
again in between.
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
