"""Read a record as a history: each op must say what it would have seen if the ops had been done one at a time, in the
record's order.  For `free` that is the claim that the merged record is a linear extension of task and object order.

What a lane holds is learnt from the first op that says it, and checked against every later one.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from mmrace.runtime.free import FreeEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record
from mmrace.runtime.struct import Struct

_UNKNOWN = object()


class History:
    """The state that a record's ops imply; `play` raises AssertionError at the first that does not fit."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.values: dict[int, Any] = {}  # lane of a field, word, bit or count -> what it holds
        self.holder: dict[int, int] = {}  # lane of a lock or spun bit -> task
        self.queued: dict[int, list[tuple[int, bool]]] = {}  # lane of a queue -> (task, exclusive) in order
        self.woken: set[int] = set()
        self.spawned = {0}
        self.begun: set[int] = set()
        self.ended: set[int] = set()
        self.exits: dict[int, int] = {}  # lane of a task -> the task
        self.read_from: int = 0  # plain reads that named the write that they saw

    def play(self) -> History:
        """Do every op."""
        for step, (task, op, a, b) in enumerate(self.record.events):
            if op != NOTE:
                kind = Kind(op & KIND_MASK)
                where = f"step {step}: {self.record.task_name(task)} {kind.name} {self.record.lane_name(op >> SHIFT)}"
                assert task in self.spawned, f"{where}: before its spawn"
                assert task not in self.ended, f"{where}: after its exit"
                assert kind is Kind.BEGIN or task in self.begun, f"{where}: before its begin"
                getattr(self, f"_{kind.name.lower()}", self._nothing)(where, task, op >> SHIFT, a, b)
        return self

    def _nothing(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        pass

    def _see(self, where: str, lane: int, value: Any) -> None:
        held = self.values.get(lane, _UNKNOWN)
        assert held is _UNKNOWN or held == value, f"{where}: sees {value!r}, but the latest write left {held!r}"
        self.read_from += held is not _UNKNOWN
        self.values[lane] = value

    # -- fields, words, counts

    def _read(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, a)

    _count = _read

    def _write(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, a)
        self.values[lane] = b

    def _get(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, b - 1)
        self.values[lane] = b

    def _put(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, b + 1)
        self.values[lane] = b

    def _get_unless_zero(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, b - 1 if b else 0)
        self.values[lane] = b

    def _freeze(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        held = self.values.get(lane, _UNKNOWN)
        assert held is _UNKNOWN or (held == a) == b, f"{where}: {b} for {a}, but the count was {held}"
        if b:
            self.values[lane] = 0

    def _unfreeze(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, 0)
        self.values[lane] = a

    # -- bits: the word's own lane comes right before those of its bits

    def _test(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, a)

    def _set(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, a)
        self.values[lane] = True

    def _clear(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._see(where, lane, a)
        self.values[lane] = False

    _test_and_set, _test_and_clear = _set, _clear

    def _load(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        for bit, bit_lane in enumerate(self._bits(lane)):
            self._see(f"{where} bit {bit}", bit_lane, bool(a >> bit & 1))

    def _store(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self._load(where, task, lane, a, None)
        for bit, bit_lane in enumerate(self._bits(lane)):
            self.values[bit_lane] = bool(b >> bit & 1)

    def _bits(self, lane: int) -> list[int]:
        _, owner, field, _ = self.record.table[lane]
        return [
            other
            for other, (_, name, key, sub) in sorted(self.record.table.items())
            if (name, key) == (owner, field) and sub and not sub.endswith(".queue")
        ]

    # -- locks

    def _acquire(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        assert lane not in self.holder, f"{where}: held by task {self.holder[lane]}"
        self.holder[lane] = task

    def _try(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        assert a == (lane not in self.holder), f"{where}: {a}, but the holder is {self.holder.get(lane)}"
        if a:
            self.holder[lane] = task

    def _release(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        assert self.holder.pop(lane, None) == task, f"{where}: by another"

    # -- queues

    def _queue(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        waiting = self.queued.setdefault(lane, [])
        if task not in [other for other, _ in waiting]:
            waiting.append((task, a))
        self.woken.discard(task)

    def _dequeue(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self.queued[lane] = [entry for entry in self.queued.get(lane, []) if entry[0] != task]

    def _wake(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        waiting = self.queued.get(lane, [])
        exclusive = [other for other, alone in waiting if alone]
        for most in (1, len(exclusive)):
            expected = [other for other, alone in waiting if not alone or other in exclusive[:most]]
            if list(b) == expected:
                break
        else:
            raise AssertionError(f"{where}: woke {b} out of {waiting}")
        assert a == len(b)
        self.queued[lane] = [entry for entry in waiting if entry[0] not in b]
        self.woken.update(b)

    def _sleep(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        assert task in self.woken, f"{where}: ended without a wake"

    # -- tasks

    def _spawn(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self.spawned.add(a)

    def _begin(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        assert task not in self.begun, f"{where}: twice"
        self.begun.add(task)

    def _exit(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        self.ended.add(task)

    def _join(self, where: str, task: int, lane: int, a: Any, b: Any) -> None:
        daemons = {row["id"] for row in self.record.tasks if row["daemon"]}
        awaited = self.spawned - daemons - {task} if a is None else {a}
        assert awaited <= self.ended, f"{where}: before the exit of {awaited - self.ended}"


def assert_stamps(engine: FreeEngine, record: Record) -> int:
    """Assert that stamps are unique, grow in each task, and chain on each object; return how many links there were."""
    bases = [base for base, _ in engine.objects]
    chains: dict[int, list[tuple[int, int]]] = {}
    stamps: list[int] = []
    for task in engine.tasks:
        own = [stamp for stamp, _ in task.stamps]
        assert own == sorted(set(own)), f"{task.name}: stamps out of order"
        stamps += own
        for (stamp, prev), event in zip(task.stamps, task.events, strict=True):
            if event[1] != NOTE:
                owner = bisect_right(bases, event[1] >> SHIFT) - 1
                chains.setdefault(owner, []).append((stamp, prev))
    assert len(stamps) == len(set(stamps)) == len(record.events)
    links = 0
    for owner, chain in chains.items():
        before = 0
        for stamp, prev in sorted(chain):
            named = engine.objects[owner][1]
            name = named.name if isinstance(named, Struct) else str(named)
            assert prev == before, f"{name}: op {stamp} follows {prev}, but the one before it is {before}"
            links += before > 0
            before = stamp
    return links
