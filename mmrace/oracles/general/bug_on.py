"""BUG_ON: the assertions that the program makes by `runtime.bug_on`.

Invariant: one that fired ends the run, as in the kernel.  Not checked: conditions that the program does not assert.
"""

from __future__ import annotations

from mmrace.oracles.general import violations
from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.runtime.record import Record

NAME = "bug-on"


def judge(record: Record) -> Judgement:
    """Judge by the program's own assertions."""
    evidence = Evidence(NAME)
    violations.report(record, NAME, evidence)
    return evidence.judgement(violations.ops(record))
