"""Why nothing is enabled: who waits for what, who holds it, where it was taken; the cycle, or the lost wake-up.

Pure reading of tasks and gates at a standstill; both engines use it.  The kinds: `cycle` (a ring of tasks each
waiting for the next), `lost-wakeup` (a sleeper whose condition holds now), `stuck` (neither: somebody waits for an
event that no live task will bring).  Who can end a wait holds it, also where that is no lock: a task that is joined,
the task that serves an I/O, whoever a sleeper named.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from mmrace.runtime.clock import SLEEP_NOTE
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.locks import Mutex, SpinLock
from mmrace.runtime.sites import site_name
from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Cpu, Gate, Task
from mmrace.runtime.wait import WaitEntry

CUT = "cut"
PROGRESS = "round"  # the note of a task that got something done; a program may have others
TRIES_MIN = 16  # times in vain, within a fair share of a run's bound, that tell starvation from bad luck
_TRIES = frozenset({Kind.TRY, Kind.TEST_AND_SET, Kind.GET_UNLESS_ZERO, Kind.FREEZE})
_LOOKS = frozenset({Kind.READ, Kind.TEST, Kind.LOAD, Kind.COUNT})
_LEARNS = _TRIES | _LOOKS | {Kind.TEST_AND_CLEAR, Kind.QUEUE, Kind.RETRY}
"""What tells a task something that others may have changed.  Who does nothing of that waits for nobody: it counts."""
LaneName = Callable[[int], str]


def _what(task: Task) -> str:
    gate = task.gate
    if gate is None:
        return "its CPU"
    if isinstance(gate, WaitEntry):
        return f"wake on {gate.queue}"
    if isinstance(gate, Cpu):
        return f"interrupts of cpu:{gate.id}"
    if isinstance(gate, SpinLock | Mutex):
        return str(gate)
    if type(gate) is Gate:
        return "end of the others" if task.joins_others or gate.owner is None else f"end of {gate.owner.name}"
    return str(gate)


def _holders(task: Task, tasks: Collection[Task]) -> list[object]:
    """Return those that `task` waits for: all of them have to go on before it can.

    A token of I/O stands for the tasks that serve it, while there are any.
    """
    gate = task.gate
    held: object = None
    if gate is None:
        cpu = task.cpu_
        held = (cpu.irq_task or cpu.preempt_owner) if cpu else None
    elif isinstance(gate, WaitEntry):
        held = gate.holder() if gate.holder else None
    elif isinstance(gate, Cpu):
        held = gate.irq_task or gate.preempt_owner
    elif type(gate) is Gate and (task.joins_others or gate.owner is None):
        held = [other for other in tasks if other is not task and not other.daemon]
    else:
        held = gate.owner
    holders = held if isinstance(held, list | tuple) else [] if held is None else [held]
    found: list[object] = []
    for holder in holders:
        served = [] if isinstance(holder, Task) else [other for other in tasks if holder in other.acts_for]
        found += served or [holder]
    return found


def _name(holder: object) -> str:
    return holder.name if isinstance(holder, Task | Struct) else str(holder)


def describe(tasks: Iterable[Task], lane_name: LaneName | None = None) -> dict[str, Any]:
    """Describe a standstill of the tasks that are not done; plain data for the record's `end`."""
    waiting = [task for task in tasks if not task.done]
    holders = {task: _holders(task, waiting) for task in waiting}
    rows = []
    lost = []
    for task in waiting:
        gate = task.gate
        held_by = ", ".join(map(_name, holders[task])) or None
        row: dict[str, Any] = {"task": task.name, "waits_for": _what(task), "held_by": held_by}
        if gate is not None and gate.taken_at is not None:
            row["taken_at"] = site_name(gate.taken_at)
        if task.site is not None:
            row["at"] = site_name(task.site)
        if lane_name is not None and task.pending:  # `free` keeps it of those that wait at a gate only
            row["about_to"] = f"{Kind(task.pending & KIND_MASK).name} {lane_name(task.pending >> SHIFT)}"
        if task.held:
            row["holds"] = [str(lock) for lock in task.held]
        if isinstance(gate, WaitEntry) and gate.busy and gate.holds is not None and gate.holds():
            row["condition_holds"] = True
            lost.append(task.name)
        rows.append(row)
    cycle = _cycle(holders)
    kind = "lost-wakeup" if lost else "cycle" if cycle else "stuck"
    return {"kind": kind, "tasks": rows, "cycle": cycle, "lost": lost}


