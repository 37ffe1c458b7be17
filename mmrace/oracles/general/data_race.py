"""Data races: two accesses of one plain field by two tasks, one of them a write, that nothing orders.

What orders: a task's own steps; spawn and join; a lock's release and its next acquire (for a bit that is a lock: the
clear, and the test-and-set that succeeds); the read-modify-writes that are full barriers
when they succeed (test_and_set_bit, test_and_clear_bit, put, get_unless_zero, freeze), and unfreeze, a release; a wake
and the sleeper that it woke, and the queue's own lock among those who find each other on it; an RCU pointer's
publication and who reads it; a bit that was changed by one of those and who tests it (in v3.3 a control dependency,
for wait_on_bit no more than that on the fast path); sections with preemption off, or interrupts off and interrupts, on
one CPU.

What does not: set_bit, clear_bit and an unconditional get, atomic in v3.3 but no barriers, though a test sees them;
reading a count; the order in which tasks, or an interrupt and its CPU's task, happened to run.

Findings: ``race`` on a field or a word of data; ``plain store over a bit``, a plain store of a whole flag word that
meets, unordered, somebody's change of one of its bits (that is how a waiters bit gets lost).  Of a field that is
declared ``shared(default, benign=why)`` or published (the program's tables say both) reads may race; two writes only
of one that the tables call racy.

Invariant: of each pair of code points the first race is kept, with both sides.  Not checked: bits and counts against
each other, since they are atomic.
Source: Flanagan and Freund, "FastTrack", PLDI 2009; Documentation/atomic_ops.txt, memory-barriers.txt, v3.3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, islice
from operator import itemgetter

from mmrace.oracles.general import race_report
from mmrace.oracles.general.epochs import Epochs, Over
from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.general.lock_order import MAIN
from mmrace.oracles.general.locks import lock_bits
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    DEQUEUE,
    EXIT,
    FREEZE,
    GET_UNLESS_ZERO,
    IRQ,
    JOIN,
    KIND_MASK,
    NOTE,
    PREEMPT,
    PUT,
    QUEUE,
    READ,
    RELEASE,
    SET,
    SHIFT,
    SLEEP,
    SPAWN,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    UNFREEZE,
    WAKE,
    WRITE,
)
from mmrace.runtime.record import Record

NAME = "data-race"
PUBLISHED = ("Completion.done",)
"""The runtime's own field whose write is a release and whose read an acquire: in the kernel it stands under its queue's
lock.  Programs have others, such as what rcu_assign_pointer writes."""

_BARRIERS = frozenset({TEST_AND_SET, TEST_AND_CLEAR, PUT, GET_UNLESS_ZERO, FREEZE})
_ACQUIRES, _RELEASES = frozenset({TEST, ACQUIRE}), frozenset({RELEASE, UNFREEZE, *_BARRIERS})
_BITS, _SECTIONS = frozenset({SET, CLEAR}), frozenset({IRQ, PREEMPT})
_OTHERS = frozenset({SPAWN, JOIN, EXIT, WAKE, SLEEP, QUEUE, DEQUEUE, STORE})
_ORDER = (ACQUIRE, TRY, *_RELEASES, *_SECTIONS, *_OTHERS)

Moment = tuple[Over, int, int]  # what is over with an epoch, whose it is, its number
Access = tuple[int, int, int]  # task, its own epoch, step
Change = tuple[int, Over, int, int, int]
"""Of a flag word or of a bit of it: lane, what was over for the task, the task, its own epoch, step."""


class _Race:
    """What is over for each task, and for whom they meet; the last accesses of each field."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.epochs = Epochs(len(record.tasks))
        self.over = self.epochs.over
        self.released: dict[int, Moment] = {}  # lane -> when it was released last
        self.woken: dict[int, Over] = {}  # sleeper -> what was over when it was woken
        self.begun: set[int] = set()
        self.wrote: dict[int, Access] = {}
        self.read: dict[int, Access | dict[int, Access]] = {}  # since the last write
        self.stores: list[Change] = []
        self.bits: list[Change] = []
        self.word_of = _bits_of_stored_words(record)
        self.raced: set[int] = set()
        self.benign: dict[int, bool] = {}  # lane -> whether its reads are meant to race, once somebody asks
        self.locks = lock_bits(record).lanes
        fields = [name.split(".") for name in (*PUBLISHED, *record.tables.published)]
        self.published = {lane for cls, field in fields for lane in record.lanes(cls, field)}
        racy = [name.split(".") for name in record.tables.racy]
        self.racy = {lane for cls, field in racy for lane in record.lanes(cls, field)}

    # -- order -----------------------------------------------------------------------------------------------------

    def acquire(self, task: int, lane: int) -> None:
        """Whatever was over when `lane` was released last is over for the task."""
        at = self.released.get(lane)
        if at is not None and at[1] != task and not self.over[task] >> at[2] & 1:
            self.over[task] |= at[0]

    def release(self, task: int, lane: int) -> None:
        """Let who acquires `lane` next know all that is over for the task.  (It acquired the lane before.)"""
        epoch = self.epochs.own[task]
        self.released[lane] = self.epochs.ends(task), task, epoch

    def spawned(self, task: int, child: int) -> None:
        self.begun.add(child)
        self.over[child] = self.epochs.ends(task)

    def joined(self, task: int, child: int | None) -> None:
        rows = self.record.tasks
        ended = [child] if child is not None else [i for i in self.begun if i != task and not rows[i].get("daemon")]
        for other in ended:
            self.over[task] |= self.epochs.so_far(other)

    def wake(self, task: int, lane: int, sleepers: object) -> None:
        """A wake that finds somebody takes the queue's lock; one of an empty queue may look without it."""
        assert isinstance(sleepers, tuple | list)
        self.acquire(task, lane)
        for sleeper in sleepers:
            self.woken[sleeper] = self.epochs.so_far(task)
        self.release(task, lane)

    def other(self, step: int, task: int, lane: int, kind: int, a: object, b: object) -> None:
        """What is rare."""
        if kind == WAKE:
            if a:
                self.wake(task, lane, b)
        elif kind == SPAWN:
            assert isinstance(a, int)
            self.spawned(task, a)
        elif kind == JOIN:
            assert a is None or isinstance(a, int)
            self.joined(task, a)
        elif kind == EXIT:
            if task != MAIN:
                self.over[MAIN] |= self.epochs.so_far(task)
        elif kind == SLEEP:
            self.over[task] |= self.woken.pop(task, 0)
        elif kind == STORE:
            self.stores.append((lane, self.over[task], task, self.epochs.own[task], step))
        else:  # QUEUE, DEQUEUE
            self.acquire(task, lane)
            self.release(task, lane)

    def cpu(self, task: int, lane: int, kind: int, what: object) -> None:
        """Sections with preemption off, or with irqs off, exclude each other on a CPU; an interrupt is of the latter.

        Irqs off keep preemption away too; an interrupt comes in spite of preemption being off.
        """
        act = self.acquire if what in ("disable", "enter") else self.release
        if what not in ("enter", "exit"):
            act(task, lane)
        if kind == IRQ:
            act(task, ~lane)

    # -- accesses --------------------------------------------------------------------------------------------------

    def looked(self, step: int, task: int, lane: int) -> None:
        """A read, not known to be ordered after the last read by another task."""
        now: Access = (task, self.epochs.own[task], step)
        known = self.read.get(lane)
        if known is None:
            self.read[lane] = now
        elif isinstance(known, dict):
            known[task] = now
        elif known[0] == task or self.over[task] >> known[1] & 1:
            self.read[lane] = now
        else:
            self.read[lane] = {known[0]: known, task: now}

    def overwrote(self, step: int, task: int, lane: int, known: Access | dict[int, Access]) -> None:
        """A write after reads since the last one, not all of them known to be over."""
        over = self.over[task]
        for other, epoch, read_step in known.values() if isinstance(known, dict) else (known,):
            if other != task and not over >> epoch & 1:
                self.race(lane, read_step, step, True)

    def race(self, lane: int, first: int, second: int, reads: bool) -> None:
        """Two accesses race; `reads`: one of them is a read."""
        self.raced.add(lane)
        benign = self.benign.get(lane)
        if benign is None:
            self.benign[lane] = benign = lane in self.published or _benign(self.record, lane)
        if not (benign if reads else lane in self.racy):
            race_report.add(self.record, self.evidence, "race", first, second)

    def conclude(self, checked: int) -> Judgement:
        self.judge_stores()
        judgement = self.evidence.judgement(checked)
        judgement.raced = tuple(sorted(self.fields()))
        return judgement

    def fields(self) -> frozenset[str]:
        """Return the plain fields with accesses that nothing orders, benign or not, and the published ones in use."""
        published = self.published & (self.wrote.keys() | self.read.keys())
        lanes = map(self.record.lane, self.raced | published)
        return frozenset(f"{lane[0]}.{lane[2]}" for lane in lanes if lane)

    def judge_stores(self) -> None:
        """Look at each plain store of a flag word beside the changes of its bits, and other stores."""
        words: dict[str, list[Change]] = {}
        for store in self.stores:
            words.setdefault(self.record.lane_name(store[0]), []).append(store)
        if not words:
            return
        changes = [(word, bit) for bit in self.bits if (word := self.word_of[bit[0]]) in words]
        changes += [(word, store) for word, stores in words.items() for store in stores]
        for word, change in changes:
            for store in words[word]:
                if change[2] == store[2] or (change[0] == store[0] and change[-1] <= store[-1]):
                    continue  # of one task, or a pair that comes the other way round too
                if not _ordered(store, change):
                    race_report.add(
                        self.record, self.evidence, "plain store over a bit", *sorted((store[-1], change[-1]))
                    )


