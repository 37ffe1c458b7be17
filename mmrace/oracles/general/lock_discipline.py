"""Lock discipline: who may release a lock, in which context it may be taken, and what ASYNC must never wait
for.

Rules: what the runtime caught at
the op (sleep in atomic context, release by a stranger); a lock held at a task's exit or at rest; a spinlock
taken in irq context and elsewhere with irqs on; a sleeping bit lock cleared by a task that neither took it
nor completes its I/O; an ASYNC migration that queues for PG_locked, BH_Lock or PG_writeback.

Irq safety is judged by class of lock, as lockdep does: a trylock in irq context cannot hang and does not
count, one with irqs on does.  Invariant: queueing is what counts as waiting, since a sleep that never ended
is not in the record. Not checked: lock order (that is a predictor of its own) and irqs switched on while an
inner lock is held. Source: kernel/lockdep.c, v3.3 (mark_irqflags).
"""

from __future__ import annotations

from collections import defaultdict

from mmrace.oracles.general import violations
from mmrace.oracles.general.judgement import Evidence, Fact, Judgement, kind_of
from mmrace.oracles.protocol.snapshot import snapshots
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.runtime.record import Record

NAME = "lock-discipline"
SLEEPING_BITS = (("Page", "flags", "PG_locked"), ("BufferHead", "b_state", "BH_Lock"))
SPINNING_BITS = ("BH_Uptodate_Lock", "BH_State", "BH_JournalHead")
WAITED_BITS = (*SLEEPING_BITS, ("Page", "flags", "PG_writeback"))
IO = -1  # holder of a lock that was handed to its I/O

_TAS, _STORE = int(Kind.TEST_AND_SET), int(Kind.STORE)
_CLEAR, _TAC = int(Kind.CLEAR), int(Kind.TEST_AND_CLEAR)
_ACQUIRE, _TRY, _RELEASE = int(Kind.ACQUIRE), int(Kind.TRY), int(Kind.RELEASE)
_QUEUE, _EXIT, _IRQ = int(Kind.QUEUE), int(Kind.EXIT), int(Kind.IRQ)
KINDS = (NOTE, _TAS, _CLEAR, _TAC, _STORE, _ACQUIRE, _TRY, _RELEASE, _QUEUE, _EXIT, _IRQ)
NOTES = frozenset({"migrate-begin", "migrate-end", "hand-over"})


class _Audit:
    """Locks and contexts as the events so far left them."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.evidence = Evidence(NAME)
        self.sleeping = {lane for bit in SLEEPING_BITS for lane in record.bit_lane(*bit)}
        self.spinning = {
            lane: f"BufferHead.b_state.{bit}"
            for bit in SPINNING_BITS
            for lane in record.bit_lane("BufferHead", "b_state", bit)
        }
        self.queues = {lane for bit in WAITED_BITS for lane in record.queue_lanes(*bit)}
        self.words = record.lanes("Page", "flags")
        self.page_locks = {owner: lane for lane, owner in record.bit_lane("Page", "flags", "PG_locked").items()}
        self.holder: dict[int, int] = {}  # lane of a sleeping bit lock -> task, or IO
        self.irqs_off: defaultdict[int, int] = defaultdict(int)  # task -> depth
        self.in_irq: set[int] = set()
        self.taken_in_irq: dict[int, tuple[int, int]] = {}  # lane of a spinlock -> (step, task)
        self.taken_irqs_on: dict[int, tuple[int, int]] = {}
        self.is_async: dict[int, str] = {}  # task -> page that it migrates
        self.strangers: list[tuple[int, int, int, int]] = []  # step, task, lane, holder
        self.checked = 0

    # -- ops -------------------------------------------------------------------------------------------------

    def bit(self, step: int, task: int, lane: int, kind: int, old: bool) -> None:
        """A sleeping bit lock is taken or released."""
        self.checked += 1
        if kind == _TAS:
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
        if lane in self.queues and task in self.is_async:
            what = self.record.lane_name(lane).removesuffix(".queue")
            who = self.record.task_name(task)
            text = f"MIGRATE_ASYNC of {self.is_async[task]} waits for {what} ({who})"
            self.evidence.add("ASYNC waits", text, (what, who), object=what, task=who, step=step)

    def exited(self, step: int, task: int, held: object) -> None:
        who = self.record.task_name(task)
        names = [str(name) for name in held] if isinstance(held, tuple | list) else []
        names += [self.record.lane_name(lane) for lane, holder in self.holder.items() if holder == task]
        for name in names:
            self.evidence.add(
                "held at exit", f"{who} ends holding {name}", (name, who), object=name, task=who, step=step
            )

    def note(self, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "migrate-begin":
            if facts[1] == "MIGRATE_ASYNC":
                self.is_async[task] = str(self.record.name(facts[0]))
        elif kind == "migrate-end":
            self.is_async.pop(task, None)
        elif isinstance(facts[0], int):
            self.holder[facts[0]] = IO

    def cleared(self, word: int) -> None:
        """A plain store of 0 to a page's flag word drops its PG_locked."""
        self.holder.pop(self.page_locks.get(self.words.get(word, ""), -1), None)

    # -- the end ---------------------------------------------------------------------------------------------

    def conclude(self) -> Judgement:
        """Judge what takes the whole run to see."""
        self.report_strangers()
        self.report_irq_unsafe()
        for snap in snapshots(self.record):
            bits = [f"{page.name}.flags.PG_locked" for page in snap.pages.values() if "PG_locked" in page.flags]
            bits += [f"{bh.name}.b_state.BH_Lock" for bh in snap.buffers.values() if "Lock" in bh.state]
            self.checked += snap.nr_pages + len(snap.buffers)
            for name in (*snap.locks_held, *bits):
                text = f"{name} is held with everybody done ({snap.label})"
                self.evidence.add("held at rest", text, (name,), object=name, when=snap.label)
        return self.evidence.judgement(self.checked)

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
            first.setdefault(self.spinning.get(lane) or kind_of(self.record.lane_name(lane)), where)
        return first


def judge(record: Record) -> Judgement:
    """Replay locks, contexts and asynchronous migrations."""
    audit = _Audit(record)
    sleeping, spinning, irqs_off = audit.sleeping, audit.spinning, audit.irqs_off
    for step in record.steps(*KINDS):
        task, op, a, b = record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == _RELEASE:
            if a == "irq":
                irqs_off[task] -= 1
        elif kind == _ACQUIRE:
            if a == "irq":
                irqs_off[task] += 1
            audit.took(step, task, lane, False)
        elif op == NOTE:
            if a in NOTES:
                audit.note(task, a, b)
        elif kind in (_TAS, _CLEAR, _TAC):
            if lane in sleeping:
                audit.bit(step, task, lane, kind, a)
            elif kind == _TAS and not a and lane in spinning:
                audit.took(step, task, lane, False)
        elif kind == _TRY:
            if a:
                audit.took(step, task, lane, True)
        elif kind == _QUEUE:
            audit.queued(step, task, lane)
        elif kind == _IRQ:
            audit.irq(task, a)
        elif kind == _EXIT:
            audit.exited(step, task, a)
        elif not b:
            audit.cleared(lane)
    return audit.conclude()
