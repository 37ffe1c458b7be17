"""Small programs of no kernel, each with a bug that one schedule of a few shows; runs of them with their records."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mmrace import installed
from mmrace.examples import bounded_queue, lost_update, two_locks
from mmrace.runs import functions
from mmrace.runs.spec import RunSpec
from mmrace.runtime.record import Record
from mmrace.story.facts import Story
from mmrace.story.tell import tell
from stress import planted_programs

SEEDS = 200


@cache
def failed(file: str, function: str, oracle: str, rule: str = "") -> tuple[Record, str]:
    """Return a record in which a program shows a finding of an oracle and a rule, and its signature."""
    for seed in range(SEEDS):
        strategy = ("random", "surw")[seed % 2]
        spec = RunSpec(f"{file}:{function}", maker=functions.KIND, engine="fiber", strategy=strategy, seed=seed)
        result = installed.run_one(spec)
        found = [one for one in result.findings if one.oracle == oracle and rule in ("", one.rule)]
        if found and result.record is not None:
            return result.record, found[0].signature
    raise AssertionError(f"no seed of {function} shows {oracle}: {rule}")


def story(module: object, function: str, oracle: str, rule: str = "") -> Story:
    """Tell the story of such a finding."""
    return tell(*failed(str(Path(str(vars(module)["__file__"]))), function, oracle, rule))


UPDATE, LOCKS, QUEUE, PLANTED = lost_update, two_locks, bounded_queue, planted_programs