def _ordered(one: Change, other: Change) -> bool:
    (_, over, _, epoch, _), (_, other_over, _, other_epoch, _) = one, other
    return bool((other_over >> epoch | over >> other_epoch) & 1)


def _benign(record: Record, lane: int) -> bool:
    cls, _, field, _ = record.lane(lane) or ("", "", "", "")
    return f"{cls}.{field}" in record.tables.benign


def judge(record: Record) -> Judgement:
    """Follow the order of things, and check each access against those before it."""
    race = _Race(record)
    return race.conclude(_follow(record, race))


def racing_fields(record: Record) -> frozenset[str]:
    """Return the plain fields ("Class.field") with accesses that nothing orders, benign or published ones too."""
    race = _Race(record)
    _follow(record, race)
    return race.fields()


def _follow(record: Record, race: _Race) -> int:
    """Check each access that may race; return how many accesses there were."""
    spawns = record.steps(SPAWN)
    if not spawns:  # nobody to race with
        return 0
    first, events = spawns[0], record.events  # what came before the first spawn is over for everybody
    own, over, fresh = race.epochs.own, race.over, race.epochs.fresh
    acquire, release, released = race.acquire, race.release, race.released
    wrote, read, published = race.wrote, race.read, race.published
    word_of, bits, locks = race.word_of, race.bits, race.locks
    for step in _that_tell(record, race, first):
        task, op, a, b = events[step]
        kind, lane = op & KIND_MASK, op >> SHIFT
        if kind == READ:
            if lane in published:
                acquire(task, lane)
            last = wrote.get(lane)
            if last is not None and last[0] != task and not over[task] >> last[1] & 1:
                race.race(lane, last[2], step, True)
            seen = read.get(lane)
            if seen is None or (type(seen) is tuple and seen[0] == task):
                read[lane] = (task, own[task], step)
            else:
                race.looked(step, task, lane)
        elif kind == WRITE:
            last = wrote.get(lane)
            if last is not None and last[0] != task and not over[task] >> last[1] & 1:
                race.race(lane, last[2], step, False)
            seen = read.pop(lane, None)
            if seen is not None and (type(seen) is dict or seen[0] != task):
                race.overwrote(step, task, lane, seen)
            wrote[lane] = (task, own[task], step)
            if lane in published:
                release(task, lane)
        elif kind in _ACQUIRES or (kind == TRY and a):
            at = released.get(lane)  # as `acquire`, which is too much to call that often; so is `release`
            if at is not None and at[1] != task and not over[task] >> at[2] & 1:
                over[task] |= at[0]
        elif kind in _RELEASES:
            if kind in _BARRIERS:
                if a if kind == TEST_AND_SET else not (a if kind == TEST_AND_CLEAR else b or kind == PUT):
                    continue  # it failed, which is no barrier
                at = released.get(lane)
                if at is not None and at[1] != task and not over[task] >> at[2] & 1:
                    over[task] |= at[0]
                if lane in word_of:
                    bits.append((lane, over[task], task, own[task], step))
            epoch = own[task]
            over[task] = known = over[task] | 1 << epoch
            released[lane] = known, task, epoch
            own[task] = next(fresh)
        elif kind in _BITS:
            if lane in word_of:
                bits.append((lane, over[task], task, own[task], step))
            if kind == CLEAR and lane in locks:
                release(task, lane)
        elif kind in _SECTIONS:
            race.cpu(task, lane, kind, a)
        elif kind in _OTHERS:
            race.other(step, task, lane, kind, a, b)
    return _accesses(record, first)


