"""Slow path: what an allocation tries when no block is free, in the kernel's order, and how it puts off what failed.

Rules, of compaction.  Asking: who compacts for an allocation asked whether that is put off, and it was not.  Who
reclaims for an order above 0 asked first, and compacted unless it was put off, or may not be done from there; where the
era says so, who must not disturb does not reclaim when it was.  Looking: a compaction is begun if and only if what was
looked at says that it could help.  Not waiting: the first one of an allocation does not wait.  Remembering: one that
failed puts off the next ones, twice as many as before (since 3.3 only if it could wait); one that succeeded ends that.
Asked for by an administrator, memory is compacted.  Rules, of reclaim: `reclaiming.py` has them.  Giving up: a page
fault falls back to small pages only if it reclaimed, or compaction was put off.
Invariant: all is judged by what the task itself read and wrote, so that races on numbers that take no lock are no
breach.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mmrace.oracles.general.judgement import Evidence, Judgement
from mmrace.oracles.protocol.eras import rules_of
from mmrace.oracles.protocol.reclaiming import FREE, READ_BY_RECLAIM, Reclaim, Wrong
from mmrace.oracles.protocol.suitable import CONTINUE, PARTIAL, SKIPPED, UNSEEN, Look, suitable
from mmrace.runtime.kinds import KIND_MASK, NOTE, READ, SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "slowpath"
NOTES = frozenset({"zone", "vm-event", "compact-begin", "alloc-block", "direct-reclaim", "round"})
COMPACTORS = ("compactor", "rival")
"""Actors of which each round is a compaction that was asked for."""
DEFER_SHIFT_MAX = 6
COSTLY_ORDER = 3
GFP_IO, GFP_FS, GFP_NO_KSWAPD = 0x40, 0x80, 0x400000
"""Bits of a mask: it may start I/O, it may enter a file system; it must not disturb."""
GO, PUT_OFF = "may compact", "compaction is put off"
CONSIDERED, DEFER_SHIFT = "compact_considered", "compact_defer_shift"


@dataclass(slots=True)
class _Call:
    """A call of compaction, of which it is not known yet that one was begun.  `want`: what its looks have to say."""

    asked: str
    looks: list[Look] = field(default_factory=list)
    want: tuple[str, ...] = (SKIPPED,)


@dataclass(slots=True)
class _Failed:
    """A compaction after which there was no block.  `sync`: it could wait; `raised`: the next ones were put off."""

    sync: bool | None
    raised: bool = False


@dataclass(slots=True)
class _Task:
    """What a task is about: since its last block or reclaim, what it was told (`asked`), and whether it `called`."""

    read: dict[str, int] = field(default_factory=dict)
    asked: str = ""
    called: bool = False
    call: _Call | None = None
    told: str = ""  # when it called
    sync: bool | None = None  # of the compaction that was begun since it called
    failed: _Failed | None = None
    forgot: bool = False  # it ended deferral, since its last block
    reclaim: Reclaim | None = None
    reclaimed: bool = False  # since its last block
    compacted: bool = False  # since its last round


class _Audit:
    def __init__(self, record: Record) -> None:
        self.record = record
        self.rules = rules_of(record)
        self.evidence = Evidence(NAME)
        self.numbers = {
            lane: name for name in (CONSIDERED, DEFER_SHIFT, *READ_BY_RECLAIM) for lane in record.lanes("Zone", name)
        }
        self.active_lists = record.lanes("Zone", "active_list")
        self.areas = {lane: int(name.partition(":")[2]) for lane, name in record.lanes("FreeArea", "nr_free").items()}
        self.tasks: dict[int, _Task] = {}
        self.max_order = self.pageblock_order = self.low = self.high = 0
        self.checked = 0

    def add(self, rule: str, text: str, step: int, task: int) -> None:
        who = self.record.task_name(task)
        self.evidence.add(rule, f"{text} ({who})", (who,), task=who, step=step)

    def of(self, task: int) -> _Task:
        found = self.tasks.get(task)
        if found is None:
            found = self.tasks[task] = _Task()
        return found

    # -- numbers ----------

    def read(self, task: int, lane: int, value: object) -> None:
        """A task looked at a number, or at the active list."""
        me, order = self.of(task), self.areas.get(lane, -1)
        if lane in self.active_lists:
            if me.reclaim is not None:
                me.reclaim.went_to_active_list()
            return
        assert isinstance(value, int)
        name = "" if order >= 0 else self.numbers[lane]
        if name in (CONSIDERED, DEFER_SHIFT):
            me.read[name] = value
            return
        if me.call is not None and (order >= 0 or name == FREE):
            me.call.looks.append(Look(order, value))
        if me.reclaim is not None:
            if order >= 0 or name == FREE:
                me.reclaim.looks_for_room(order, value)
            if name:
                me.reclaim.read(name, value)

    def written(self, step: int, task: int, name: str, value: int) -> None:
        """A task wrote a number of deferral: it asked, or put compaction off, or ended that."""
        me = self.of(task)
        if name == CONSIDERED:
            considered = me.read.pop(CONSIDERED, None)
            if considered is not None:
                self.asks(step, task, me, considered, value)
        elif not value:
            me.forgot = True
        else:
            if me.failed is not None:
                me.failed.raised = True
            shift = me.read.get(DEFER_SHIFT, value - 1)
            if value != min(shift + 1, DEFER_SHIFT_MAX):
                self.add("deferral miscounted", f"puts compaction off for 2^{value} times, after 2^{shift}", step, task)

    def asks(self, step: int, task: int, me: _Task, considered: int, value: int) -> None:
        """A task asked whether compaction is put off, and counted that it did."""
        self.checked += 1
        limit = 1 << me.read.get(DEFER_SHIFT, 0)
        if value != min(considered + 1, limit):
            text = f"counts {value} allocations without compaction, after {considered}, of {limit}"
            self.add("deferral miscounted", text, step, task)
        self.remembered(step, task, me)
        me.asked, me.called, me.call = PUT_OFF if value < limit else GO, False, None
        if me.reclaim is not None:
            me.reclaim.is_told(me.asked == PUT_OFF)

    # -- notes ----------

    def note(self, step: int, task: int, kind: str, facts: tuple[object, ...]) -> None:
        if kind == "zone":
            numbers = [number for number in facts if isinstance(number, int)]
            self.max_order, self.pageblock_order, _, self.low, self.high = numbers
            return
        me = self.of(task)
        if kind == "vm-event":
            self.counts(step, task, me, facts)
        elif kind == "compact-begin":
            self.compacts(step, task, me, facts)
        elif kind == "direct-reclaim":
            self.reclaims(step, task, me, facts)
        elif kind == "round":
            self.failed(step, task, me)
            if facts[0] in COMPACTORS:
                self.called(step, task, me, self.pageblock_order, (SKIPPED, PARTIAL))
                if not me.compacted:
                    self.add("asked for in vain", "was to compact memory, and did not", step, task)
                me.compacted = False
        elif not facts[3]:  # not by who frees memory, within his compaction or reclaim
            assert isinstance(facts[1], int)
            self.called(step, task, me, facts[1], (PARTIAL,))
            self.settled(step, task, me)

    def counts(self, step: int, task: int, me: _Task, facts: tuple[object, ...]) -> None:
        """A task counts what it does."""
        event, number = facts
        assert isinstance(number, int)
        if event == "COMPACTSTALL":
            self.remembered(step, task, me)
            if me.reclaim is not None:
                me.reclaim.over = True
            me.call, me.told, me.sync, me.called, me.compacted = _Call(me.asked), me.asked, None, True, True
        elif event == "ALLOCSTALL":
            if me.reclaim is not None:
                me.reclaim.begun = True
        elif event == "PGSTEAL_NORMAL":
            if me.reclaim is not None:
                me.reclaim.stolen += number
        elif event in ("COMPACTFAIL", "COMPACTSUCCESS"):
            self.checked += 1
            if me.told != GO:
                how = f"was told that {PUT_OFF}" if me.told else "did not ask"
                self.add("compacts unasked", f"compacts for an allocation, and {how}", step, task)
            if event == "COMPACTFAIL":
                me.failed = _Failed(me.sync)
                if me.call is not None:
                    me.call.want = (PARTIAL,)
            elif not me.forgot:
                self.add("deferral not ended", "succeeds after a compaction, and does not end deferral", step, task)
            me.forgot = False
        elif event in ("THP_FAULT_ALLOC", "THP_FAULT_FALLBACK"):
            if me.call is not None:
                self.called(step, task, me, self.pageblock_order, me.call.want)
            self.failed(step, task, me)
            excused = me.reclaimed or (self.rules.gives_up and me.asked == PUT_OFF)
            if event == "THP_FAULT_FALLBACK" and not excused:
                text = f"falls back to small pages, and neither reclaimed nor was told that {PUT_OFF}"
                self.add("gives up untried", text, step, task)
            self.settled(step, task, me)

    def compacts(self, step: int, task: int, me: _Task, facts: tuple[object, ...]) -> None:
        """A compaction begins."""
        order, me.sync, me.compacted = facts[0], bool(facts[1]), True
        assert isinstance(order, int)
        call, me.call = me.call, None
        if call is None or order < 0:
            return
        self.checked += 1
        said, looks = suitable(call.looks, order, self.low, self.max_order)
        if said == UNSEEN or looks < len(call.looks):
            self.add("compacts without a look", "compacts, and did not look whether that could help", step, task)
        elif said != CONTINUE:
            why = "there is too little room, or too little to gain" if said == SKIPPED else "a block is free"
            self.add("compacts in vain", f"compacts for blocks of order {order}, though {why}", step, task)
        if me.sync and call.asked and not me.reclaimed:
            self.add("waits at once", "the first compaction of an allocation may wait", step, task)

    def reclaims(self, step: int, task: int, me: _Task, facts: tuple[object, ...]) -> None:
        """A task begins to reclaim for an allocation."""
        order, mask, memalloc = facts
        assert isinstance(order, int) and isinstance(mask, int)
        self.checked += 1
        if me.call is not None:
            self.called(step, task, me, order, me.call.want)
        if order and not memalloc:
            if not me.asked:
                self.add("reclaims first", "reclaims, and did not try to compact", step, task)
            elif me.asked == PUT_OFF and self.rules.gives_up and mask & GFP_NO_KSWAPD:
                self.add("reclaims though put off", f"must not disturb, and reclaims though {PUT_OFF}", step, task)
            elif me.asked == GO and not me.called and mask & GFP_IO and mask & GFP_FS:
                self.add("does not compact", "reclaims, and did not compact though it might", step, task)
        self.settled(step, task, me)
        costly = min(COSTLY_ORDER, self.pageblock_order - 1) if self.max_order else COSTLY_ORDER
        me.reclaim, me.reclaimed = Reclaim(order, mask, costly), True

    # -- what has to have been done by now ----------

    def called(self, step: int, task: int, me: _Task, order: int, want: tuple[str, ...]) -> None:
        """A call of compaction is over; if none was begun, that was because it could not help, or need not."""
        call, me.call = me.call, None
        if call is None:
            return
        said, _ = suitable(call.looks, order, self.low, self.max_order)
        if said not in want:
            text = f"was to compact for blocks of order {order}, and did not, nor saw why not"
            self.add("does not compact", text, step, task)

    def remembered(self, step: int, task: int, me: _Task) -> None:
        """A compaction failed before this: it has put off the next ones, if that is what its era does."""
        failed, me.failed = me.failed, None
        if failed is None:
            return
        defers = True if self.rules.defers_any else failed.sync
        if defers and not failed.raised:
            self.add("deferral forgotten", "a compaction failed, and the next ones are not put off", step, task)
        elif failed.raised and defers is False:
            text = "a compaction that could not wait failed, and the next ones are put off"
            self.add("deferral for too little", text, step, task)

    def settled(self, step: int, task: int, me: _Task) -> None:
        """An allocation got its block, or went on to reclaim, or failed."""
        self.remembered(step, task, me)
        reclaim, me.reclaim = me.reclaim, None
        if reclaim is not None:
            self.broken(step, task, reclaim.wrong(self.rules, self.low, self.high, self.max_order))
        me.asked, me.called, me.reclaimed, me.call = "", False, False, None

    def failed(self, step: int, task: int, me: _Task) -> None:
        """An allocation that reclaimed and got no block by now has failed."""
        if me.reclaim is not None:
            self.broken(step, task, me.reclaim.wrong_if_in_vain())

    def broken(self, step: int, task: int, wrong: Wrong | None) -> None:
        if wrong is not None:
            self.add(*wrong, step, task)


def judge(record: Record) -> Judgement:
    """Follow each task from allocation to allocation."""
    audit = _Audit(record)
    for step in record.steps_on({*audit.numbers, *audit.areas, *audit.active_lists}, READ, WRITE, notes=NOTES):
        task, op, a, b = record.events[step]
        if op == NOTE:
            audit.note(step, task, a, b)
        elif op & KIND_MASK == READ:
            audit.read(task, op >> SHIFT, a)
        elif op >> SHIFT in audit.numbers:
            audit.written(step, task, audit.numbers[op >> SHIFT], b)
    return audit.evidence.judgement(audit.checked)
