"""Data races: two accesses of one plain field by two tasks, one of them a write, that nothing orders.

What orders, by vector clocks: a task's own steps; spawn and join; a lock's release and its next acquire (for a bit that
is a lock: the clear, and the test-and-set that succeeds); the read-modify-writes that are full barriers
when they succeed (test_and_set_bit, test_and_clear_bit, put, get_unless_zero, freeze), and unfreeze, a release; a wake
and the sleeper that it woke, and the queue's own lock among those who find each other on it; an RCU pointer's
publication and who reads it; a bit that was changed by one of those and who tests it (in v3.3 a control dependency,
for wait_on_bit no more than that on the fast path); sections with preemption off, or interrupts off and interrupts, on
one CPU.

What does not: set_bit, clear_bit and an unconditional get, atomic in v3.3 but no barriers, though a test sees them;
reading a count; the order in which tasks, or an interrupt and its CPU's task, happened to run.

Findings: ``race`` on a field or a word of data; ``plain store over a bit``, a plain store of a whole flag word that
meets, unordered, somebody's change of one of its bits (that is how a waiters bit gets lost).  Of a field that is
declared ``shared(default, benign=why)`` or published (the program's tables say both) reads may race; two writes never.

Invariant: of each pair of code points the first race is kept, with both sides.  Not checked: bits and counts against
each other, since they are atomic.
Source: Flanagan and Freund, "FastTrack", PLDI 2009; Documentation/atomic_ops.txt, memory-barriers.txt, v3.3.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, islice

from mmrace.oracles.general import race_report
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

_ACQUIRES, _RELEASES = frozenset({TEST, ACQUIRE}), frozenset({RELEASE, UNFREEZE})
_SECTIONS, _CONDITIONAL = frozenset({IRQ, PREEMPT}), frozenset({GET_UNLESS_ZERO, FREEZE})
_BITS = frozenset({SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR})
_OTHERS = frozenset({SPAWN, JOIN, EXIT, WAKE, SLEEP, QUEUE, DEQUEUE, STORE})
_ORDER = (TEST_AND_SET, TEST_AND_CLEAR, ACQUIRE, TRY, PUT, *_OTHERS, *_RELEASES, *_SECTIONS, *_CONDITIONAL)

Clock = list[int]
"""By task: how far all of it is known to be over; replaced, never changed.  What a task has for itself means nothing:
its own time stands beside, since it goes on at each release, too often to copy a clock."""
Moment = tuple[Clock, int, int]  # clock of a task, the task, its own time
Access = tuple[int, int, int]  # task, its own time, step
Change = tuple[int, Clock, int, int, int]  # lane, moment, step: of a flag word or of a bit of it


class _Race:
    """Clocks of the tasks and of what they meet on; the last accesses of each field."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        tasks = len(record.tasks)
        self.times = [1] * tasks  # each task's own
        self.clocks: list[Clock] = [[0] * tasks for _ in range(tasks)]
        self.released: dict[int, Moment] = {}  # lane -> when it was released last
        self.woken: dict[int, Moment] = {}  # sleeper -> when it was woken
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

    # -- order -----------------------------------------------------------------------------------------------------

    def acquire(self, task: int, lane: int) -> None:
        """Whatever was over when `lane` was released last is over for the task."""
        at = self.released.get(lane)
        if at is not None and at[1] != task and self.clocks[task][at[1]] < at[2]:
            self.meet(task, at)

    def now(self, task: int) -> Moment:
        """Return all that is over for a task now."""
        return self.clocks[task], task, self.times[task]

    def meet(self, task: int, moment: Moment) -> None:
        """All that was over at a moment of another task is over for the task."""
        before, who, time = moment
        clock = [x if x > y else y for x, y in zip(self.clocks[task], before, strict=True)]
        if clock[who] < time:
            clock[who] = time
        self.clocks[task] = clock

    def release(self, task: int, lane: int) -> None:
        """Let who acquires `lane` next know all that is over for the task.  (It acquired the lane before.)"""
        self.released[lane] = self.now(task)
        self.times[task] += 1

    def spawned(self, task: int, child: int) -> None:
        self.begun.add(child)
        self.clocks[child] = [0] * len(self.times)
        self.meet(child, self.now(task))
        self.times[child] = 1
        self.times[task] += 1

    def joined(self, task: int, child: int | None) -> None:
        rows = self.record.tasks
        ended = [child] if child is not None else [i for i in self.begun if i != task and not rows[i].get("daemon")]
        for other in ended:
            self.meet(task, self.now(other))

    def bit(self, step: int, task: int, lane: int, kind: int, old: object) -> None:
        """A bit is set or cleared; a test-and-set or test-and-clear that fails changes nothing, else is a barrier."""
        if kind in (TEST_AND_SET, TEST_AND_CLEAR):
            if old == (kind == TEST_AND_CLEAR):
                self.acquire(task, lane)
                self.changed(step, task, lane)
                self.release(task, lane)
            return
        self.changed(step, task, lane)
        if kind == CLEAR and lane in self.locks:
            self.release(task, lane)

    def changed(self, step: int, task: int, lane: int) -> None:
        """A bit has another value, perhaps: whoever stores its word should know."""
        if lane in self.word_of:
            self.bits.append((lane, *self.now(task), step))

    def wake(self, task: int, lane: int, sleepers: object) -> None:
        """A wake that finds somebody takes the queue's lock; one of an empty queue may look without it."""
        assert isinstance(sleepers, tuple | list)
        self.acquire(task, lane)
        for sleeper in sleepers:
            self.woken[sleeper] = self.now(task)
        self.release(task, lane)

    def other(self, step: int, task: int, lane: int, kind: int, a: object, b: object) -> None:
        """What is rare."""
        if kind == SPAWN:
            assert isinstance(a, int)
            self.spawned(task, a)
        elif kind == JOIN:
            assert a is None or isinstance(a, int)
            self.joined(task, a)
        elif kind == EXIT:
            if task != MAIN:
                self.meet(MAIN, self.now(task))
        elif kind == WAKE:
            if a:
                self.wake(task, lane, b)
        elif kind == SLEEP:
            moment = self.woken.pop(task, None)
            if moment is not None:
                self.meet(task, moment)
        elif kind == STORE:
            self.stores.append((lane, *self.now(task), step))
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

    def looked(self, step: int, task: int, lane: int, clock: Clock) -> None:
        """A read, not known to be ordered after the last read by another task."""
        now: Access = (task, self.times[task], step)
        known = self.read.get(lane)
        if known is None:
            self.read[lane] = now
        elif isinstance(known, dict):
            known[task] = now
        elif known[0] == task or known[1] <= clock[known[0]]:
            self.read[lane] = now
        else:
            self.read[lane] = {known[0]: known, task: now}

    def overwrote(self, step: int, task: int, lane: int, known: Access | dict[int, Access]) -> None:
        """A write after reads since the last one, not all of them known to be over."""
        clock = self.clocks[task]
        for other, time, read_step in known.values() if isinstance(known, dict) else (known,):
            if time > clock[other] and other != task:
                self.race(lane, read_step, step, True)

    def race(self, lane: int, first: int, second: int, reads: bool) -> None:
        """Two accesses race; `reads`: one of them is a read."""
        self.raced.add(lane)
        benign = self.benign.get(lane)
        if benign is None:
            self.benign[lane] = benign = lane in self.published or _benign(self.record, lane)
        if not (reads and benign):
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
                if not _ordered(store, change) and (change[0] != store[0] or change[-1] > store[-1]):
                    race_report.add(
                        self.record, self.evidence, "plain store over a bit", *sorted((store[-1], change[-1]))
                    )


