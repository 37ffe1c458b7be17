"""Flag words: single bits, plain read-modify-writes of the whole word, sleeping bit locks, bit spinlocks.

The object of a bit op is the bit.  `load` and `store` read and write every bit and have the word's own lane; a plain
read-modify-write made of them loses what others set in between, as it does in the kernel.

A sleeping bit lock (PG_locked, BH_Lock) is a bit plus a queue of sleepers.  Unlock is two ops, clear and wake.  The
bit records no owner; the ghost owner kept here is what "only the holder or its I/O may release it" is judged by.
Invariant: ghost owners change only inside ops on their bit.  Source: Linux `include/linux/bit_spinlock.h`,
`kernel/wait.c`, `mm/filemap.c`, v3.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from mmrace.runtime import live
from mmrace.runtime.context import might_sleep, preempt_off, preempt_on
from mmrace.runtime.errors import Violation
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import CLEAR, LOAD, SET, SHIFT, STORE, TEST, TEST_AND_CLEAR, TEST_AND_SET
from mmrace.runtime.struct import Struct, joined
from mmrace.runtime.task import Gate, Guard, Task
from mmrace.runtime.wait import WaitEntry, WaitQueue, finish_wait, prepare_to_wait, sleep_on, wake_up

BITS_MAX = 64  # of a word, as in the kernel
_MASK_OF = tuple(1 << bit for bit in range(BITS_MAX))
_TEST_OF, _SET_OF, _CLEAR_OF, _TAS_OF, _TAC_OF = (
    tuple(bit + 1 << SHIFT | kind for bit in range(BITS_MAX))
    for kind in (TEST, SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR)
)
"""What an op on a bit adds to its word's code.  Tables, because callers pass enum members, with which arithmetic is
slow."""

UNLOCK = "unlock"  # what the clear of a bit spinlock logs beside its outcome
LOCK = "lock"
"""What a test-and-set logs beside its outcome if its caller waits until it succeeds.  A try logs None: it does the same
to the bit, but in the order of locks only waiting counts."""


class FlagWord:
    """A word of flag bits.

    `value` is raw, for snapshots; `owners` maps a locked bit to its ghost owner; `of` is the name of its struct.
    """

    __slots__ = ("code", "gates", "guard", "of", "owners", "part", "queues", "value")

    def __init__(self, code: int, guard: Guard | None, struct: Owner, part: _FlagPart) -> None:
        self.code = code
        self.guard = guard
        self.of = struct.name_
        self.part = part
        self.value = 0
        self.owners: dict[int, object] = {}
        self.queues: dict[int, WaitQueue] = {}
        self.gates: dict[int, Gate] = {}

    def load(self) -> int:
        """Read the whole word.  Point: always."""
        code = self.code + LOAD
        task = live.point(self, code)
        value = self.value
        task.log((task.id, code, value, None))
        return value

    def store(self, value: int) -> None:
        """Write the whole word, plainly: bits that others changed since the load are lost.  Point: always."""
        code = self.code + STORE
        task = live.point(self, code)
        old = self.value
        self.value = value
        task.log((task.id, code, old, value))

    def bit_code(self, bit: int) -> int:
        """Return the op code of `bit`'s lane, kind 0."""
        return self.code + (bit + 1 << SHIFT)

    def queue(self, bit: int) -> WaitQueue:
        """Return the queue of sleepers of a waitable bit.

        In the kernel it is one of a table's, found by the word's address: it outlives the word, and to find it nothing
        of the word is read.
        """
        queue = self.queues.get(bit)
        if queue is None:
            place = self.part.waitable.index(bit)
            lane = 1 + len(self.part.bits) + place
            key = f"{self.part.key}.{self.name_of(bit)}.queue"
            own: int = vars(FlagWord)["code"].__get__(self)  # a freed word refuses the plain attribute
            queue = self.queues.setdefault(bit, WaitQueue(own + (lane << SHIFT), self.guard, self.of, key))
        return queue

    def gate(self, bit: int) -> Gate:
        """Return the gate of a bit that is used as a spinlock."""
        gate = self.gates.get(bit)
        if gate is None:
            gate = self.gates.setdefault(bit, BitGate(self, bit))
        return gate

    def name_of(self, bit: int) -> str:
        """Name a bit as the kernel does."""
        return self.part.bits(bit).name

    def names(self) -> list[str]:
        """Name the bits that are set, without an op."""
        return [bit.name for bit in self.part.bits if self.value >> bit & 1]

    def peek(self, bit: int) -> bool:
        """Say whether a bit is set, without an op: for snapshots and explanations."""
        return bool(self.value >> bit & 1)

    def __str__(self) -> str:
        return f"{joined(self.of)}.{self.part.key}"