def bound(
    tasks: Iterable[Task],
    recent: Iterable[tuple[Any, ...]],
    steps: int,
    progress: Collection[str] = (),
    lane_name: LaneName | None = None,
    lost: Collection[str] | None = None,
) -> dict[str, Any]:
    """Describe a run that was stopped at its bound, by its `recent` events, in which each task had a fair chance.

    A `cycle`, if tasks that did nothing wait for each other in a ring, whatever others do.  If nobody got anywhere: a
    `lost-wakeup`, if somebody sleeps all the while although its condition holds; a `livelock`, if whoever did something
    looked, saw what it had seen before and did what it had done before.  If somebody got somewhere: `starvation` of
    those that only tried.  Else the run was `cut`: that it was long is no finding.

    Args: progress: kinds of notes that tell progress, beside `PROGRESS`.  Of a program that has none, a new value that
    somebody wrote tells it, and nothing tells starvation: who looks and waits may wait for just that.  lost: tasks that
    slept although their condition held when those events began: of another the wake may be to come (None: of nobody).
    """
    tasks, recent, notes = list(tasks), list(recent), {PROGRESS, *progress}
    tells = bool(progress) or any(event[1] == NOTE and event[2] == PROGRESS for event in recent)
    # a livelock can have ends of I/O, and of work that a task spawned for itself: those are not progress
    cast = {task.id for task in tasks if task.parent is None or task.parent.parent is None}
    moved = {
        event[0]
        for event in recent
        if (event[1] == NOTE and event[2] in notes) or (event[1] & KIND_MASK == Kind.EXIT and event[0] in cast)
    }
    acted = {event[0] for event in recent}
    found = describe(tasks, lane_name)
    silent = {task.name for task in tasks if not task.done and task.id not in acted}
    blocked = {task.name for task in tasks if task.gate is not None and task.gate.busy}
    if found["cycle"] and silent & blocked >= set(found["cycle"]):
        return {**found, "kind": "cycle", "steps": steps}
    if not moved:
        news = _news(recent)
        slept = set(found["lost"]) if lost is None else set(found["lost"]) & set(lost)
        if silent & slept and (tells or not news):
            return {**found, "kind": "lost-wakeup", "steps": steps}
        if not news and not _counts(tasks, recent):
            return {**found, "kind": "livelock", "steps": steps}
    rows = _starved([task for task in tasks if task.id in cast - moved and not (task.done or task.daemon)], recent)
    if rows and tells:
        return {"kind": "starvation", "steps": steps, "tasks": rows, "starved": [row["task"] for row in rows]}
    return cut(steps)


def cut(steps: int) -> dict[str, Any]:
    """Describe a run of which its length is all that can be said."""
    return {"kind": CUT, "steps": steps, "tasks": []}


def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Say whether two descriptions tell the same of the same tasks, for an engine that looks twice."""
    return all(one.get(key) == other.get(key) for key in ("kind", "cycle", "lost", "starved"))


def _news(recent: list[tuple[Any, ...]]) -> bool:
    """Say whether some task did, in the later half of what it did, an op or had an outcome that it had not before.

    Those that only flip what they flipped before make no progress.  The number of a turn is no outcome.
    """
    by_task: dict[int, list[tuple[object, ...]]] = {}
    for task, op, a, b in recent:
        if op != NOTE:
            by_task.setdefault(task, []).append((op,) if op & KIND_MASK == Kind.RETRY else (op, repr(a), repr(b)))
    for deeds in by_task.values():
        half = len(deeds) // 2
        if set(deeds[half:]) - set(deeds[:half]):
            return True
    return False


def _counts(tasks: list[Task], recent: list[tuple[Any, ...]]) -> bool:
    """Say whether some task may only count: it went on and looked at nothing, or could have gone on and did not."""
    acted = {event[0] for event in recent if event[1] != NOTE}
    looked = {event[0] for event in recent if event[1] != NOTE and event[1] & KIND_MASK in _LEARNS}
    return bool(acted - looked) or any(task.on and not task.done and task.id not in acted for task in tasks)


def _starved(tasks: list[Task], recent: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Describe those of `tasks` that did nothing but try.

    One that did nothing at all is none of them: all had their turns, and it may have become able to go on just now.
    Nor is one that slept for ticks between its tries: fair turns end its sleeps long before their time.
    """
    rows = []
    patient = {event[0] for event in recent if event[1] == NOTE and event[2] == SLEEP_NOTE}
    for task in tasks:
        if task.id in patient:
            continue
        lane, tries = _in_vain([event for event in recent if event[0] == task.id and event[1] != NOTE])
        if tries < TRIES_MIN:
            continue
        row = {"task": task.name, "waits_for": "a try that succeeds", "lane": lane, "tries": tries}
        if task.site is not None:
            row["at"] = site_name(task.site)
        rows.append(row)
    return rows


def _in_vain(events: list[tuple[Any, ...]]) -> tuple[int, int]:
    """Return the lane of what a task tried most often since it last succeeded there, and how often.

    A try is a trylock, a test-and-set, a get_unless_zero, a freeze, a sleep begun anew, a retry; of a task that only
    looked and gave way, each look.
    """
    failed: dict[int, int] = {}
    looks: dict[int, int] = {}
    for _, op, a, b in events:
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind in _LOOKS:
            looks[lane] = looks.get(lane, 0) + 1
        elif kind == Kind.RETRY:
            failed[lane] = a
        elif kind == Kind.QUEUE:
            failed[lane] = failed.get(lane, -1) + 1  # the first has not failed yet
        elif kind == Kind.DEQUEUE:
            failed.pop(lane, None)
        elif kind in _TRIES:
            if bool(a if kind == Kind.TRY else not a if kind == Kind.TEST_AND_SET else b):
                failed.pop(lane, None)
            else:
                failed[lane] = failed.get(lane, 0) + 1
    if not any(op & 1 for _, op, _, _ in events):
        failed = looks
    return max(failed.items(), key=lambda item: item[1], default=(-1, 0))


def _cycle(holders: dict[Task, list[object]]) -> list[str]:
    """Return the first ring of tasks each of which waits for the next, shortest first from its first task."""
    for first in holders:
        paths = [[first]]
        seen: set[Task] = set()
        for path in paths:
            for holder in holders.get(path[-1], ()):
                if holder is first:
                    if len(path) > 1 or first.gate is not None:
                        return [step.name for step in path]
                elif isinstance(holder, Task) and holder not in seen:
                    seen.add(holder)
                    paths.append([*path, holder])
    return []
