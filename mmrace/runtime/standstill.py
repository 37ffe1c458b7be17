"""Why nothing is enabled: who waits for what, who holds it, where it was taken; the cycle, or the lost wake-up.

Pure reading of tasks and gates at a standstill; both engines use it.  The kinds: `cycle` (a ring of tasks each
waiting for the next), `lost-wakeup` (a sleeper whose condition holds now), `stuck` (neither: somebody waits for an
event that no live task will bring).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, WRITE, Kind
from mmrace.runtime.locks import Mutex, SpinLock
from mmrace.runtime.sites import site_name
from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Cpu, Gate, Task
from mmrace.runtime.wait import WaitEntry

PROGRESS = "round"  # the note of a task that got something done; a program may have others
TRIES_MIN = 16  # times in vain, within a fair share of a run's bound, that tell starvation from bad luck
_TRIES = frozenset({Kind.TRY, Kind.TEST_AND_SET, Kind.GET_UNLESS_ZERO, Kind.FREEZE})
_LOOKS = frozenset({Kind.READ, Kind.TEST, Kind.LOAD, Kind.COUNT})


def _what(gate: Gate | None) -> str:
    if gate is None:
        return "its CPU"
    if isinstance(gate, WaitEntry):
        return f"wake on {gate.queue}"
    if isinstance(gate, Cpu):
        return f"interrupts of cpu:{gate.id}"
    if isinstance(gate, SpinLock | Mutex):
        return str(gate)
    if type(gate) is Gate:
        return f"end of {gate.owner.name}" if gate.owner else "end of the others"
    return str(gate)


def _holder(task: Task) -> object:
    gate = task.gate
    if gate is None:
        cpu = task.cpu_
        return (cpu.irq_task or cpu.preempt_owner) if cpu else None
    if isinstance(gate, WaitEntry):
        return gate.holder() if gate.holder else None
    if isinstance(gate, Cpu):
        return gate.irq_task or gate.preempt_owner
    return gate.owner


def _name(holder: object) -> str | None:
    if isinstance(holder, Task | Struct):
        return holder.name
    return None if holder is None else str(holder)


def describe(tasks: Iterable[Task]) -> dict[str, Any]:
    """Describe a standstill of the tasks that are not done; plain data for the record's `end`."""
    waiting = [task for task in tasks if not task.done]
    rows = []
    lost = []
    for task in waiting:
        gate = task.gate
        holder = _holder(task)
        row: dict[str, Any] = {"task": task.name, "waits_for": _what(gate), "held_by": _name(holder)}
        if gate is not None and gate.taken_at is not None:
            row["taken_at"] = site_name(gate.taken_at)
        if task.site is not None:
            row["at"] = site_name(task.site)
        if task.held:
            row["holds"] = [str(lock) for lock in task.held]
        if isinstance(gate, WaitEntry) and gate.busy and gate.holds is not None and gate.holds():
            row["condition_holds"] = True
            lost.append(task.name)
        rows.append(row)
    cycle = _cycle(waiting)
    kind = "lost-wakeup" if lost else "cycle" if cycle else "stuck"
    return {"kind": kind, "tasks": rows, "cycle": cycle, "lost": lost}


def bound(
    tasks: Iterable[Task], recent: Iterable[tuple[Any, ...]], steps: int, progress: Collection[str] = ()
) -> dict[str, Any]:
    """Describe a run that was stopped at its bound, by its `recent` events, in which each task had a fair chance.

    A `cycle`, if tasks that did nothing wait for each other in a ring, whatever others do.  If nobody got anywhere: a
    `lost-wakeup`, if somebody sleeps all the while although its condition holds, else a `livelock`.  If somebody did:
    `starvation` of those that only tried, else the run was `cut`.

    Args: progress: kinds of notes that tell progress, beside `PROGRESS`.  Of a program that has none, a new value that
    somebody wrote tells it, and nothing tells starvation: who looks and waits may wait for just that.
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
    found = describe(tasks)
    silent = {task.name for task in tasks if not task.done and task.id not in acted}
    blocked = {task.name for task in tasks if task.gate is not None and task.gate.busy}
    if found["cycle"] and silent & blocked >= set(found["cycle"]):
        return {**found, "kind": "cycle", "steps": steps}
    if not moved and (tells or not _news(recent)):
        kind = "lost-wakeup" if silent & set(found["lost"]) else "livelock"
        return {**found, "kind": kind, "steps": steps}
    rows = _starved([task for task in tasks if task.id in cast - moved and not (task.done or task.daemon)], recent)
    if rows and tells:
        return {"kind": "starvation", "steps": steps, "tasks": rows, "starved": [row["task"] for row in rows]}
    return {"kind": "cut", "steps": steps, "tasks": []}


def _news(recent: list[tuple[Any, ...]]) -> bool:
    """Say whether some task wrote, in the later half of what it did, a value that it wrote not in the earlier half.

    Those that only flip what they flipped before make no progress.
    """
    by_task: dict[int, list[tuple[int, str]]] = {}
    for task, op, _, new in recent:
        if op != NOTE and op & KIND_MASK == WRITE:
            by_task.setdefault(task, []).append((op, repr(new)))
    for writes in by_task.values():
        half = len(writes) // 2
        if set(writes[half:]) - set(writes[:half]):
            return True
    return False


def _starved(tasks: list[Task], recent: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Describe those of `tasks` that could have run and did not, or did nothing but try."""
    rows = []
    for task in tasks:
        own = [event for event in recent if event[0] == task.id and event[1] != NOTE]
        lane, tries = _in_vain(own)
        if tries >= TRIES_MIN:
            row = {"task": task.name, "waits_for": "a try that succeeds", "lane": lane, "tries": tries}
        elif not own and task.on:
            row = {"task": task.name, "waits_for": "its turn"}
        else:
            continue
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


def _cycle(waiting: list[Task]) -> list[str]:
    for first in waiting:
        path: list[Task] = []
        task: object = first
        while isinstance(task, Task) and task not in path:
            path.append(task)
            task = _holder(task)
        if task is first and (len(path) > 1 or first.gate is not None):
            return [step.name for step in path]
    return []
