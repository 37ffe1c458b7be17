"""Lock discipline: who may release a lock, and in which context it may be taken.

Rules: what the runtime caught at the op (sleep in atomic context, release by a stranger); a lock held at a task's exit;
a spinlock taken in irq context and elsewhere with irqs on; a sleeping bit lock cleared by a task that neither took it
nor completes its I/O.

Irq safety is judged by class of lock, as lockdep does: a trylock in irq context cannot hang and does not count, one
with irqs on does.  Invariant: an I/O to which a lock was handed may release it in any task.  Not checked: lock order
(that is a predictor of its own) and irqs switched on while an inner lock is held.
Source: kernel/lockdep.c, v3.3 (mark_irqflags).
"""

from __future__ import annotations

from collections import defaultdict

from mmrace.oracles.general import violations
from mmrace.oracles.general.judgement import Evidence, Fact, Judgement, kind_of
from mmrace.oracles.general.locks import lock_bits
from mmrace.runtime.kinds import (
    ACQUIRE,
    CLEAR,
    EXIT,
    IRQ,
    KIND_MASK,
    NOTE,
    QUEUE,
    RELEASE,
    SHIFT,
    STORE,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
)
from mmrace.runtime.record import Record

NAME = "lock-discipline"
IO = -1  # holder of a lock that was handed to its I/O

_BITS = frozenset({TEST_AND_SET, CLEAR, TEST_AND_CLEAR})
KINDS = (STORE, ACQUIRE, TRY, RELEASE, QUEUE, EXIT, IRQ)
"""The kinds of ops that it looks at on all lanes."""


