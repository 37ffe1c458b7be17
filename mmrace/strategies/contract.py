"""What a way of choosing schedules is, whatever it chooses by; and what it says of itself in the registry.

A `Sampler` draws each schedule afresh: schedule i is a function of (seed, i, profile) alone, so that any worker can
make it.  A `Systematic` search walks a tree: each schedule depends on what the ones before it did.  Both hand out a
`Strategy` (`runtime/strategy.py`) for one run; it sees pending ops and tasks, never the model.  A `Mix` and an
`OuterLoop` stand around samplers.

Randomness reaches a strategy only as `draw`, a function that returns floats in [0, 1): whoever owns the stream can
record it, mutate it and play it again (`feedback.py` does).  Invariant: the same draws give the same schedule.

A strategy's file ends with ``STRATEGY = Registered(...)``; `registry.py` finds it by that name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from mmrace.runtime.strategy import BaseStrategy, Strategy
from mmrace.runtime.task import Task

if TYPE_CHECKING:
    from mmrace.runtime.controlled import Controlled

Draw = Callable[[], float]
"""Returns the next number of a stream, 0 <= x < 1."""
Options = Mapping[str, int | str]
"""Options of a strategy by name; complete, unless said otherwise."""


class Drawing(BaseStrategy):
    """Defaults of a strategy that draws.  Args: draw: the stream of the run."""

    __slots__ = ("_draw",)

    def __init__(self, draw: Draw) -> None:
        self._draw = draw

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return a value in range(n), each with equal chances."""
        return int(self._draw() * n)


# -- samplers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaneUse:
    """How one lane was used inside the explored part of a profiled run, by accesses that could come in another order.

    `by_task`: accesses of each task.  `forced`: mask of the kinds that come when they must, and are not counted.
    """

    tasks: tuple[str, ...]
    accesses: int
    writes: int
    by_task: Mapping[str, int]
    forced: int = 0


@dataclass(frozen=True, slots=True)
class Profile:
    """What profiled runs did inside their explored part; tasks by name (that is, by creation path).

    Only ops at which a strategy is asked are counted: `choose` is not, nor a plain access that is no switch point.

    Attributes: ops: task -> ops that it did.  parents: task -> its spawner, for tasks spawned inside the explored
    part only.  points: ops beside which another task could have come, of the run that has most; those of a task's life
    (`OF_LIFE`) are none.  lanes: lane (op code >> SHIFT) -> its use, where two tasks could come in either order.
    digest: hash of all of this, kept in the header of every record whose strategy used it.
    """

    ops: Mapping[str, int]
    parents: Mapping[str, str]
    points: int
    lanes: Mapping[int, LaneUse]
    digest: str


class Sampler(Protocol):
    """Draws schedules."""

    @property
    def profiled(self) -> bool:
        """Whether `strategy` needs a profile."""

    def strategy(self, draw: Draw, profile: Profile | None) -> Strategy:
        """Return the strategy of one run."""


class Unprofiled:
    """A sampler that needs no profile.  Args: make: draw -> the strategy of one run, such as its class."""

    profiled = False

    def __init__(self, make: Callable[[Draw], Strategy]) -> None:
        self._make = make

    def strategy(self, draw: Draw, profile: Profile | None) -> Strategy:
        """Return the strategy of one run."""
        return self._make(draw)


class Profiled:
    """A sampler that weighs by a profile.  Args: make: draw, profile -> the strategy of one run, such as its class."""

    profiled = True

    def __init__(self, make: Callable[[Draw, Profile], Strategy]) -> None:
        self._make = make

    def strategy(self, draw: Draw, profile: Profile | None) -> Strategy:
        """Return the strategy of one run."""
        assert profile is not None
        return self._make(draw, profile)


# -- searches -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a systematic search got.

    Attributes: exhausted: the tree is done at every bound.  new: the last run counts; False: it repeated another one.
    bound: of an iterative search, the bound that it walks.  restarts: how often the search began again from the start.
    reduced: each run that counts is a class of its own.
    """

    exhausted: bool
    new: bool = True
    bound: int | None = None
    restarts: int = 0
    reduced: bool = False


class Systematic(Protocol):
    """Walks a tree of schedules, one after the other.

    A run that ended as "abandoned" does not count: the search ended it.
    """

    def next(self) -> Strategy | None:
        """Return the strategy of the next run; None when the tree is exhausted."""

    def learn(self, engine: Controlled) -> None:
        """Take in the run that followed the last strategy, whatever way it ended."""

    def standing(self) -> Standing:
        """Say how far the search got."""


# -- around samplers, and all of them by name -----------------------------------------------------------------------


class Mix(Protocol):
    """Has each schedule made by another strategy."""

    def member(self, index: int) -> str:
        """Return the text of the strategy of schedule `index` (>= 0)."""


class OuterLoop(Protocol):
    """Makes the draws of a sampler's next schedules from what its earlier ones showed."""

    @property
    def base(self) -> str:
        """Text of the sampler."""


Kind = Literal["mix", "loop", "sampler", "walk"]
"""What a strategy is to `--strategy`: a `Mix`, an `OuterLoop` (feedback only), a `Sampler` or a `Systematic`."""


@dataclass(frozen=True)
class Registered:
    """A strategy as the registry has it.

    Args: name: as in `--strategy`.  title: a line for lists.  make: options (complete) -> what `kind` says; raises
    UsageError for options that make no sense.  options: their defaults; an int default makes an option a number.
    """

    name: str
    title: str
    make: Callable[[Options], Sampler | Systematic | Mix | OuterLoop]
    options: Options = field(default_factory=dict)
    kind: Kind = "sampler"
