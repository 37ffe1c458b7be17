"""Which events explain a finding: a backward slice from those that it names.

What an op did depends on whoever wrote what it read, and on whoever held the lock that it met; what a task could do at
all, on who woke it; whether a check still held, on who changed what was checked.  So from each chosen event the slice
follows these to earlier ones, nearest first, until there are `ROWS_MAX`.  Invariant: the events that the teller asked
for are always there, and each event says what it is there for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from mmrace.runtime.kinds import FREEZE, GET_UNLESS_ZERO, NOTE, SLEEP, STORE, TEST_AND_SET, TRY, UNFREEZE, WRITE
from mmrace.story.scene import LOOKS, TAKES, WRITES, Scene
from mmrace.story.tenures import Tenure

ROWS_MAX = 25
"""A screen: what a reader takes in at once."""
LOOK_BACK = 60
"""Ops of its own task that a check may lie before what was done on it: a function of the kernel model has fewer."""
STORES = frozenset({WRITE, STORE, FREEZE, UNFREEZE})
"""Kinds that rely on what their task saw before: others change what is there, whatever that is."""
FAR = 3
"""Steps of dependence after which an event explains little."""


def sliced(scene: Scene, anchors: Mapping[int, str], limit: int = ROWS_MAX) -> dict[int, str]:
    """Return the events that explain the anchors, in order, each with what it is there for."""
    chosen = dict(anchors)
    heap: list[tuple[int, int, int, str]] = []

    def push(depth: int, step: int) -> None:
        for cost, cause, why in causes(scene, step):
            if cause not in chosen and depth + cost <= FAR and cause >= scene.begins:
                heappush(heap, (depth + cost, -cause, cause, why))

    for step in anchors:
        push(0, step)
    while heap and len(chosen) < limit:
        depth, _, step, why = heappop(heap)
        if step not in chosen:
            chosen[step] = why
            push(depth, step)
    return {step: chosen[step] for step in sorted(chosen) if step in anchors or _counts(scene, step, chosen)}


def _counts(scene: Scene, step: int, chosen: Mapping[int, str]) -> bool:
    """Say whether a chosen event tells something: a lock that is only held does if others act meanwhile."""
    if chosen[step] or scene.kind(step) not in TAKES:
        return True
    task, lane = scene.events[step][0], scene.lane(step)
    tenure = next((one for one in scene.tenures.get(lane, ()) if one.taken == step), None)
    end = scene.end if tenure is None or tenure.released is None else tenure.released
    return any(step < at <= end and scene.events[at][0] != task for at in chosen)


def causes(scene: Scene, step: int) -> Iterator[tuple[int, int, str]]:
    """Yield what an event depends on: (how far that is, its step, what it is there for)."""
    task, kind, lane = scene.events[step][0], scene.kind(step), scene.lane(step)
    if kind == NOTE:
        return
    if kind == SLEEP and step in scene.woken_by:
        yield 1, scene.woken_by[step], f"wakes {scene.record.task_name(task)}"
    if kind in LOOKS or kind in (TEST_AND_SET, TRY, FREEZE, GET_UNLESS_ZERO):
        yield from _seen(scene, step, task, lane)
    if kind in STORES:
        yield from _stale(scene, step, task, lane)
    for tenure in scene.held(task, step):
        if tenure.lane != lane and _met(scene, tenure):
            yield 2, tenure.taken, ""


def _seen(scene: Scene, step: int, task: int, lane: int) -> Iterator[tuple[int, int, str]]:
    if lane in scene.locks:
        tenure = scene.holder(lane, step)
        if tenure is not None and tenure.task != task:
            yield 1, tenure.taken, f"the lock that step {step} meets"
        return
    wrote = scene.last_write(lane, step)
    if wrote is not None and scene.events[wrote][0] != task:
        yield 1, wrote, f"what step {step} sees"


def _stale(scene: Scene, step: int, task: int, lane: int) -> Iterator[tuple[int, int, str]]:
    """What the task saw of the lane before it wrote it, and who changed that in between."""
    if lane in scene.locks:
        return
    first = max(0, step - LOOK_BACK * len(scene.record.tasks))
    before = scene.on(lane, first, step)
    looked = next((at for at in reversed(before) if scene.events[at][0] == task and scene.kind(at) in LOOKS), None)
    if looked is None:
        return
    between = [at for at in before if at > looked and scene.events[at][0] != task and scene.kind(at) in WRITES]
    for at in between:
        yield 1, at, f"between the look at step {looked} and step {step}"
    if between:
        yield 1, looked, "looked here"


def _met(scene: Scene, tenure: Tenure) -> bool:
    """Say whether another task came to a lock while it was held."""
    meanwhile = scene.on(tenure.lane, tenure.taken + 1, tenure.released)
    return any(scene.events[at][0] != tenure.task for at in meanwhile)
