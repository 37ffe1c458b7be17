"""Who holds what, step by step, and what each asked for while it held something.

A task holds the locks that it took, what it opened and did not close yet, and what it owes (`waits.py`).  A *link* is
"this task held these when it asked for that, ready to wait".  A try waits for nobody and makes no link, but what it
took is held like any lock.  A sleep until a bit is clear (`wait_on_bit`) waits for whoever is to clear it, and makes a
link, though it takes nothing; so does a join, and the wait for a completion.  A lock that is handed to its I/O is held
by the task that will drop it.

Invariant: every bit lock of a ring was waited for (`flags.LOCK` beside its test-and-set, or a queue); in a record from
before that mark only queueing tells, and less is found.  Not here: what follows from links (`rings.py`).
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

from mmrace.oracles.general.epochs import Epochs, Over
from mmrace.oracles.general.locks import lock_bits
from mmrace.oracles.general.waits import TURN, Deed, Promises, Told, Waits, end_of
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    EXIT,
    JOIN,
    KIND_MASK,
    NOTE,
    QUEUE,
    READ,
    RELEASE,
    SET,
    SHIFT,
    SPAWN,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    WRITE,
)
from mmrace.runtime.record import Record

MAIN = 0  # the task that sets the stage: it sees every end, and a join of all others is no op if nobody is left

_NOTE = NOTE & KIND_MASK
_ALWAYS = (TEST_AND_SET, ACQUIRE, TRY, RELEASE, STORE, QUEUE, SPAWN, JOIN, EXIT)
_HAND_OVER = "hand-over"

_Asked = tuple[int, int, int, tuple[int, ...], int]  # task, what it wants, its epoch, what it holds, queue


class Link(NamedTuple):
    """A task holds locks, each taken at its step of `steps`, and asks for one, sleeping on `queue` (-1: it did not).

    `over`: what was over for the task, in its epoch `epoch`.  `guards`: those of the held ones that only one can hold.
    """

    task: int
    held: tuple[int, ...]
    steps: tuple[int, ...]
    wanted: int
    step: int
    queue: int
    over: Over
    epoch: int
    guards: frozenset[int] = frozenset()


class Holding:
    """Who holds what, as the events so far left it, and the links seen.

    Args: promises: None: only locks that were taken count.  joined: tasks whose end somebody waits for.
    """

    def __init__(
        self, record: Record, waits: Waits, promises: Promises | None = None, joined: Collection[int] = ()
    ) -> None:
        self.record = record
        self.opened = waits.opened
        self.told = waits.told
        self.promises = promises
        self.joined = joined
        self.completions = promises.completions if promises else {}
        self.bits = promises.bits if promises else frozenset()
        tasks = len(record.tasks)
        self.held: list[dict[int, int]] = [{} for _ in range(tasks)]  # lane -> step, in the order of taking
        self.holder: dict[int, int] = {}  # lane of a bit -> who set it last, or is to clear it
        self.epochs = Epochs(tasks)  # a task goes on to another when it spawns, joins, or hears of an end
        self.proven: Over = 0  # what the main task knows to be over because it joined it
        self.begun = {MAIN}
        self.unborn: dict[int, list[int]] = {}  # task -> lanes that it will owe from its start on
        self.turns = dict.fromkeys(self.completions, 0)  # how often each was begun anew, in units of TURN
        self.completed: dict[int, Over] = {}  # lane of a completion -> what is over when it is seen
        self.asked: dict[_Asked, tuple[tuple[int, ...], int, Over]] = {}  # -> steps of taking, step, what is over
        self.joined_under: set[int] = set()  # tasks that another waited for while it held something
        for lane in self.completions:
            self.begins_anew(-1, lane)

    def counts(self, lane: int, step: int) -> bool:
        """Say whether what is held, or asked for, since `step` is a lock or owed, and no bit of another use."""
        if lane < 0 or lane % TURN in self.completions or lane in self.opened or lane in self.bits:
            return True
        _, op, _, mark = self.record.events[step]
        taken = op != NOTE and op & KIND_MASK in (ACQUIRE, TRY)
        return taken or mark == LOCK or lane in lock_bits(self.record).lanes

    # -- what is asked for ----------

    def wants(self, step: int, task: int, lane: int, queue: int = -1, over: Over | None = None) -> None:
        """A task that holds something is ready to wait for `lane`."""
        held = self.held[task]
        if not held or lane in held:
            return
        key = (task, lane, self.epochs.own[task], (*held,), queue)
        if key not in self.asked:
            self.asked[key] = (*held.values(),), step, self.epochs.over[task] if over is None else over

    def links(self) -> list[Link]:
        """Return the links, without those that want what nobody held while it asked: no ring has them."""
        held = {lane for _, _, _, locks, _ in self.asked for lane in locks}
        return [
            Link(task, locks, steps, lane, step, queue, over, epoch)
            for (task, lane, epoch, locks, queue), (steps, step, over) in self.asked.items()
            if lane in held
        ]

    def wants_without(self, step: int, task: int, lane: int, dropped: Collection[int], queue: int = -1) -> None:
        """A task is ready to wait for `lane`, and drops some of what it holds meanwhile."""
        kept = self.held[task]
        if not kept:
            return
        self.held[task] = {held: since for held, since in kept.items() if held not in dropped}
        self.wants(step, task, lane, queue)
        self.held[task] = kept

    def waits(self, step: int, task: int, queue: int) -> None:
        """A task goes to sleep: if it just saw a bit set, that is what it may be waiting for."""
        promised = self.promises.queues.get(queue) if self.promises else None
        if promised is not None:
            self.wants(step, task, promised + self.turns[promised], queue)
            return
        events = self.record.events
        for i in range(step - 1, -1, -1):
            who, op, bit, _ = events[i]
            if who == task and op != NOTE:
                if bit and op & KIND_MASK in (TEST, TEST_AND_SET):  # TEST_AND_SET: in a record from before the mark
                    self.wants(step, task, op >> SHIFT, queue)
                return

    # -- bits ----------

    def set_bit(self, step: int, task: int, lane: int) -> None:
        """A task sets a bit: it holds that, or whoever is to clear it."""
        before = self.holder.get(lane, task)
        if before != task:  # cleared by other means than a clear
            self.held[before].pop(lane, None)
        if lane in self.bits and self.promises:
            bringer = self.promises.bringer(lane, step)
            if bringer is not None and bringer != task:
                if bringer not in self.begun:
                    self.unborn.setdefault(bringer, []).append(lane)
                else:
                    task = bringer
        self.holder[lane] = task
        self.held[task][lane] = step

    def cleared(self, lane: int) -> None:
        """A bit that another than its holder clears (its I/O, or a stranger), or that is handed over."""
        holder = self.holder.pop(lane, None)
        if holder is not None:
            self.held[holder].pop(lane, None)

    def handed_over(self, step: int, lane: int) -> None:
        """From now on a lock is its I/O's: whoever is to drop it."""
        self.cleared(lane)
        bringer = self.promises.bringer(lane, step) if self.promises else None
        if bringer is not None:
            self.holder[lane] = bringer
            self.held[bringer][lane] = step

    def stored(self, task: int, word: int, value: object) -> None:
        """A plain store of a flag word drops the bits that are not in it."""
        if not value and self.held[task]:
            for lane in self.record.bits_among(self.held[task], word):
                self.cleared(lane)

    # -- tasks and completions ----------

    def spawned(self, step: int, task: int, child: int) -> None:
        """What the task did so far is over when the child begins; the child owes what waits for it."""
        self.begun.add(child)
        self.epochs.over[child] = self.epochs.ends(task)
        if child in self.joined:
            self.held[child][end_of(child)] = step
        for lane in self.unborn.pop(child, ()):
            setter = self.holder.get(lane)
            if setter is not None:
                self.held[setter].pop(lane, None)
            if setter is not None or lane % TURN in self.completions:
                self.holder[lane] = child
                self.held[child][lane] = step

    def joins(self, step: int, task: int, child: int | None) -> None:
        """A task waits for the end of a child (None: of everybody but daemons), all of which is over then."""
        rows = self.record.tasks
        ended = [child] if child is not None else [i for i in self.begun if i != task and not rows[i].get("daemon")]
        if any(self.counts(lane, since) for lane, since in self.held[task].items()):
            over = self.proven if task == MAIN else None  # it may have seen the end, but did not wait for it
            for other in ended:
                self.wants(step, task, end_of(other), over=over)
            self.joined_under.update(ended)
        for other in ended:
            self.epochs.over[task] |= self.epochs.so_far(other)
            if task == MAIN:
                self.proven |= self.epochs.so_far(other)
        self.epochs.ends(task)

    def hears_of(self, task: int, over: Over) -> None:
        """What is over for another is over for the task too."""
        self.epochs.over[task] |= over
        self.epochs.ends(task)

    def begins_anew(self, step: int, lane: int) -> None:
        """Somebody is to complete a completion from now on, or from its own start on."""
        bringer = self.promises.bringer(lane, step) if self.promises else None
        if bringer is None:
            return
        turn = lane + self.turns[lane]
        if bringer in self.begun:
            self.held[bringer][turn] = max(step, 0)
        else:
            self.unborn.setdefault(bringer, []).append(turn)

    def completes(self, step: int, task: int, lane: int, done: object) -> None:
        """A completion is completed, or begun anew."""
        if not done:
            self.turns[lane] += TURN
            self.begins_anew(step, lane)
            return
        self.held[task].pop(lane + self.turns[lane], None)
        self.completed[lane] = self.epochs.ends(task)

    # -- what a program tells ----------

    def counted(self, step: int, task: int, lane: int, more: bool) -> None:
        """A task counts itself in or out."""
        if more:
            self.wants_without(step, task, lane, self.opened[lane])
            self.held[task][lane] = step
        else:
            self.held[task].pop(lane, None)

    def hears(self, step: int, told: Told) -> None:
        """A program says what an event means."""
        if told.deed is Deed.WANTS:
            self.wants_without(step, told.task, told.lane, told.dropped, told.queue)
        elif told.deed is Deed.OWES:
            self.held[told.task][told.lane] = step
        else:
            self.held[told.task].pop(told.lane, None)

    # -- all of it ----------

    def steps(self) -> list[int]:
        """Return the steps that tell."""
        record, events = self.record, self.record.events
        handed = record.steps_on((), notes=(_HAND_OVER,))
        bits = {*record.steps_by_lane(TEST_AND_SET), *self.bits, *(events[step][3][0] for step in handed)}
        found = sorted(
            chain(
                record.steps(*_ALWAYS),
                record.steps_on({*self.opened, *self.completions}, WRITE, notes=(_HAND_OVER,)),
                record.steps_on(self.completions, READ),
                record.steps_on(self.bits, SET),
                record.steps_on(bits, CLEAR, TEST_AND_CLEAR),  # of a bit that was never taken, a clear drops nothing
            )
        )
        return sorted([*found, *sorted(set(self.told).difference(found))])

    def follow(self, until: int) -> int:
        """Follow every lock up to the event at `until`; count the requests that were ready to wait."""
        events, held, told = self.record.events, self.held, self.told
        checked = 0
        for step in self.steps():
            if step >= until:
                break
            if step in told:
                for said in told[step]:
                    self.hears(step, said)
            task, op, a, b = events[step]
            kind, lane = op & KIND_MASK, op >> SHIFT
            if kind == ACQUIRE:
                checked += 1
                mine = held[task]
                if mine:
                    self.wants(step, task, lane)
                mine[lane] = step
            elif kind == RELEASE:
                held[task].pop(lane, None)
            elif kind == TEST_AND_SET:
                if b == LOCK:
                    checked += 1
                    if held[task]:
                        self.wants(step, task, lane)
                if not a:
                    self.set_bit(step, task, lane)
            elif kind in (CLEAR, TEST_AND_CLEAR):
                if a and held[task].pop(lane, None) is None:
                    self.cleared(lane)
            elif kind == TRY:
                if a:
                    held[task][lane] = step
            elif kind == _NOTE:
                if a == _HAND_OVER:
                    self.handed_over(step, b[0])
            elif kind == QUEUE:
                if held[task]:
                    self.waits(step, task, lane)
            elif kind == STORE:
                self.stored(task, lane, b)
            else:
                self._other(step, task, kind, lane)
        return checked

    def _other(self, step: int, task: int, kind: int, lane: int) -> None:
        """Follow an event of a kind that is rare here."""
        _, _, a, b = self.record.events[step]
        if kind == SPAWN:
            self.spawned(step, task, a)
        elif kind == JOIN:
            self.joins(step, task, a)
        elif kind == EXIT:
            if task != MAIN:
                self.hears_of(MAIN, self.epochs.so_far(task))
        elif kind == WRITE:
            if lane in self.completions:
                self.completes(step, task, lane, b)
            elif lane in self.opened:
                self.counted(step, task, lane, b > a)
        elif kind == READ:
            if a and lane in self.completed:
                self.hears_of(task, self.completed[lane])
        elif kind == SET and lane in self.bits:
            self.set_bit(step, task, lane)
