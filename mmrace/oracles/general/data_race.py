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

from itertools import islice

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
    YIELD,
)
from mmrace.runtime.record import Record

NAME = "data-race"
PUBLISHED = ("Completion.done",)
"""The runtime's own field whose write is a release and whose read an acquire: in the kernel it stands under its queue's
lock.  Programs have others, such as what rcu_assign_pointer writes."""

_BITS = frozenset({SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR})
_OTHERS = frozenset({SPAWN, JOIN, EXIT, WAKE, SLEEP, QUEUE, DEQUEUE, STORE})

Clock = list[int]  # by task: how far all of it is known to be over; replaced, never changed
Access = tuple[int, int, int]  # task, its own time, step
Change = tuple[int, int, Clock, int]  # lane, task, its clock, step: of a flag word or of a bit of it


class _Race:
    """Clocks of the tasks and of what they meet on; the last accesses of each field."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        tasks = len(record.tasks)
        self.clocks: list[Clock] = [[0] * i + [1] + [0] * (tasks - i - 1) for i in range(tasks)]
        self.released: dict[int, tuple[Clock, int, int]] = {}  # lane -> clock, who released, at which time
        self.woken: dict[int, Clock] = {}  # sleeper -> clock of who woke it
        self.begun: set[int] = set()
        self.wrote: dict[int, Access] = {}
        self.read: dict[int, Access | dict[int, Access]] = {}  # since the last write
        self.stores: list[Change] = []
        self.bits: list[Change] = []
        self.raced: set[int] = set()
        self.benign: dict[int, bool] = {}  # lane -> whether its reads are meant to race, once somebody asks
        self.locks = lock_bits(record).lanes
        fields = [name.split(".") for name in (*PUBLISHED, *record.tables.published)]
        self.published = {lane for cls, field in fields for lane in record.lanes(cls, field)}

    # -- order -----------------------------------------------------------------------------------------------------

    def acquire(self, task: int, lane: int) -> None:
        """Whatever was over when `lane` was released last is over for the task."""
        at = self.released.get(lane)
        if at is not None:
            before, who, time = at
            if self.clocks[task][who] < time:
                self.meet(task, before)

    def meet(self, task: int, before: Clock) -> None:
        clock = self.clocks[task]
        self.clocks[task] = [x if x > y else y for x, y in zip(clock, before, strict=True)]

    def release(self, task: int, lane: int) -> None:
        """Let who acquires `lane` next know all that is over for the task.  (It acquired the lane before.)"""
        clock = self.clocks[task]
        time = clock[task]
        self.released[lane] = (clock, task, time)
        self.clocks[task] = clock = clock.copy()
        clock[task] = time + 1

    def tick(self, task: int) -> None:
        self.clocks[task] = clock = self.clocks[task].copy()
        clock[task] += 1

    def spawned(self, task: int, child: int) -> None:
        self.begun.add(child)
        self.clocks[child] = born = self.clocks[task].copy()
        born[child] = 1
        self.tick(task)

    def joined(self, task: int, child: int | None) -> None:
        rows = self.record.tasks
        ended = [child] if child is not None else [i for i in self.begun if i != task and not rows[i].get("daemon")]
        for other in ended:
            self.meet(task, self.clocks[other])

    def bit(self, step: int, task: int, lane: int, kind: int, old: object) -> None:
        """A bit is set or cleared; a test-and-set or test-and-clear that fails changes nothing, else is a barrier."""
        if kind in (TEST_AND_SET, TEST_AND_CLEAR):
            if old == (kind == TEST_AND_CLEAR):
                self.acquire(task, lane)
                self.bits.append((lane, task, self.clocks[task], step))
                self.release(task, lane)
            return
        self.bits.append((lane, task, self.clocks[task], step))
        if kind == CLEAR and lane in self.locks:
            self.release(task, lane)

    def wake(self, task: int, lane: int, sleepers: object) -> None:
        """A wake that finds somebody takes the queue's lock; one of an empty queue may look without it."""
        assert isinstance(sleepers, tuple | list)
        self.acquire(task, lane)
        for sleeper in sleepers:
            self.woken[sleeper] = self.clocks[task]
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
                self.meet(MAIN, self.clocks[task])
        elif kind == WAKE:
            if a:
                self.wake(task, lane, b)
        elif kind == SLEEP:
            clock = self.woken.pop(task, None)
            if clock is not None:
                self.meet(task, clock)
        elif kind == STORE:
            self.stores.append((lane, task, self.clocks[task], step))
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
        now: Access = (task, clock[task], step)
        known = self.read.get(lane)
        if known is None:
            self.read[lane] = now
        elif isinstance(known, dict):
            known[task] = now
        elif known[0] == task or known[1] <= clock[known[0]]:
            self.read[lane] = now
        else:
            self.read[lane] = {known[0]: known, task: now}

    def overwrote(self, step: int, lane: int, clock: Clock, known: Access | dict[int, Access]) -> None:
        """A write after reads since the last one, not all of them known to be over."""
        for task, time, read_step in known.values() if isinstance(known, dict) else (known,):
            if time > clock[task]:
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
        owners = {lane: self.record.lane_name(lane).rpartition(".")[0] for lane in {bit[0] for bit in self.bits}}
        changes = [(owners[bit[0]], bit) for bit in self.bits if owners[bit[0]] in words]
        changes += [(word, store) for word, stores in words.items() for store in stores]
        for word, change in changes:
            for store in words[word]:
                if not _ordered(store, change) and (change[0] != store[0] or change[3] > store[3]):
                    race_report.add(
                        self.record, self.evidence, "plain store over a bit", *sorted((store[3], change[3]))
                    )


