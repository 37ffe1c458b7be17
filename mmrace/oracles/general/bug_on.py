"""BUG_ON: the assertions of the kernel code itself.

The model raises them where the kernel does.  Invariant: one that fired ends the run, as
in the kernel.  Not checked: WARN_ONs, which the model does not have.
"""

from __future__ import annotations

from mmrace.oracles.general import violations
from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.runtime.record import Record

NAME = "bug-on"


def judge(record: Record) -> Judgement:
    """Judge by the kernel's own assertions."""
    evidence = Evidence(NAME)
    violations.report(record, NAME, evidence)
    return evidence.judgement(violations.ops(record))