class BitGate(Gate):
    """The gate of one bit of a word, of which it knows the name only: a run's objects shall not refer to each other in
    more rings than the kernel's do."""

    __slots__ = ("key", "of")

    def __init__(self, word: FlagWord, bit: int) -> None:
        super().__init__(word.bit_code(bit), word.guard)
        self.of = word.of
        self.key = f"{word.part.key}.{word.name_of(bit)}"

    def __str__(self) -> str:
        return f"{joined(self.of)}.{self.key}"


# -- bits -----------------------------------------------------------------------------------------------------------


def test_bit(word: FlagWord, bit: int) -> bool:
    """Return the bit.  Point: always."""
    code = word.code + _TEST_OF[bit]
    task = live.point(word, code)
    old = word.value & _MASK_OF[bit] != 0
    task.log((task.id, code, old, None))
    return old


def set_bit(word: FlagWord, bit: int) -> None:
    """Set the bit.  Point: always."""
    code = word.code + _SET_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, _MASK_OF[bit]
    old = value & mask != 0
    word.value = value | mask
    task.log((task.id, code, old, None))


def clear_bit(word: FlagWord, bit: int) -> None:
    """Clear the bit.  Point: always."""
    code = word.code + _CLEAR_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, _MASK_OF[bit]
    old = value & mask != 0
    word.value = value & ~mask
    task.log((task.id, code, old, None))


def test_and_set_bit(word: FlagWord, bit: int) -> bool:
    """Set the bit, return what it was.  Point: always."""
    code = word.code + _TAS_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, _MASK_OF[bit]
    old = value & mask != 0
    word.value = value | mask
    task.log((task.id, code, old, None))
    return old


def test_and_clear_bit(word: FlagWord, bit: int) -> bool:
    """Clear the bit, return what it was.  Point: always."""
    code = word.code + _TAC_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, _MASK_OF[bit]
    old = value & mask != 0
    word.value = value & ~mask
    task.log((task.id, code, old, None))
    return old


# -- sleeping bit locks ---------------------------------------------------------------------------------------------


def bit_trylock(word: FlagWord, bit: int, waits: str | None = None) -> bool:
    """Try to take a sleeping bit lock; never waits.  `waits` is `LOCK` if the caller will.  Point: always."""
    code = word.code + _TAS_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, _MASK_OF[bit]
    old = value & mask != 0
    if not old:
        word.value = value | mask
        word.owners[bit] = task
    task.log((task.id, code, old, waits))
    return not old


def bit_lock(word: FlagWord, bit: int) -> None:
    """Take a sleeping bit lock, sleeping (exclusively) while it is set.  Raises Violation in atomic context.

    Point: always; more of them when it is contended.
    """
    might_sleep()
    if bit_trylock(word, bit, LOCK):
        return
    queue = word.queue(bit)
    entry: WaitEntry | None = None
    while True:
        entry = prepare_to_wait(queue, entry, exclusive=True)
        _explain(entry, word, bit)
        if test_bit(word, bit):
            sleep_on(entry)
        if bit_trylock(word, bit, LOCK):
            break
    finish_wait(entry)


def _explain(entry: WaitEntry, word: FlagWord, bit: int) -> None:
    entry.holds = lambda: not word.peek(bit)
    entry.holder = lambda: word.owners.get(bit)