def _ordered(one: Change, other: Change) -> bool:
    (_, clock, task, time, _), (_, other_clock, other_task, other_time, _) = one, other
    return task == other_task or time <= other_clock[task] or other_time <= clock[other_task]


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
    times, clocks, wrote, read = race.times, race.clocks, race.wrote, race.read
    acquire, release, released, published = race.acquire, race.release, race.released, race.published
    for step in _that_tell(record, race, first):
        task, op, a, b = events[step]
        kind, lane = op & KIND_MASK, op >> SHIFT
        if kind == READ:
            if lane in published:
                acquire(task, lane)
            clock = clocks[task]
            last = wrote.get(lane)
            if last is not None and last[1] > clock[last[0]] and last[0] != task:
                race.race(lane, last[2], step, True)
            seen = read.get(lane)
            if seen is None or (type(seen) is tuple and seen[0] == task):
                read[lane] = (task, times[task], step)
            else:
                race.looked(step, task, lane, clock)
        elif kind in _ACQUIRES or (kind == TRY and a):
            at = released.get(lane)  # as `acquire`, which is too much to call that often
            if at is not None and at[1] != task and clocks[task][at[1]] < at[2]:
                race.meet(task, at)
        elif kind == WRITE:
            clock = clocks[task]
            last = wrote.get(lane)
            if last is not None and last[1] > clock[last[0]] and last[0] != task:
                race.race(lane, last[2], step, False)
            seen = read.pop(lane, None)
            if seen is not None and (isinstance(seen, dict) or seen[1] > clock[seen[0]]):
                race.overwrote(step, task, lane, seen)
            wrote[lane] = (task, times[task], step)
            if lane in published:
                release(task, lane)
        elif kind in _RELEASES:
            release(task, lane)
        elif kind in _SECTIONS:
            race.cpu(task, lane, kind, a)
        elif kind in _BITS:
            race.bit(step, task, lane, kind, a)
        elif kind == PUT or (b and kind in _CONDITIONAL):
            acquire(task, lane)
            release(task, lane)
        elif kind in _OTHERS:
            race.other(step, task, lane, kind, a, b)
    every = sum(len(steps) for kind in (READ, WRITE) for steps in record.steps_by_lane(kind).values())
    early = [op for _, op, _, _ in islice(events, first) if op != NOTE and op & KIND_MASK in (READ, WRITE)]
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
            record.steps_on({*race.locks, *race.word_of}, SET, CLEAR),
            record.steps(*_ORDER),
        )
    )
    return found[bisect_left(found, first) :]


def _contested(record: Record, first: int) -> Iterator[int]:
    """Yield the lanes of plain fields that one task writes and another one touches, from step `first` on."""
    events, reads = record.events, record.steps_by_lane(READ)
    for lane, writes in record.steps_by_lane(WRITE).items():
        if writes[-1] >= first:
            who = events[writes[-1]][0]
            accesses = chain(reversed(writes), reversed(reads.get(lane, ())))
            if any(events[step][0] != who and step >= first for step in accesses):
                yield lane


def _bits_of_stored_words(record: Record) -> dict[int, str]:
    """Map the bits of the flag words that somebody stores as a whole to the names of these."""
    stored = record.steps_by_lane(STORE)
    names = {record.lane_name(lane) for lane in stored}
    owners = {lane[1] for lane in map(record.lane, stored) if lane}
    words = {lane: f"{owner}.{field}" for lane, (_, owner, field, bit) in record.lanes_of(owners).items() if bit}
    return {lane: word for lane, word in words.items() if word in names}