def _ordered(one: Change, other: Change) -> bool:
    (_, task, clock, _), (_, other_task, other_clock, _) = one, other
    return task == other_task or clock[task] <= other_clock[task] or other_clock[other_task] <= clock[other_task]


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
    """Check each access; return how many there were."""
    spawns = record.steps(SPAWN)
    if not spawns:  # nobody to race with
        return 0
    clocks, wrote, read = race.clocks, race.wrote, race.read
    acquire, release, released, published = race.acquire, race.release, race.released, race.published
    checked = 0
    # what came before the first spawn is over for everybody
    for step, (task, op, a, b) in enumerate(islice(record.events, spawns[0], None), spawns[0]):
        kind, lane = op & KIND_MASK, op >> SHIFT
        if kind == YIELD:  # the most frequent one, and it says nothing
            continue
        if kind == READ:
            checked += 1
            if lane in published:
                acquire(task, lane)
            clock = clocks[task]
            last = wrote.get(lane)
            if last is not None and last[1] > clock[last[0]]:
                race.race(lane, last[2], step, True)
            seen = read.get(lane)
            if seen is None or (type(seen) is tuple and seen[0] == task):
                read[lane] = (task, clock[task], step)
            else:
                race.looked(step, task, lane, clock)
        elif kind in (TEST, ACQUIRE) or (kind == TRY and a):
            at = released.get(lane)  # as `acquire`, which is too much to call that often
            if at is not None and clocks[task][at[1]] < at[2]:
                race.meet(task, at[0])
        elif kind == WRITE:
            checked += 1
            clock = clocks[task]
            last = wrote.get(lane)
            if last is not None and last[1] > clock[last[0]]:
                race.race(lane, last[2], step, False)
            seen = read.pop(lane, None)
            if seen is not None and (isinstance(seen, dict) or seen[1] > clock[seen[0]]):
                race.overwrote(step, lane, clock, seen)
            wrote[lane] = (task, clock[task], step)
            if lane in published:
                release(task, lane)
        elif kind in (RELEASE, UNFREEZE):
            release(task, lane)
        elif kind in (IRQ, PREEMPT):
            race.cpu(task, lane, kind, a)
        elif kind in _BITS:
            race.bit(step, task, lane, kind, a)
        elif kind == PUT or (b and kind in (GET_UNLESS_ZERO, FREEZE)):
            acquire(task, lane)
            release(task, lane)
        elif kind in _OTHERS:
            race.other(step, task, lane, kind, a, b)
    return checked
