"""Flag words: single bits, and plain reads and writes of the whole word.

The object of a bit op is the bit.  `load` and `store` read and write every bit and have the word's own lane; a plain
read-modify-write made of them loses what others set in between, as it does in the kernel: a bit spinlock in the word
too, which comes back with a stale bit, held by nobody, or goes away under its holder.  Locks made of a bit are in
`bit_locks.py` and `bit_spinlocks.py`; what else the word keeps for them (queues, ghost owners) is theirs to change.
Not modelled: `set_bit` and `clear_bit` of a bit that is used as a spinlock leave the lock as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from mmrace.runtime import live
from mmrace.runtime.errors import UsageError
from mmrace.runtime.fields import Owner, Part
from mmrace.runtime.kinds import CLEAR, LOAD, SET, SHIFT, STORE, TEST, TEST_AND_CLEAR, TEST_AND_SET
from mmrace.runtime.struct import joined
from mmrace.runtime.task import Gate, Guard
from mmrace.runtime.wait import WaitQueue

BITS_MAX = 64  # of a word, as in the kernel
MASK_OF = tuple(1 << bit for bit in range(BITS_MAX))
_TEST_OF, _SET_OF, CLEAR_OF, TAS_OF, _TAC_OF = (
    tuple(bit + 1 << SHIFT | kind for bit in range(BITS_MAX))
    for kind in (TEST, SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR)
)
"""What an op on a bit adds to its word's code.  Tables, because callers pass enum members, and arithmetic is slow on
those."""

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
        """Write the whole word, plainly: bits that others changed since the load are lost, locks among them.

        Point: always.
        """
        bits = len(self.part.bits)
        if not isinstance(value, int) or not 0 <= value < 1 << bits:
            raise UsageError(expected=f"a word of {bits} bits", got=value, where=f"store to {self}")
        code = self.code + STORE
        task = live.point(self, code)
        old = self.value
        self.value = value
        for bit, gate in self.gates.items():
            held = value & MASK_OF[bit] != 0
            if held != gate.busy:
                _stored_over(gate, held)
        task.log((task.id, code, old, value))

    def bit_code(self, bit: int) -> int:
        """Return the op code of `bit`'s lane, kind 0."""
        return self.code + (bit + 1 << SHIFT)

    def queue(self, bit: int) -> WaitQueue:
        """Return the queue of sleepers of a waitable bit.

        In the kernel the queue is in a table and found by the word's address: it outlives the word, and finding it
        reads nothing of the word.
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
    """The gate of one bit.  It keeps the word's name, not the word: that would be a ring of objects."""

    __slots__ = ("key", "of")

    def __init__(self, word: FlagWord, bit: int) -> None:
        super().__init__(word.bit_code(bit), word.guard)
        self.of = word.of
        self.key = f"{word.part.key}.{word.name_of(bit)}"

    def __str__(self) -> str:
        return f"{joined(self.of)}.{self.key}"


def _stored_over(gate: Gate, held: bool) -> None:
    """Let a bit spinlock be as its bit says after a plain store: free, or held by nobody."""
    gate.owner = None
    if held:
        live.engine.set_busy(gate)
    else:
        live.engine.set_free(gate)


# -- bits -----------------------------------------------------------------------------------------------------------


def test_bit(word: FlagWord, bit: int) -> bool:
    """Return the bit.  Point: always."""
    code = word.code + _TEST_OF[bit]
    task = live.point(word, code)
    old = word.value & MASK_OF[bit] != 0
    task.log((task.id, code, old, None))
    return old


def set_bit(word: FlagWord, bit: int) -> None:
    """Set the bit.  Point: always."""
    code = word.code + _SET_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, MASK_OF[bit]
    old = value & mask != 0
    word.value = value | mask
    task.log((task.id, code, old, None))


def clear_bit(word: FlagWord, bit: int) -> None:
    """Clear the bit.  Point: always."""
    code = word.code + CLEAR_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, MASK_OF[bit]
    old = value & mask != 0
    word.value = value & ~mask
    task.log((task.id, code, old, None))


def test_and_set_bit(word: FlagWord, bit: int) -> bool:
    """Set the bit, return what it was.  Point: always."""
    code = word.code + TAS_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, MASK_OF[bit]
    old = value & mask != 0
    word.value = value | mask
    task.log((task.id, code, old, None))
    return old


def test_and_clear_bit(word: FlagWord, bit: int) -> bool:
    """Clear the bit, return what it was.  Point: always."""
    code = word.code + _TAC_OF[bit]
    task = live.point(word, code)
    value, mask = word.value, MASK_OF[bit]
    old = value & mask != 0
    word.value = value & ~mask
    task.log((task.id, code, old, None))
    return old


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
