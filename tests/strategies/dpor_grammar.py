"""A grammar of tiny programs: all sentences of few words, each searched by DPOR and enumerated.

A sentence is two tasks and perhaps a daemon; what each does is a word, a sequence of deeds of one alphabet.  All words
up to a length are made, and all pairs of them with each daemon: nothing is drawn.  Sentences with more schedules than a
limit are counted as large, and of those it is only asked that DPOR misses nothing of what the enumeration got to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from itertools import combinations_with_replacement, product
from typing import Any

from mmrace import runtime as rt
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Systematic
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.enumerate import Enumerate
from mmrace.strategies.order.daemons import of_daemon
from tests.strategies.dpor_digests import Digests
from tests.strategies.dpor_programs import AtOnce, Seen, explore
from tests.strategies.open_lock import Room, room

Deed = Callable[[Room], object]
Word = tuple[str, ...]
FRAME = frozenset((Kind.BEGIN, Kind.JOIN, Kind.EXIT))
RUNS_MAX = 20_000  # executions of DPOR; no sentence comes near


@dataclass(frozen=True, slots=True)
class Grammar:
    """An alphabet and how long words get.

    Attributes: daemons: the alphabet of daemons, if it is another.  quick, whole: length of the longest word of a task
    and of the longest of a daemon, in the tests and in the whole table.  cpus: where the two tasks and the daemon live.
    at_once: ops that commute with all that others do, unless a daemon does them; the enumeration need not try them
    later.  irq: the daemon is an interrupt.  classes: they are compared too.  They are not where a child of a daemon
    can make a join of all others look twice: that tells runs apart which DPOR rightly takes for one.
    """

    deeds: dict[str, Deed]
    daemons: dict[str, Deed] = field(default_factory=dict)
    whole: tuple[int, int] = (2, 1)
    quick: tuple[int, int] = (1, 1)
    cpus: tuple[int | None, ...] = (1, 2, 3)
    at_once: frozenset[Kind] = FRAME
    irq: bool = False
    classes: bool = True

    def sentences(self, task: int, daemon: int) -> Iterator[Sentence]:
        """Make all sentences whose words are at most so long."""
        for pair in combinations_with_replacement(self._words(1, task, self.deeds), 2):
            for word in self._words(0, daemon, self.daemons):
                yield Sentence(self, (*pair, word))

    def _words(self, shortest: int, longest: int, deeds: dict[str, Deed]) -> list[Word]:
        return [word for n in range(shortest, longest + 1) for word in product(deeds or self.deeds, repeat=n)]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A program; calling it plays the main task.  The last word is the daemon's, () if there is none."""

    grammar: Grammar
    words: tuple[Word, ...]

    def __str__(self) -> str:
        return " || ".join("; ".join(word) or "no daemon" for word in self.words)

    def __call__(self) -> None:
        """Play."""
        deeds, irq = {**self.grammar.deeds, **self.grammar.daemons}, self.grammar.irq

        def body(b: Room, word: Word, daemon: bool) -> None:
            if irq and daemon:
                rt.irq_enter(1)
            for name in word:
                deeds[name](b)
            if irq and daemon:
                rt.irq_exit()

        with rt.fixed_order():
            b = room()
            b.count.get("base")
            for number, word in enumerate(self.words):
                daemon = number == 2
                if word or not daemon:
                    cpu = self.grammar.cpus[number]
                    rt.spawn(body, b, word, daemon, name=f"t{number}", cpu=cpu, daemon=daemon)
        rt.join_others()


class FrameAtOnce(AtOnce):
    """Does some ops at once; none of daemons and their children, and not the end of main, which may cut off daemons."""

    def __init__(self, inner: Any, kinds: frozenset[Kind]) -> None:
        super().__init__(inner)
        self.kinds = kinds

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return a task that is about to do such an op, else the inner strategy's."""
        for task in enabled:
            kind = task.pending & KIND_MASK
            if kind in self.kinds and not (task.daemon or of_daemon(task)) and (task.id or kind != Kind.EXIT):
                return task
        chosen: Task = self.inner.pick(enabled, running, step)
        return chosen


class Framed:
    """`Enumerate`, with some ops done at once."""

    def __init__(self, kinds: frozenset[Kind]) -> None:
        self.kinds = kinds
        self.walk = Enumerate()
        self.learn = self.walk.learn
        self.standing = self.walk.standing

    def next(self) -> FrameAtOnce | None:
        """Return the strategy of the next run."""
        strategy = self.walk.next()
        return None if strategy is None else FrameAtOnce(strategy, self.kinds)


@dataclass(slots=True)
class Counts:
    """Sums over sentences."""

    programs: int = 0
    standstills: int = 0  # programs that can stand still
    cut: int = 0  # programs that a violation can end
    large: int = 0  # not enumerated to the end
    schedules: int = 0
    outcomes: int = 0
    classes: int = 0
    executions: int = 0
    blocked: int = 0  # executions that were abandoned
    again: int = 0  # executions of a class that had been executed
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: Counts) -> Counts:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self


def searched(main: Sentence, search: Systematic, runs_max: int) -> tuple[Seen, list[int]]:
    """Return what a search saw, and the class of each run but those that a violation ended."""
    digests = Digests()
    seen = explore(main, search, runs_max=runs_max, watch=digests.watch)
    return seen, digests.values()


def compared(main: Sentence, schedules_max: int) -> Counts:
    """Search a sentence and enumerate it, and count."""
    search = Dpor()
    seen, classes = searched(main, search, RUNS_MAX)
    every, all_ = searched(main, Framed(main.grammar.at_once), schedules_max)
    if not main.grammar.classes:
        classes = all_ = []
    repeated = len(classes) - len(set(classes)) if not search.counts.restarts else 0
    counts = Counts(
        programs=1,
        standstills=any(end[0] == "deadlock" for end in seen.ends),
        cut=any(end[0] == "violation" for end in seen.ends),
        large=not every.done,
        schedules=every.runs,
        outcomes=len(seen.outcomes),
        classes=len(set(classes)),
        executions=search.counts.runs,
        blocked=search.counts.blocked,
        again=repeated,
    )
    more = every.done and (seen.outcomes - every.outcomes or set(classes) - set(all_))
    if not seen.done or every.outcomes - seen.outcomes or set(all_) - set(classes) or more:
        counts.wrong.append(str(main))
    return counts
