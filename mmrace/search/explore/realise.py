"""From a predicted deadlock to one that happened, or to "predicted only": a search that postpones the tasks of a cycle.

Not here: the prediction (`oracles/general/lock_order.py`), and how tasks are postponed (`strategies/postpone.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmrace.oracles.general import lock_order
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunResult, derive
from mmrace.search.explore.ask import Ask

RUNS_MAX = 100
"""Schedules that try to meet a predicted cycle.  Data or another lock may rule the cycle out, and it is never met; else
a few schedules suffice, since its tasks wait for each other at the right place."""


def cycle_of(finding: Finding) -> str:
    """Return the cycle of a predicted deadlock as `postpone` reads it; "" if it is no prediction, or tells no op."""
    if finding.oracle != lock_order.NAME or not finding.facts.get("predicted"):
        return ""
    wants = []
    edges = finding.facts["edges"]
    assert isinstance(edges, list | tuple)
    for edge in edges:
        assert isinstance(edge, Mapping)
        lanes = edge["wanted_lanes"]
        assert isinstance(lanes, list | tuple)
        held = "" if edge["held_lane"] is None else f"/{edge['held_lane']}"
        wants += [f"{edge['task']}@{lane}{held}" for lane in lanes]
    return "+".join(wants)


def is_deadlock(finding: Finding) -> bool:
    """Say whether a finding is a deadlock that happened."""
    return finding.oracle == "liveness" and finding.rule in ("cycle", "stuck")


def already_met(predicted: Finding, others: Iterable[Finding]) -> str:
    """Return the signature of a deadlock among `others` that has just the tasks of a predicted cycle, or ""."""
    edges = predicted.facts["edges"]
    assert isinstance(edges, list | tuple)
    tasks = {str(edge["task"]) for edge in edges if isinstance(edge, Mapping)}
    for finding in others:
        cycle = finding.facts.get("cycle")
        if is_deadlock(finding) and isinstance(cycle, list | tuple) and {str(name) for name in cycle} == tasks:
            return finding.signature
    return ""


def search(ask: Ask, makers: Makers, cycle: str) -> RunResult | None:
    """Return a run in which the cycle closed, or None."""
    for i in range(RUNS_MAX):
        result = run_one(ask.spec(f"postpone:cycle={cycle}", derive(ask.seed, "realise", i)), makers=makers)
        if any(is_deadlock(finding) for finding in result.findings):
            return result
    return None
