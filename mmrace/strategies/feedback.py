"""Strategy `feedback`: an outer loop over any sampler that mutates the draws of runs which showed something new.

A run is known by its draws.  What a run showed is a set of fingerprints, one for each lane that two tasks touched:
which tasks, and who came directly after whom.  A run that showed a new fingerprint becomes a parent; its children play
its draws again with a few changed.  Feedback pays where a bug needs a chain of rare orders, each opening the next.

Schedules are made in generations: a `Corpus` is fixed for one, and `grow` makes the next from its results.
Invariant: a schedule is a function of (seed, index, corpus), and a corpus of the results in index order; how many
workers there were, and when they finished, changes nothing.  Not here: how long a generation is (the planner's).

Source: Fray (OOPSLA 2025), FEST mode and its hand-off coverage.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import Annotated, Any, TypeAlias, TypedDict

from msgspec import Meta

from mmrace.runtime import files
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.decoding import Count, converted, decode
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import MIB
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.record import Record
from mmrace.strategies.contract import Options, Registered
from mmrace.strategies.text import WHERE, StrategyText

NAME = "feedback"
CHILDREN = 16  # of a parent in its turn
MUTATIONS = 5  # draws of a child that differ: few enough to keep most of what the parent did
PARENTS_MAX = 1024  # beyond it, parents with most children are dropped, oldest first; what they showed stays known
FINGERPRINT_BYTES = 8
GENERATION = 64  # schedules between two corpora: short enough to follow a chain, long enough for many workers

BYTES_MAX = 256 * MIB  # parents without end of runs without end have more; those of any scenario have a tenth of it
TRY = "explore again: that writes one"

Coverage = frozenset[str]
Drawn: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
"""A number that was drawn."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one run showed: all its draws in order, and its coverage."""

    draws: tuple[float, ...]
    coverage: Coverage


NOTHING = Shown((), frozenset())
"""What a run showed whose worker died: its draws are lost."""


@dataclass(frozen=True, slots=True)
class Parent:
    """A kept run.  `new`: what it was the first to show.  `children`: how many it had."""

    draws: tuple[Drawn, ...]
    new: Coverage
    children: Count = 0


class _File(TypedDict):
    """A corpus as its file has it, all of it."""

    parents: Annotated[tuple[Parent, ...], Meta(max_length=PARENTS_MAX)]
    seen: Coverage
    start: Count


