"""Classes of interleavings: runs that differ in the order of independent steps only are one class.

A class is known by a number: each step is hashed with its task, its ordinal in the task and the steps that it follows
on each lane; the sum over the steps does not depend on their order.  Steps that commute on a lane form a group there
and all follow the group before.  Hashes that meet are added, never xored: two lanes that were last written by one step
have equal hashes, and those must not cancel out.  Invariant: two runs of one class have the same number; two classes
share one with a chance of 2^-61 or so.  Not here: what a class means; `dependence.py` says what commutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from zlib import crc32

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.strategies.order.dependence import SELF_COMMUTING, WRITE, Footprint, Footprints

_MASK = (1 << 61) - 1


class ClassDigest:
    """Watches one run; ask `value` when it is over.  Args: engine: before its run."""

    def __init__(self, engine: Controlled) -> None:
        self.engine = engine
        self.footprints = Footprints(engine, frozenset(), {})

    def value(self) -> int:
        """Return the number of the run's class, over the explored part."""
        engine = self.engine
        first, last = engine.explored()
        of, note = self.footprints.of, self.footprints.note
        names = [crc32(task.name.encode()) for task in engine.tasks]
        mine = [0] * len(names)
        past: dict[int, list[int]] = {}  # lane -> [mode of the last group, hash before it, hash of it]
        total = 0
        step = number = -1
        chose = 0
        footprint: Footprint | None = None  # of the step that goes on; None outside the explored part
        for event in engine.events:
            if event[1] == NOTE:
                noted = note(event[2], event[3]) if footprint is not None else None
                if footprint is not None and noted is not None:
                    footprint.append(noted)
                continue
            if footprint is not None:
                total += self._step(number, footprint, chose, names, mine, past)
            step += 1
            footprint = None
            if first <= step < last:
                number = event[0]
                chose = event[3] if event[1] & KIND_MASK == Kind.CHOOSE else 0
                footprint = of(event, step, False)  # a lock that was waited for is a write like any other
        if footprint is not None:
            total += self._step(number, footprint, chose, names, mine, past)
        return total & _MASK

    @staticmethod
    def _step(
        number: int, footprint: Footprint, chose: int, names: list[int], mine: list[int], past: dict[int, list[int]]
    ) -> int:
        seen = 0
        groups = []
        for lane, mode in footprint if len(footprint) < 2 else _strongest(footprint):
            group = past.get(lane)
            if group is None:
                group = past[lane] = [mode, 0, 0]
            elif group[0] != mode or not SELF_COMMUTING[mode]:
                group[0] = mode
                group[1] = hash((group[1], group[2]))
                group[2] = 0
            seen += group[1]
            groups.append(group)
        mine[number] = value = hash((names[number], mine[number], seen, chose))
        for group in groups:
            group[2] += value
        return value


def _strongest(footprint: Footprint) -> Iterable[tuple[int, int]]:
    """Return one mode for each lane; a step that meets a lane in several modes commutes with nothing there."""
    modes: dict[int, int] = {}
    for lane, mode in footprint:
        modes[lane] = mode if modes.get(lane, mode) == mode else WRITE
    return modes.items()


class Classes:
    """Counts classes over runs: how many, how fast they grow, what is likely unseen."""

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.runs = 0
        self.growth: list[tuple[int, int]] = []
        """(runs, distinct classes) at powers of two."""

    def add(self, digest: int) -> None:
        """Count one run."""
        self.seen[digest] += 1
        self.runs += 1
        if self.runs & (self.runs - 1) == 0:
            self.growth.append((self.runs, len(self.seen)))

    @property
    def distinct(self) -> int:
        """How many different classes were met."""
        return len(self.seen)

    def once(self) -> int:
        """How many classes were met exactly once."""
        return sum(times == 1 for times in self.seen.values())

    def unseen_mass(self) -> float:
        """Estimate the chance that the next run shows a new class (Good and Turing)."""
        return self.once() / self.runs if self.runs else 1.0

    def total_estimate(self) -> float:
        """Estimate, from below, how many classes there are (Chao 1984, bias-corrected)."""
        once = self.once()
        twice = sum(times == 2 for times in self.seen.values())
        return self.distinct + once * (once - 1) / (2 * (twice + 1))
