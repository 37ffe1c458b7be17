"""Why nothing is enabled: who waits for what, who holds it, where it was taken; the cycle, or the lost wake-up.

Pure reading of tasks and gates at a standstill; both engines use it.  The kinds: `cycle` (a ring of tasks each
waiting for the next), `lost-wakeup` (a sleeper whose condition holds now), `stuck` (neither: somebody waits for an
event that no live task will bring).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmrace.runtime.contract import Gate
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.locks import Mutex, SpinLock
from mmrace.runtime.sites import site_name
from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Cpu, Task
from mmrace.runtime.wait import WaitEntry

PROGRESS = ("round", "workload-end")  # notes of actors that got something done

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
        return f"end of {gate.owner.name if gate.owner else 'a task'}"
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


def standstill(tasks: Iterable[Task]) -> dict[str, Any]:
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


def bound(tasks: Iterable[Task], recent: Iterable[tuple[Any, ...]], steps: int) -> dict[str, Any]:
    """Describe a run that was stopped at its bound: a livelock if nobody got anywhere in its `recent` events."""
    # the end of an I/O, or of work that a task spawned for itself, is no progress: a livelock can have both
    cast = {task.id for task in tasks if task.parent is None or task.parent.parent is None}
    progress = any(
        (event[1] == NOTE and event[2] in PROGRESS) or (event[1] & KIND_MASK == Kind.EXIT and event[0] in cast)
        for event in recent
    )
    if progress:
        return {"kind": "cut", "steps": steps, "tasks": []}
    return {**standstill(tasks), "kind": "livelock", "steps": steps}


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
