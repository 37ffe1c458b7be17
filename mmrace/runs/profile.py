"""Profiles: what a program does, from a few runs with fixed seeds, for strategies that weigh by it.

Profiled runs are random walks.  The counts are those of the longest run that finished: a run that ended early would
bias them.  More such runs tell which plain accesses race (`racing`): only those need be switch points for samplers.
Invariant: a profile is a function of the program alone, so that every worker makes the same one; its digest stands in
the header of each record whose strategy used the profile.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from mmrace.oracles.general import data_race
from mmrace.runs.chosen import Chosen
from mmrace.runs.play import Play, play
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.strategies.contract import LaneUse, Profile
from mmrace.strategies.random_walk import RandomWalk

RACING, NO_FIELD = "racing", "none"
"""The words of `--promote` for the fields that race, and for no field at all."""
RUNS = 3  # of which the longest is taken; a run seldom ends early
RACING_RUNS = 24
"""Runs that look for racing accesses.  A field whose race they miss is no switch point; if a later run shows the race,
it is found and reported all the same."""

_profiles: dict[tuple[Any, ...], Profile] = {}
_racing: dict[tuple[Any, ...], frozenset[str]] = {}


def _walks(program: Program, runs: int, promoted: frozenset[str] | None) -> Iterator[Play]:
    for i in range(runs):
        chosen = Chosen(RandomWalk(random.Random(i).random), promoted)
        spec = RunSpec(program.name, engine="fiber", strategy="random", seed=i)
        with play(program, spec, chosen) as played:
            yield played


def _engine(played: Play) -> Controlled:
    assert isinstance(played.engine, Controlled)
    return played.engine


def profile_of(program: Program, promoted: frozenset[str] | None = None) -> Profile:
    """Return the program's profile, made once in a process.  Args: promoted: switch points of the runs to come."""
    key = (*program.key, promoted)
    made = _profiles.get(key)
    if made is None:
        engines = map(_engine, _walks(program, RUNS, promoted))
        longest = max(engines, key=lambda engine: (engine.end.get("how") == "finished", engine.step))
        made = _profiles[key] = measure(longest)
    return made


def measure(engine: Controlled) -> Profile:
    """Return what a finished run did in its explored part, at the points where a strategy was asked."""
    first, end = engine.explored()
    unasked = engine.promoted is not None
    ops: Counter[str] = Counter()
    lanes: dict[int, Counter[str]] = defaultdict(Counter)
    writes: Counter[int] = Counter()
    names = [task.name for task in engine.tasks]
    parents: dict[str, str] = {}
    step = -1
    for task, op, a, _ in engine.events:
        if op == NOTE:
            continue
        step += 1
        kind, lane = op & KIND_MASK, op >> SHIFT
        if not first <= step < end or kind == Kind.CHOOSE:
            continue
        if unasked and kind <= Kind.WRITE and lane not in engine.promoted_lanes:
            continue
        name = names[task]
        ops[name] += 1
        lanes[lane][name] += 1
        writes[lane] += kind & 1
        if kind == Kind.SPAWN:
            parents[names[a]] = name
    points = sum(1 for mask in engine.masks[first:end] if mask & (mask - 1))
    used = {
        lane: LaneUse(tuple(sorted(by_task)), by_task.total(), writes[lane], dict(sorted(by_task.items())))
        for lane, by_task in sorted(lanes.items())
    }
    shares = [(lane, use.writes, use.by_task) for lane, use in used.items()]
    text = json.dumps([sorted(ops.items()), sorted(parents.items()), points, shares])
    return Profile(dict(ops), parents, points, used, hashlib.sha256(text.encode()).hexdigest()[:16])


def racing(program: Program) -> frozenset[str]:
    """Return the plain fields ("Class.field") whose accesses raced in some profiled run, benign or not."""
    key = program.key
    made = _racing.get(key)
    if made is None:
        found: set[str] = set()
        for played in _walks(program, RACING_RUNS, None):
            found |= data_race.racing_fields(played.record)
        made = _racing[key] = frozenset(found)
    return made


def promote_text(fields: Iterable[str]) -> str:
    """Return the text of `--promote` that names just these fields."""
    return ",".join(sorted(fields)) or NO_FIELD


def promoted_fields(program: Program, text: str) -> frozenset[str] | None:
    """Return the plain fields that are switch points: None for "all"; those that race for "racing"; or those listed.

    Raises UsageError.
    """
    if text == "all":
        return None
    if text == RACING:
        return racing(program)
    fields = frozenset(text.split(",")) - {NO_FIELD}
    for field in fields:
        if not field.replace(".", "").isidentifier() or field.count(".") != 1:
            raise UsageError(
                expected="all, racing, none, or fields", got=text, where="--promote", try_="Box.x,Box.array"
            )
    return fields
