"""Which steps of a run commute: the dependence relation that partial-order reduction and class counts stand on.

A step is one op with all that it did before the next point: its side effects on CPUs, the memory it freed, the notes
that an oracle compares across tasks.  Its *footprint* is a list of (lane, mode); two steps of different tasks are
dependent if they meet on a lane in modes that do not commute.  The mode is judged by the outcome, as it is known from
the run: a try that failed, a bit set twice, a wake that woke nobody read and do not write.  That is sound for steps
that were executed (with equal outcomes they commute), and for a sleeping step too, whose outcome stands as long as
nothing dependent was executed.

Lanes are op lanes; below 0 are pseudo lanes (CPUs' preemption, notes), kept by `Footprints`.
Source: Abdulla et al., Optimal dynamic partial order reduction, POPL 2014 (dependence in context).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from mmrace.runtime import tables
from mmrace.runtime.flags import UNLOCK
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.strategy import SteeredRun
from mmrace.runtime.struct import Struct
from mmrace.runtime.task import Cpu, Task
from mmrace.runtime.watch import part_at, word_at

READ, WRITE = 0, 1
MODES = {tables.READ: READ, tables.WRITE: WRITE}
COUNT_UP = 2  # a get or an addition: commutes with its like, for nobody looks at the value; so does an untested put
LINE_UP = 3  # a non-exclusive sleeper queues, or leaves: commutes with its like
TOUCH = 4  # any op of a task of a CPU, as far as others may keep the CPU from it
TAKE = 5  # a lock that its op waits for was taken
DROP = 6  # and released
GRAB = 7  # taken by a try, which waits for nothing
BIRTH = 8  # a daemon spawned a task that is waited for
ALONE = 9  # somebody looked whether such tasks live, or waits until none does

END_LANE = -999
"""Where steps of daemons meet the step after which they come too late."""

Footprint = list[tuple[int, int]]

ALIVE_LANE = -998
"""Where a task that looks whether others live meets the births of tasks that daemons spawn."""

BROKEN_LANE = -997
"""Where the step that ends a run by a broken rule or an exception meets those of all others, if that is asked for."""

SELF_COMMUTING = (True, False, True, True, True, False, False, False, True, True)

LANE_NOTES = frozenset({"rename", "retire", "hand-over"})
"""Notes that change what the oracles, or the ghost owner of a lock, make of one lane: (lane, ...)."""

_POINTED_LANES = -1_000_000
"""Downwards, by an object's first lane.  A judge may ask for bits of an object when a pointer to it is written
(`Tables.pointed`): an order of two lanes that a verdict depends on.  Both meet on a pseudo lane of the object."""
_NAME_LANES = -2_000  # of references by name, shared with those of notes


def commute(a: int, b: int) -> bool:
    """Say whether two modes on one lane commute."""
    return a == b and SELF_COMMUTING[a]


def independent(one: Footprint, other: Footprint) -> bool:
    """Say whether two footprints meet nowhere in modes that do not commute."""
    for lane, mode in one:
        for lane_, mode_ in other:
            if lane == lane_ and not (mode == mode_ and SELF_COMMUTING[mode]):
                return False
    return True


def _by_a(a: Any, b: Any) -> int:
    return WRITE if a else READ


def _by_not_a(a: Any, b: Any) -> int:
    return READ if a else WRITE


def _grabs(a: Any, b: Any) -> int:
    return GRAB if a else READ


def _grabs_bit(a: Any, b: Any) -> int:
    return READ if a else GRAB


def _by_b(a: Any, b: Any) -> int:
    return WRITE if b else READ


_FIXED: dict[int, int] = {
    Kind.READ: READ, Kind.TEST: READ, Kind.COUNT: READ,
    Kind.WRITE: WRITE, Kind.PUT: WRITE, Kind.UNFREEZE: WRITE,
    Kind.GET: COUNT_UP, Kind.ADD: COUNT_UP, Kind.DEQUEUE: LINE_UP, Kind.ACQUIRE: TAKE, Kind.RELEASE: DROP,
}  # fmt: skip
_BY_OUTCOME = {
    Kind.SET: _by_not_a, Kind.TEST_AND_SET: _grabs_bit, Kind.CLEAR: _by_a, Kind.TEST_AND_CLEAR: _by_a,
    Kind.TRY: _grabs, Kind.GET_UNLESS_ZERO: _by_b, Kind.FREEZE: _by_b, Kind.WAKE: _by_a,
}  # fmt: skip
_mode_of: list[Any] = [None] * (KIND_MASK + 1)
for _kind, _mode in _FIXED.items():
    _mode_of[_kind] = _mode
for _kind, _rule in _BY_OUTCOME.items():
    _mode_of[_kind] = _rule


def mode_of(kind: int, a: Any, b: Any) -> int | None:
    """Return the mode of an op that was done on its own lane, by its outcome; None if it meets others elsewhere."""
    mode = _mode_of[kind]
    found: int | None = mode(a, b) if callable(mode) else mode
    return found


BIT_CHANGES = frozenset({Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR})


class Footprints:
    """Makes footprints of the steps of one run, and watches what its events do not tell.

    Args: engine: of the run; it is told to report side effects.  contended: numbers of the CPUs whose exclusion
    matters: an interrupt comes where tasks live, or several tasks do; `crowded` says which these are.  notes: the lanes
    given to notes, which a search keeps from run to run.
    """

    def __init__(self, engine: SteeredRun, contended: frozenset[int], notes: dict[tuple[Any, Any], int]) -> None:
        self.engine = engine
        self.contended = contended
        self.notes = notes
        self.irqs: set[int] = set()
        """Numbers of the CPUs on which an interrupt came."""
        self.effects: dict[int, Footprint] = {}
        self.left: list[tuple[int, int, Footprint]] = []
        """When the run stopped: who had not ended, which op each was about to do, and what that would meet."""
        self._held: dict[tuple[int, str], bool] = {}
        self._untested: dict[int, bool] = {}
        self._pointed = engine.tables.pointed
        self._compared = {kind: MODES[mode] for kind, mode in engine.tables.compared.items()}
        self._bits: dict[int, int] = {}  # lane of a bit -> pseudo lane of its object, 0: no judge asks for it
        engine.observer = self

    # -- told by the engine, inside an op ----------------------------------------------------------------------------

    def cpu_changed(self, cpu: Cpu) -> None:
        """A CPU began, or ceased, to keep interrupts or its other tasks away."""
        number = cpu.id
        if cpu.irq_task is not None:
            self.irqs.add(number)
        for what, held, lane in (
            ("irq", cpu.busy, cpu.code >> SHIFT),
            ("preempt", cpu.preempt_owner is not None, -1 - number),
        ):
            if held != self._held.get((number, what), False):
                self._held[number, what] = held
                if number in self.contended or what == "irq":
                    self._effect(lane, TAKE if held else DROP)

    def retried(self, lanes: Iterable[int]) -> None:
        """A turn repeats because of a change of one of these lanes."""
        for lane in lanes:
            self._effect(lane, READ)

    def peeked(self, obj: Struct, field: str) -> None:
        """The model looked at a plain field without an op; who explains a standstill, when nobody can go on, may."""
        if not self.engine.order_fixed and self.engine.enabled:
            for key, first, _, part in type(obj).plan:
                if key == field and part is None:
                    self._effect(obj.base + first, READ)

    def freed(self, obj: Struct, keep: tuple[str, ...]) -> None:
        """The memory of an object was given back, but for the fields in `keep`."""
        if not self.engine.order_fixed:
            self._overwritten(obj, keep)

    def _overwritten(self, obj: Struct, keep: tuple[str, ...]) -> None:
        cls = type(obj)
        for key, first, count, part in cls.plan:
            if key not in keep:
                for i in range(count):
                    if part is None or not part.outlives(i):
                        self._effect(obj.base + first + i, WRITE)
        if cls.sized_part is not None and cls.sized_part[0] not in keep:
            for i in range(obj.size):
                self._effect(obj.base + cls.fixed_lanes + i, WRITE)

    def counted(self) -> None:
        """A task looked whether any other lives that the run waits for."""
        self._effect(ALIVE_LANE, ALONE)

    def stopped(self) -> None:
        """The run is over; who did not end is about to be unwound."""
        self.left = [(task.id, task.pending, self.pending(task)) for task in self.engine.tasks if not task.done]
        detail = self.engine.end["detail"]
        if detail.get("oracle") == "use-after-free":
            self._misused(detail["facts"].get("object"))

    def _misused(self, name: object) -> None:
        """A use of freed memory ends the run before its op is an event: make it meet all ops on that memory."""
        for _, obj in self.engine.objects:
            if isinstance(obj, Struct) and obj.name == name:
                self._overwritten(obj, ())

    def _effect(self, lane: int, mode: int) -> None:
        self.effects.setdefault(self.engine.step, []).append((lane, mode))

    # -- footprints ---------------------------------------------------------------------------------------------------

    def of(self, event: tuple[Any, ...], step: int, gated: bool) -> Footprint:
        """Return the footprint of an op without its notes.  Args: gated: its op could be disabled."""
        number, op, a, b = event
        kind = op & KIND_MASK
        lane = op >> SHIFT
        mode = _mode_of[kind]
        made: Footprint
        if mode is None:
            made = self._special(kind, lane, a)
        else:
            if mode.__class__ is not int:
                mode = mode(a, b)
                if gated and kind == Kind.TEST_AND_SET:
                    mode = TAKE
                elif kind == Kind.CLEAR and b == UNLOCK:
                    mode = DROP
            elif kind in (Kind.PUT, Kind.GET) and self.untested(lane):
                made = [(lane, COUNT_UP), self._named(lane, a, kind)]
                mode = None
            if mode is not None:
                made = [(lane, mode)]
            if kind == Kind.WRITE:
                self._pointer(made, a, b)
            elif kind in BIT_CHANGES and mode != READ:
                owner = self._bits.get(lane)
                if owner is None:
                    owner = self._bits[lane] = self._owner_of(lane)
                if owner:
                    made.append((owner, LINE_UP))
        effects = self.effects.get(step)
        if effects:
            made = made + effects
        if self.contended:
            self._touch(self.engine.tasks[number], made, kind == Kind.EXIT)
        return made

    def pending(self, task: Task) -> Footprint:
        """Return the footprint of an op that was announced and not done, judged by its worst outcome."""
        op = task.pending
        kind, lane = op & KIND_MASK, op >> SHIFT
        mode = _mode_of[kind]
        if kind == Kind.PUT and self.untested(lane):
            mode = COUNT_UP
        made: Footprint
        if task.gate is not None and kind in (Kind.TEST_AND_SET, Kind.IRQ):
            made = [(lane, TAKE)]
        elif kind == Kind.QUEUE:
            made = [(lane, WRITE)]
        elif kind == Kind.JOIN:
            made = [(ALIVE_LANE, ALONE)]  # a join of one task too: at most that tries an order for nothing
        elif mode is None:
            made = self._special(kind, lane, None)
        else:
            made = [(lane, mode if mode.__class__ is int else WRITE)]
        if self.contended:
            self._touch(task, made)
        return made

    def _named(self, lane: int, name: object, kind: int) -> tuple[int, int]:
        """A put of a reference that another task takes only later is one that nobody holds: the ledger tells."""
        key = (lane, name)
        found = self.notes.get(key)
        if found is None:
            found = self.notes[key] = _NAME_LANES - len(self.notes)
        return found, COUNT_UP if kind == Kind.GET else LINE_UP

    def _pointer(self, made: Footprint, *values: object) -> None:
        """Add that a pointer was written or overwritten, to an object for which a judge then asks for bits."""
        for value in values:
            if isinstance(value, Struct) and type(value).struct_name in self._pointed:
                made.append((_POINTED_LANES - value.base, WRITE))

    def _owner_of(self, lane: int) -> int:
        """Return the pseudo lane of the object whose bit, which a judge asks for, is at `lane`; 0 if none is."""
        objects = self.engine.objects
        base, obj = objects[bisect_right(objects, lane, key=itemgetter(0)) - 1]
        if isinstance(obj, Struct) and (bits := self._pointed.get(type(obj).struct_name)):
            for _, first, count, part in type(obj).plan:
                if first <= lane - base < first + count and part is not None:
                    return _POINTED_LANES - base if part.lane_names(0)[lane - base - first] in bits else 0
        return 0

    def note(self, kind: str, facts: tuple[Any, ...]) -> tuple[int, int] | None:
        """Return what a note adds to the step that it follows."""
        if kind in LANE_NOTES:
            return facts[0], WRITE
        mode = self._compared.get(kind)
        if mode is None:
            return None
        key = (facts[0], facts[1])
        lane = self.notes.get(key)
        if lane is None:
            lane = self.notes[key] = _NAME_LANES - len(self.notes)
        return lane, mode

    def _special(self, kind: int, lane: int, a: Any) -> Footprint:
        if kind == Kind.QUEUE:
            return [(lane, WRITE if a else LINE_UP)]
        if kind == Kind.LOAD or kind == Kind.STORE:
            mode = READ if kind == Kind.LOAD else WRITE
            return [(bit, mode) for bit in self.word(lane)]
        return []

    def word(self, lane: int) -> range:
        """Return the lanes of all bits of the flag word whose own lane is `lane`, itself among them."""
        return word_at(self.engine.objects, lane)

    def untested(self, lane: int) -> bool:
        """Say whether nobody acts on what a put of this count leaves."""
        known = self._untested.get(lane)
        if known is None:
            part, _ = part_at(self.engine.objects, lane)
            known = self._untested[lane] = part is not None and not part.tested
        return known

    def _touch(self, task: Task, made: Footprint, ends: bool = False) -> None:
        """Add that the op needed its CPU, unless it says more of it already.  Args: ends: its task leaves the CPU."""
        cpu = task.home
        if cpu is None or cpu.id not in self.contended:
            return
        if ends and (task.preempt or task.irq_depth):  # no op switches preemption on again: the end does
            made.append((-1 - cpu.id, DROP))
        for lane in (cpu.code >> SHIFT, -1 - cpu.id):
            if not any(lane == lane_ for lane_, _ in made):
                made.append((lane, TOUCH))

    def crowded(self, tasks: Iterable[int]) -> set[int]:
        """Return the CPUs where more than one of these tasks (by id) live, or one and an interrupt came."""
        seen = set(self.irqs)
        crowded: set[int] = set()
        for number in tasks:
            home = self.engine.tasks[number].home
            if home is not None:
                (crowded if home.id in seen else seen).add(home.id)
        return crowded