@dataclass(frozen=True)
class Corpus:
    """All that the schedules of a generation depend on.

    Attributes: parents, oldest first.  seen: everything shown so far.  start: index of the generation's first run.
    """

    parents: tuple[Parent, ...] = ()
    seen: Coverage = frozenset()
    start: int = 0

    @cached_property
    def turns(self) -> tuple[int, ...]:
        """Places of the parents in the order of their turns: fewest children first, then newest first."""
        return tuple(sorted(range(len(self.parents)), key=lambda i: (self.parents[i].children, -i)))

    def parent_of(self, index: int) -> int | None:
        """Return the place of the parent of schedule `index`; None while there are no parents."""
        if not self.parents:
            return None
        return self.turns[(index - self.start) // CHILDREN % len(self.turns)]

    def to_json(self) -> dict[str, Any]:
        """Return the corpus as JSON values."""
        parents = [{"draws": list(p.draws), "new": sorted(p.new), "children": p.children} for p in self.parents]
        return {"parents": parents, "seen": sorted(self.seen), "start": self.start}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Corpus:
        """Read what `to_json` returned.  Raises UsageError."""
        return cls(**converted(data, _File, what="a corpus", where=NAME, try_=TRY))

    @cached_property
    def digest(self) -> str:
        """The sha256 of the corpus, kept in the header of every record whose schedule came from it."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


class Tape:
    """A stream that keeps what was drawn from it; calling it draws."""

    __slots__ = ("_next", "drawn")

    def __init__(self, values: Iterator[float]) -> None:
        self._next = values.__next__
        self.drawn: list[float] = []

    def __call__(self) -> float:
        value = self._next()
        self.drawn.append(value)
        return value


def stream(seed: object, index: int, corpus: Corpus) -> Tape:
    """Return the draws of one schedule: a parent's with about `MUTATIONS` changed, then fresh ones; or all fresh."""
    source = random.Random(f"{seed}/feedback/{index}")
    fresh = iter(source.random, None)
    place = corpus.parent_of(index)
    if place is None:
        return Tape(fresh)
    draws = list(corpus.parents[place].draws)
    for _ in range(min(MUTATIONS, len(draws))):
        draws[int(source.random() * len(draws))] = source.random()
    return Tape(chain(draws, fresh))


def grow(corpus: Corpus, results: Iterable[Shown]) -> Corpus:
    """Return the next generation's corpus.

    Args: results: of all schedules start, start + 1, ..., in the order of their index.
    """
    counts = [parent.children for parent in corpus.parents]
    seen = set(corpus.seen)
    kept = []
    index = corpus.start
    for shown in results:
        place = corpus.parent_of(index)
        if place is not None:
            counts[place] += 1
        new = shown.coverage - seen
        if new:
            seen |= new
            kept.append(Parent(shown.draws, new))
        index += 1
    old = [Parent(p.draws, p.new, n) for p, n in zip(corpus.parents, counts, strict=True)]
    return Corpus(_drop_oldest([*old, *kept]), frozenset(seen), index)


def _drop_oldest(parents: list[Parent]) -> tuple[Parent, ...]:
    excess = len(parents) - PARENTS_MAX
    if excess > 0:
        by_turns = sorted(range(len(parents)), key=lambda i: (-parents[i].children, i))
        gone = set(by_turns[:excess])
        parents = [parent for i, parent in enumerate(parents) if i not in gone]
    return tuple(parents)


def fingerprint(
    events: Iterable[tuple[Any, ...]],
    tasks: Sequence[str] | None = None,
    lane_name: Callable[[int], str] = str,
) -> Coverage:
    """Return a run's coverage: one hash for each lane that at least two tasks touched.

    Args: events: (task id, op, a, b) in order; op < 0 is a note.  tasks: names by id, stable where ids are not.
    lane_name: gives a lane a name that is stable over runs.
    """
    last: dict[int, int] = {}
    passed: dict[int, set[tuple[int, int]]] = {}
    for event in events:
        task, op = event[0], event[1]
        if op < 0:
            continue
        lane = op >> SHIFT
        before = last.get(lane)
        if before != task:
            last[lane] = task
            if before is not None:
                passed.setdefault(lane, set()).add((before, task))
    # the tasks of a lane are those of its hand-offs
    name: Callable[[int], str] = str if tasks is None else tasks.__getitem__
    return frozenset(
        _hash(lane_name(lane), sorted((name(a), name(b)) for a, b in handoffs)) for lane, handoffs in passed.items()
    )


def _hash(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=FINGERPRINT_BYTES).hexdigest()


@lru_cache(maxsize=4)
def corpus_of(path: str) -> Corpus:
    """Read a corpus; "" is the empty one.  Raises UsageError."""
    if not path:
        return Corpus()
    content = files.read_whole(path, BYTES_MAX, what="corpus file", try_=TRY)
    return Corpus(**decode(content, _File, what="a corpus", where=path, try_=TRY))


def collect(tape: Tape, engine: Controlled, record: Record) -> Shown:
    """Return what a run showed."""
    names = [task.name for task in engine.tasks]
    return Shown(tuple(tape.drawn), fingerprint(engine.events, names, record.lane_name))


# -- as it was asked for --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Feedback:
    """The options of feedback; an `OuterLoop`.

    Attributes: base: text of the sampler.  generation: schedules between two corpora.  corpus: a file; "" is the empty
    corpus.  index: of one schedule in its exploration.
    """

    base: str = "pos"
    generation: int = GENERATION
    corpus: str = ""
    index: int = 0

    @classmethod
    def of(cls, options: Options) -> Feedback:
        """Read complete options.  Raises UsageError."""
        generation = int(options["generation"])
        if generation < 1:
            try_ = f"{NAME}:generation={GENERATION}"
            raise UsageError(expected="a generation of 1 or more schedules", got=generation, where=WHERE, try_=try_)
        index = int(options["index"])
        if index < 0:
            raise UsageError(expected="an index of 0 or more", got=index, where=WHERE, try_=f"{NAME}:index=0")
        return cls(str(options["base"]), generation, str(options["corpus"]), index)

    @classmethod
    def parse(cls, text: str) -> Feedback:
        """Read the text of a strategy that is known to be feedback.  Raises UsageError."""
        return cls.of(StrategyText.of(text).options(OPTIONS))

    def text(self) -> str:
        """Return the text of one schedule's strategy: what its draws depend on."""
        return f"{NAME}:base={self.base},corpus={self.corpus},index={self.index}"


def is_feedback(text: str) -> bool:
    """Say whether the text of a strategy asks for feedback."""
    return StrategyText.of(text).name == NAME


OPTIONS: Options = asdict(Feedback())
STRATEGY = Registered(
    NAME,
    "the sampler `base`, its draws mutated where a run showed a new hand-off; finds no more than `base` alone",
    Feedback.of,
    OPTIONS,
    kind="loop",
)
