"""Profiles: what a program does, from a few runs with fixed seeds, for strategies that weigh by it.

Profiled runs are random walks, and runs of one task at a time in random order, which are as long as their tasks let
each other wait.  The counts are those of the longest walk that finished: a run that ended early would bias them; only
of the points it is the most that any of the runs had.  More walks tell which plain accesses race (`racing`): only those
need be switch points for samplers.
Invariant: a profile is a function of the program alone, so that every worker makes the same one; its digest stands in
the header of each record whose strategy used the profile.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from mmrace.oracles.general import data_race
from mmrace.runs import stops
from mmrace.runs.chosen import Chosen
from mmrace.runs.play import Play, play
from mmrace.runs.program import Program
from mmrace.runs.segments import Segment, Segments
from mmrace.runs.spec import RunSpec
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import UsageError
from mmrace.runtime.kinds import CHOOSE, JOIN, KIND_MASK, NOTE, OF_LIFE, RELEASE, SHIFT, SLEEP, SPAWN, TRY, WRITE
from mmrace.runtime.strategy import Strategy
from mmrace.strategies.contract import LaneUse, Profile
from mmrace.strategies.pct import Pct
from mmrace.strategies.random_walk import RandomWalk

RACING, NO_FIELD = "racing", "none"
"""The words of `--promote` for the fields that race, and for no field at all."""
FIELD_WORDS = ("all", RACING, NO_FIELD)
RUNS = 3  # of each sort at most; of the walks the longest is taken, since a run seldom ends early
OPS_ENOUGH = 50_000
"""Ops of the runs of a sort after which no further one is made: counts of so many ops are steady, and a run of a rich
cast has more than that, so that six of them would take longer than the exploration that they are made for."""
RACING_RUNS = 24
"""Runs that look for racing accesses.  A field whose race they miss is no switch point; if a later run shows the race,
it is found and reported all the same."""

_profiles: dict[tuple[Any, ...], Profile] = {}
_racing: dict[tuple[Any, ...], frozenset[str]] = {}


def walks(program: Program, runs: int, promoted: frozenset[str] | None) -> Iterator[Play]:
    """Yield random walks with fixed seeds, each valid until the next.  Args: promoted: switch points; None: all."""
    for i in range(runs):
        stops.check_wanted()
        with _played(program, RandomWalk(random.Random(i).random), i, promoted) as played:
            yield played


def _alone(program: Program, runs: int, promoted: frozenset[str] | None) -> Iterator[Play]:
    """Yield runs of one task at a time, in random order."""
    for i in range(runs):
        stops.check_wanted()
        with _played(program, Pct(random.Random(i).random, 1, 1), i, promoted) as played:
            yield played


def _engines(plays: Iterator[Play]) -> list[Controlled]:
    """Return the engines of runs, as many as are enough."""
    engines: list[Controlled] = []
    for played in plays:
        engines.append(_engine(played))
        if sum(engine.step for engine in engines) >= OPS_ENOUGH:
            break
    return engines


def _played(
    program: Program, strategy: Strategy, seed: int, promoted: frozenset[str] | None
) -> AbstractContextManager[Play]:
    spec = RunSpec(program.name, engine="fiber", strategy="random", seed=seed)
    return play(program, spec, Chosen(strategy, promoted))


def _engine(played: Play) -> Controlled:
    assert isinstance(played.engine, Controlled)
    return played.engine


def profile_of(program: Program, promoted: frozenset[str] | None = None) -> Profile:
    """Return the program's profile, made once in a process.  Args: promoted: switch points of the runs to come."""
    key = (*program.key, promoted)
    made = _profiles.get(key)
    if made is None:
        engines = _engines(walks(program, RUNS, promoted))
        longest = max(engines, key=lambda engine: (engine.end.get("how") == "finished", engine.step))
        others = [engine for engine in engines if engine is not longest]
        others += _engines(_alone(program, RUNS, promoted))
        made = measure(longest)
        stops.check_wanted()
        points = max([made.points, *(measure(engine).points for engine in others)])
        made = _profiles[key] = profile(made.ops, made.parents, points, made.lanes)
    return made


def measure(engine: Controlled) -> Profile:
    """Return what a finished run did in its explored part, at the points where a strategy was asked."""
    first, end = engine.explored()
    names = [task.name for task in engine.tasks]
    ops: Counter[str] = Counter()
    parents: dict[str, str] = {}
    segments = Segments()
    done: Counter[Segment] = Counter()
    accesses: dict[int, list[tuple[Segment, int]]] = defaultdict(list)
    step = -1
    for task, op, a, _ in engine.events:
        if op == NOTE:
            continue
        step += 1
        kind, lane = op & KIND_MASK, op >> SHIFT
        asked = first <= step < end and kind != CHOOSE
        if OF_LIFE >> kind & 1:
            segments.met(task, kind, a if kind in (SPAWN, JOIN) else None)
            if asked and kind == SPAWN:
                parents[names[a]] = names[task]
        elif engine.promoted is not None and kind <= WRITE and lane not in engine.promoted_lanes:
            continue
        elif asked:
            here = segments.now(task)
            done[here] += 1
            accesses[lane].append((here, kind))
        ops[names[task]] += asked
    points = sum(count for one, count in done.items() if any(segments.free(one, other) for other in done))
    uses = ((lane, lane_use(accesses[lane], segments, names)) for lane in sorted(accesses))
    return profile(+ops, parents, points, {lane: use for lane, use in uses if use is not None})


def lane_use(accesses: list[tuple[Segment, int]], segments: Segments, names: list[str]) -> LaneUse | None:
    """Return how a lane was used where it could have been used in another order; None if it was not."""
    forced = 1 << SLEEP | (0 if any(kind == TRY for _, kind in accesses) else 1 << RELEASE)
    counted = Counter((here, kind & 1) for here, kind in accesses if not forced >> kind & 1)
    by_task: Counter[str] = Counter()
    writes = 0
    for (here, write), count in counted.items():
        if any((write or other_write) and segments.free(here, there) for there, other_write in counted):
            by_task[names[here[0]]] += count
            writes += write * count
    if not by_task:
        return None
    return LaneUse(tuple(sorted(by_task)), by_task.total(), writes, dict(sorted(by_task.items())), forced)


def profile(ops: Mapping[str, int], parents: Mapping[str, str], points: int, lanes: Mapping[int, LaneUse]) -> Profile:
    """Return a profile, with the digest of its figures."""
    shares = [(lane, use.writes, use.by_task, use.forced) for lane, use in lanes.items()]
    text = json.dumps([sorted(ops.items()), sorted(parents.items()), points, shares])
    return Profile(dict(ops), parents, points, lanes, hashlib.sha256(text.encode()).hexdigest()[:16])


def racing(program: Program) -> frozenset[str]:
    """Return the plain fields ("Class.field") whose accesses raced in some profiled run, benign or not."""
    key = program.key
    made = _racing.get(key)
    if made is None:
        found: set[str] = set()
        for played in walks(program, RACING_RUNS, None):
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