def wait_on_bit(word: FlagWord, bit: int) -> None:
    """Sleep until the bit is clear; takes nothing.  Raises Violation in atomic context.  Point: always."""
    might_sleep()
    if not test_bit(word, bit):
        return
    queue = word.queue(bit)
    entry: WaitEntry | None = None
    while True:
        entry = prepare_to_wait(queue, entry)
        _explain(entry, word, bit)
        if not test_bit(word, bit):
            break
        sleep_on(entry)
    finish_wait(entry)


def clear_bit_unlock(word: FlagWord, bit: int) -> None:
    """The first half of an unlock: clear the bit.  Raises Violation if a stranger does it.  Point: always."""
    code = word.code + _CLEAR_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, _MASK_OF[bit]
    old = value & mask != 0
    word.value = value & ~mask
    owner = word.owners.pop(bit, None)
    task.log((task.id, code, old, None))
    if owner is not task and owner not in task.acts_for:
        raise Violation(
            "lock-discipline",
            "unlock by a stranger" if owner is not None else "unlock of a lock that nobody holds",
            object=f"{word}.{word.name_of(bit)}",
            task=task.name,
            holder=owner.name if isinstance(owner, Task | Struct) else None,
        )


def wake_up_bit(word: FlagWord, bit: int) -> None:
    """The second half of an unlock: wake one exclusive sleeper and all others.  Point: always."""
    wake_up(word.queue(bit))


def bit_unlock(word: FlagWord, bit: int) -> None:
    """Release a sleeping bit lock: clear, then wake.  Raises Violation if a stranger does it.  Point: always, twice."""
    clear_bit_unlock(word, bit)
    wake_up_bit(word, bit)


def hand_over(word: FlagWord, bit: int, token: object) -> None:
    """Hand a held sleeping bit lock to the I/O `token`: tasks that act for it may release it.  Point: never."""
    word.owners[bit] = token
    live.engine.note("hand-over", (word.bit_code(bit) >> SHIFT, token))


# -- bit spinlocks --------------------------------------------------------------------------------------------------


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
    word.value |= _MASK_OF[bit]
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
    word.value &= ~_MASK_OF[bit]
    gate.owner = None
    task.held.remove(gate)
    if gate.waiters:
        live.engine.set_free(gate)
    else:
        gate.busy = False
    preempt_on(task)
    task.log((task.id, code, True, UNLOCK))


# -- declaration ----------------------------------------------------------------------------------------------------


class _FlagPart(Part):
    def __init__(self, bits: type[IntEnum], waitable: tuple[int, ...]) -> None:
        self.bits = bits
        self.waitable = waitable
        if len(bits) > BITS_MAX:
            raise TypeError(f"{bits.__name__}: a word has at most {BITS_MAX} bits")
        if [int(bit) for bit in bits] != list(range(len(bits))):
            raise TypeError(f"{bits.__name__}: bits must be 0..{len(bits) - 1} without holes")
        self.lanes = 1 + len(bits) + len(waitable)
        self.knots = bool(waitable)

    def build(self, code: int, guard: Guard | None, owner: Owner, size: int) -> FlagWord:
        return FlagWord(code, guard, owner, self)

    def inner(self, made: FlagWord) -> Iterable[Gate]:
        return list(made.gates.values())

    def untie(self, made: FlagWord) -> None:
        for queue in made.queues.values():
            queue.entries = []

    def outlives(self, lane: int) -> bool:
        return lane > len(self.bits)

    def lane_names(self, size: int) -> list[str]:
        names = [bit.name for bit in self.bits]
        return ["", *names, *(f"{self.bits(bit).name}.queue" for bit in self.waitable)]


def flag_word(bits: type[IntEnum], waitable: tuple[int, ...] = ()) -> FlagWord:
    """Declare a word of flags: `bits` number 0.. without holes; tasks can sleep on the `waitable` ones."""
    part: Any = _FlagPart(bits, tuple(int(bit) for bit in waitable))
    return part  # type: ignore[no-any-return]
