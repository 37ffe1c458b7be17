"""Scenarios: named casts with their parameters, the recorded workload, and how a stage is built."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from mmrace.runtime.errors import UsageError
from mmrace.scenarios.casts import all_scenarios
from mmrace.scenarios.scenario import Scenario

__all__ = ["ScenarioInfo", "get", "scenarios"]


@dataclass(frozen=True, slots=True)
class ScenarioInfo:
    """What a list shows of a scenario."""

    name: str
    title: str
    params: dict[str, int | str]
    marks: tuple[str, ...]
    claims: tuple[str, ...]


def scenarios() -> dict[str, ScenarioInfo]:
    """Return every scenario by name."""
    return {
        made.name: ScenarioInfo(made.name, made.title, dict(made.defaults), made.marks, made.claims)
        for made in all_scenarios()
    }


def get(name: str) -> Scenario:
    """Return a scenario.  Raises UsageError with close names if there is none."""
    known = {made.name: made for made in all_scenarios()}
    if name not in known:
        close = difflib.get_close_matches(name, known)
        raise UsageError(
            expected=f"a scenario out of {', '.join(known)}", got=name, try_=" or ".join(close) or "mmrace list"
        )
    return known[name]
