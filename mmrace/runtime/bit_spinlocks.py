"""Bit spinlocks: a bit of a flag word that its takers spin on, with preemption off while it is held.

A plain store of the word reaches the lock as well (`flags.py`): what it took away is no longer its holder's to release.
Source: Linux `include/linux/bit_spinlock.h`, v3.3.
"""

from __future__ import annotations

from mmrace.runtime import live
from mmrace.runtime.context import preempt_off, preempt_on
from mmrace.runtime.errors import Violation
from mmrace.runtime.flags import LOCK, MASK_OF, UNLOCK, FlagWord
from mmrace.runtime.kinds import CLEAR, TEST_AND_SET
from mmrace.runtime.task import Gate, Task


def bit_spin_lock(word: FlagWord, bit: int) -> None:
    """Take a bit spinlock; preemption is off until it is released.  Point: always (disabled while held)."""
    gate = word.gate(bit)
    code = gate.code + TEST_AND_SET
    task = live.gated(gate, code)
    _bit_taken(word, bit, gate, task)
    task.log((task.id, code, False, LOCK))


def bit_spin_trylock(word: FlagWord, bit: int) -> bool:
    """Try to take a bit spinlock; never waits.  Point: always."""
    gate = word.gate(bit)
    code = gate.code + TEST_AND_SET
    task = live.point(gate, code)
    busy = gate.busy
    if not busy:
        _bit_taken(word, bit, gate, task)
    task.log((task.id, code, busy, None))
    return not busy


def _bit_taken(word: FlagWord, bit: int, gate: Gate, task: Task) -> None:
    preempt_off(task)
    word.value |= MASK_OF[bit]
    gate.owner = task
    gate.taken_at = task.site
    task.held.append(gate)
    if gate.waiters:
        live.engine.set_busy(gate)
    else:
        gate.busy = True


def bit_spin_unlock(word: FlagWord, bit: int) -> None:
    """Release a bit spinlock.  Raises Violation if another task holds it.  Point: always."""
    gate = word.gate(bit)
    code = gate.code + CLEAR
    task = live.point(gate, code)
    if gate.owner is not task:
        task.log((task.id, code, gate.busy, None))
        holder = gate.owner.name if gate.owner else None
        raise Violation(
            "lock-discipline", "released by another than its holder", object=str(gate), task=task.name, holder=holder
        )
    word.value &= ~MASK_OF[bit]
    gate.owner = None
    task.held.remove(gate)
    if gate.waiters:
        live.engine.set_free(gate)
    else:
        gate.busy = False
    preempt_on(task)
    task.log((task.id, code, True, UNLOCK))
