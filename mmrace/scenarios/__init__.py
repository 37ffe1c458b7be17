"""Scenarios: named casts with their parameters, the recorded workload, and how a stage is built."""

from __future__ import annotations

from collections.abc import Mapping

from mmrace.runtime.errors import OWN_FILE, UsageError, unknown
from mmrace.runtime.param import Value, Values
from mmrace.scenarios.build import BORROWED
from mmrace.scenarios.casts import all_scenarios
from mmrace.scenarios.scenario import COUNTED, Scenario

__all__ = ["changed", "get"]


def get(name: str) -> Scenario:
    """Return a scenario.  Raises UsageError with close names if there is none."""
    known = {made.name: made for made in all_scenarios()}
    if name not in known:
        raise unknown("a scenario", name, known, try_=f"`mmrace list scenarios` shows all of them; {OWN_FILE}")
    return known[name]


def changed(name: str, recorded: Mapping[str, Value]) -> Values:
    """Return those parameters of a record's header that differ from the defaults of its scenario.

    An older record lists the parameters of all scenarios.  One that this scenario does not have is left out: no actor
    of its cast reads it.  The set-up and the bound of a run read some nevertheless: such a parameter must have its
    default, which they use now.  Raises UsageError if it has not, for then the run cannot be made again.
    """
    scenario = get(name)
    elsewhere = {key for made in all_scenarios() for key in made.params}
    fixed = {param.name: param for param in (*BORROWED, *(() if scenario.needs_workload else COUNTED))}
    found: Values = {}
    for key, value in recorded.items():
        if key in scenario.params:
            if value != scenario.params[key].default:
                found[key] = value
        elif key not in elsewhere:
            found[key] = value  # of no scenario: `Scenario.merged` refuses it
        elif key in fixed and value != fixed[key].default:
            raise UsageError(
                expected=f"{key}={fixed[key].default}, since {name} has no such parameter any more",
                got=value,
                where="record header",
                try_="`mmrace show` and the judges still read the record",
            )
    return found