def _accesses(record: Record, first: int) -> int:
    """Count the accesses of plain fields from step `first` on."""
    every = sum(len(steps) for kind in (READ, WRITE) for steps in record.steps_by_lane(kind).values())
    early = [op for _, op, _, _ in islice(record.events, first) if op != NOTE and op & KIND_MASK in (READ, WRITE)]
    return every - len(early)


def _that_tell(record: Record, race: _Race, first: int) -> list[int]:
    """Return the steps from `first` on of what orders, and of accesses that something has to order.

    What only one task touches, or nobody writes, cannot race; the test of a bit that nobody releases orders nothing.
    """
    contested = {*race.published, *_contested(record, first)}
    released = {*race.locks, *record.steps_by_lane(TEST_AND_SET), *record.steps_by_lane(TEST_AND_CLEAR)}
    found = sorted(
        chain(
            record.steps_on(contested, READ, WRITE),
            record.steps_on(released, TEST),
            record.steps_on({*race.locks, *race.word_of}, *_BITS),
            record.steps(*_ORDER),
        )
    )
    return found[bisect_left(found, first) :]


def _contested(record: Record, first: int) -> Iterator[int]:
    """Yield the lanes of plain fields that one task writes and another one touches, from step `first` on."""
    who, reads = record.who, record.steps_by_lane(READ)
    for lane, writes in record.steps_by_lane(WRITE).items():
        if writes[-1] >= first:
            accesses = writes[bisect_left(writes, first) :]
            if lane in reads:
                accesses += reads[lane][bisect_left(reads[lane], first) :]
            if len(accesses) > 1 and len(set(itemgetter(*accesses)(who))) > 1:
                yield lane


def _bits_of_stored_words(record: Record) -> dict[int, str]:
    """Map the bits of the flag words that somebody stores as a whole to the names of these."""
    stored = record.steps_by_lane(STORE)
    names = {record.lane_name(lane) for lane in stored}
    owners = {lane[1] for lane in map(record.lane, stored) if lane}
    words = {lane: f"{owner}.{field}" for lane, (_, owner, field, bit) in record.lanes_of(owners).items() if bit}
    return {lane: word for lane, word in words.items() if word in names}
