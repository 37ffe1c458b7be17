"""Buffers that were written home: the next commit takes them off their checkpoint lists, and wins log space back.

A commit goes through those lists between its begin and the close of its transaction.  A buffer that was clean, in no
transaction and in nobody's hands all that time is off its list after it.
Invariant: whoever touches the buffer meanwhile excuses it, for the commit only tries for BH_State.
Not checked: a buffer whose write failed, which stays on purpose.
"""

from __future__ import annotations

from typing import NamedTuple

from mmrace.oracles.protocol.filed import CLOSED, member
from mmrace.runtime.kinds import CLEARS, KIND_MASK, NOTE, SETS, SHIFT, WRITE
from mmrace.runtime.record import Record

BITS = ("BH_Dirty", "BH_JBDDirty", "BH_Lock", "BH_State", "BH_Write_EIO")
"""Bits of a buffer that is dirty, in somebody's hands, or lost."""
FIELDS = ("b_cp_transaction", "b_transaction", "b_bh", "b_jlist")


class Kept(NamedTuple):
    """A journal head that was still on a checkpoint list when a transaction closed."""

    step: int
    since: int
    task: int
    head: str
    buffer: str


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.bits = {
            lane: (bh, bit) for bit in BITS for lane, bh in record.bit_lane("BufferHead", "b_state", bit).items()
        }
        self.fields = {lane: (jh, key) for key in FIELDS for lane, jh in record.lanes("JournalHead", key).items()}
        self.states = record.lanes("Transaction", "t_state")
        self.values: dict[tuple[str, str], object] = {}
        self.busy: dict[str, set[str]] = {}  # buffer -> its bits that are set
        self.waiting: set[str] = set()  # journal heads on a checkpoint list
        self.commits: dict[int, tuple[int, set[str]]] = {}  # task -> begin, heads that it has to let go
        self.found: list[Kept] = []
        self.checked = 0

    def idle(self, jh: str) -> bool:
        """Say whether a commit that came now would let a head go."""
        return not self.busy.get(self.buffer(jh)) and not isinstance(self.values.get((jh, "b_transaction")), str)

    def buffer(self, jh: str) -> str:
        return str(self.values.get((jh, "b_bh")))

    def begins(self, step: int, task: int) -> None:
        """A commit begins."""
        self.commits[task] = step, {jh for jh in self.waiting if self.idle(jh)}

    def write(self, step: int, task: int, lane: int, new: object) -> None:
        """A field of a journal head or the state of a transaction was written."""
        if lane in self.fields:
            jh, key = self.fields[lane]
            self.values[jh, key] = self.record.name(new)
            if key == "b_cp_transaction":
                (self.waiting.add if new is not None else self.waiting.discard)(jh)
            self.excuse(jh)
        elif lane in self.states and member(self.record.name(new)) == CLOSED and task in self.commits:
            since, heads = self.commits.pop(task)
            self.checked += len(heads)
            self.found += [Kept(step, since, task, jh, self.buffer(jh)) for jh in sorted(heads)]

    def bit(self, lane: int, sets: bool) -> None:
        """A bit of a buffer was set or cleared: whoever waits for its checkpoint is excused."""
        bh, bit = self.bits[lane]
        (self.busy.setdefault(bh, set()).add if sets else self.busy.setdefault(bh, set()).discard)(bit)
        for jh in self.waiting:
            if self.buffer(jh) == bh:
                self.excuse(jh)

    def excuse(self, jh: str) -> None:
        for _, heads in self.commits.values():
            heads.discard(jh)


def kept_on_checkpoint_lists(record: Record) -> tuple[int, list[Kept]]:
    """Return how many buffers commits had to let go or kept, and those that they kept."""
    lists = record.steps_on(record.lanes("JournalHead", "b_cp_transaction"), WRITE)
    begins = record.steps_on((), notes=("commit-begin",))
    if not lists or not begins or begins[-1] < lists[0]:
        return 0, []  # no commit came upon a buffer that waits
    audit = _Audit(record)
    events, lanes = record.events, {*audit.fields, *audit.states, *audit.bits}
    for step in record.steps_on(lanes, WRITE, *SETS, *CLEARS, notes=("commit-begin",)):
        task, op, _, b = events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            audit.begins(step, task)
        elif kind == WRITE:
            audit.write(step, task, lane, b)
        elif lane in audit.bits:
            audit.bit(lane, kind in SETS)
    return audit.checked, audit.found