class Audit:
    """Locks and contexts as the events so far left them.

    A judge that knows more of a program overrides `queued`, `note` and `at_rest`.
    """

    notes: frozenset[str] = frozenset({"hand-over"})
    """The kinds of notes that it looks at."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.bits = lock_bits(record)
        self.holder: dict[int, int] = {}  # lane of a sleeping bit lock -> task, or IO
        self.irqs_off: defaultdict[int, int] = defaultdict(int)  # task -> depth
        self.in_irq: set[int] = set()
        self.taken_in_irq: dict[int, tuple[int, int]] = {}  # lane of a spinlock -> (step, task)
        self.taken_irqs_on: dict[int, tuple[int, int]] = {}
        self.strangers: list[tuple[int, int, int, int]] = []  # step, task, lane, holder
        self.checked = 0

    # -- ops -------------------------------------------------------------------------------------------------

    def bit(self, step: int, task: int, lane: int, kind: int, old: bool) -> None:
        """A sleeping bit lock is taken or released."""
        self.checked += 1
        if kind == TEST_AND_SET:
            if not old:
                self.holder[lane] = task
        elif old:
            holder = self.holder.pop(lane, IO)
            if holder not in (task, IO):
                self.strangers.append((step, task, lane, holder))

    def took(self, step: int, task: int, lane: int, tried: bool) -> None:
        """A spinlock or mutex was taken: note in which context."""
        self.checked += 1
        if task in self.in_irq:
            if not tried:
                self.taken_in_irq.setdefault(lane, (step, task))
        elif lane not in self.taken_irqs_on and not self.irqs_off[task]:
            self.taken_irqs_on[lane] = (step, task)

    def irq(self, task: int, what: object) -> None:
        if what == "enter":
            self.in_irq.add(task)
        elif what == "exit":
            self.in_irq.discard(task)
        else:
            self.irqs_off[task] += 1 if what == "disable" else -1

    def queued(self, step: int, task: int, lane: int) -> None:
        """A task queues, to sleep."""

    def exited(self, step: int, task: int, held: object) -> None:
        who = self.record.task_name(task)
        names = [str(name) for name in held] if isinstance(held, tuple | list) else []
        names += [self.record.lane_name(lane) for lane, holder in self.holder.items() if holder == task]
        for name in names:
            self.evidence.add(
                "held at exit", f"{who} ends holding {name}", (name, who), object=name, task=who, step=step
            )

    def note(self, task: int, kind: str, facts: tuple[object, ...]) -> None:
        """One of `notes`: by itself that a lock was handed to its I/O."""
        if isinstance(facts[0], int):
            self.holder[facts[0]] = IO

    def zeroed(self, word: int) -> None:
        """A plain store of 0 to a flag word drops every lock in it."""
        for lane in self.record.bits_among(self.holder, word):
            del self.holder[lane]

    # -- the end ---------------------------------------------------------------------------------------------

    def conclude(self) -> Judgement:
        """Judge what takes the whole run to see."""
        self.report_strangers()
        self.report_irq_unsafe()
        self.at_rest()
        return self.evidence.judgement(self.checked)

    def at_rest(self) -> None:
        """Judge what the record says of the state at rest: by itself nothing."""

    def report_strangers(self) -> None:
        """Report the violations of the runtime, and the strangers that it did not see."""
        caught = violations.report(self.record, NAME, self.evidence)
        known = {str(violation.facts.get("object")) for violation in caught}
        for step, task, lane, holder in self.strangers:
            name, who, owner = self.record.lane_name(lane), self.record.task_name(task), self.record.task_name(holder)
            if name not in known:
                text = f"{who} clears {name}, which {owner} holds"
                facts: dict[str, Fact] = {"object": name, "task": who, "holder": owner, "step": step}
                self.evidence.add("unlock by a stranger", text, (name, who), **facts)

    def report_irq_unsafe(self) -> None:
        """Report each class of lock that an interrupt may find taken on its own CPU."""
        inside, outside = self.by_class(self.taken_in_irq), self.by_class(self.taken_irqs_on)
        for cls in sorted(inside.keys() & outside.keys()):
            (irq_step, irq_task), (step, task) = inside[cls], outside[cls]
            irq, other = self.record.task_name(irq_task), self.record.task_name(task)
            text = f"{cls} is taken in irq context ({irq}) and with irqs on ({other})"
            facts: dict[str, Fact] = {"in_irq": irq, "irqs_on": other, "step": step, "irq_step": irq_step}
            self.evidence.add("irq-unsafe", text, (cls,), lock=cls, **facts)

    def by_class(self, taken: dict[int, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """Turn lanes into classes of lock, keeping the first taker of each."""
        if not self.taken_in_irq:
            return {}
        first: dict[str, tuple[int, int]] = {}
        for lane, where in taken.items():
            first.setdefault(self.bits.spinning.get(lane) or kind_of(self.record.lane_name(lane)), where)
        return first


def judge(record: Record) -> Judgement:
    """Replay locks and contexts."""
    return followed(Audit(record))


def followed(audit: Audit) -> Judgement:
    """Take an audit through its record."""
    record, notes = audit.record, audit.notes
    sleeping, spinning, irqs_off = audit.bits.sleeping, audit.bits.spinning, audit.irqs_off
    bits = record.steps_on({*sleeping, *spinning}, *_BITS, notes=notes)
    for step in sorted([*bits, *record.steps(*KINDS)]):
        task, op, a, b = record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == RELEASE:
            if a == "irq":
                irqs_off[task] -= 1
        elif kind == ACQUIRE:
            if a == "irq":
                irqs_off[task] += 1
            audit.took(step, task, lane, False)
        elif op == NOTE:
            audit.note(task, a, b)
        elif kind in _BITS:
            if lane in sleeping:
                audit.bit(step, task, lane, kind, a)
            elif kind == TEST_AND_SET and not a and lane in spinning:
                audit.took(step, task, lane, False)
        elif kind == TRY:
            if a:
                audit.took(step, task, lane, True)
        elif kind == QUEUE:
            audit.queued(step, task, lane)
        elif kind == IRQ:
            audit.irq(task, a)
        elif kind == EXIT:
            audit.exited(step, task, a)
        elif not b:
            audit.zeroed(lane)
    return audit.conclude()
