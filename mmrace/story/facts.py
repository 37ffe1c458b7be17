"""What a story consists of: plain facts, ready to be printed by whoever prints them (`report/story.py`).

Invariant: every step is that of an event of the record, every name one that the record has; nothing here is a guess
without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is involved: what it was, what it became, by whom and when."""

    what: str
    old: str
    new: str
    step: int
    task: str


@dataclass(frozen=True, slots=True)
class Side:
    """One access of a race."""

    task: str
    deed: str
    step: int
    where: str
    locks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Who waits for what.  `holder`: who has it ("" if nobody has), `taken`: the step at which it was taken."""

    task: str
    wants: str
    where: str = ""
    holder: str = ""
    taken: int | None = None
    taken_where: str = ""
    holds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a predicted ring, in forward order: while it holds one thing, a task asks for the next."""

    task: str
    held: str
    held_step: int
    held_where: str
    wanted: str
    step: int
    where: str


@dataclass(frozen=True, slots=True)
class Ghost:
    """A row that is not in the record: what would have had to be otherwise.  `after`: below the row of this step."""

    task: str
    text: str
    after: int


@dataclass(frozen=True, slots=True)
class State:
    """An object as it was just before a step.  `lines`: (what, value)."""

    name: str
    step: int
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Protection:
    """What keeps the race away where the program is correct.  `ref`: its number, if it has one."""

    ref: str
    text: str
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    `step`: None of a ghost.  `call`: the functions around it.  `why`: what it has to do with the finding.  `held`: the
    locks that each task holds after it, of those that are shown.  `takes`, `drops`: the lock that it is about, if it is
    one; `dropped`: who had held that.  `since`: what it holds already, where no row has taken it.  `leaves`: why its
    task does not go on after it.  `times`, `until`: how many alike it stands for, and the last one's step.  `causal`:
    number of the causal ordering that it is an end of, with "<" (first) or ">".
    """

    step: int | None
    task: str
    text: str
    call: str = ""
    why: str = ""
    named: bool = False
    held: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    takes: int | None = None
    drops: int | None = None
    dropped: str = ""
    since: tuple[str, ...] = ()
    leaves: str = ""
    times: int = 1
    until: int | None = None
    causal: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, one a task, and rows in the order of the record.

    `events`: of the whole record.  `aside`: tasks that only say something: where there is no room for all columns, what
    they say may stand across the others.
    """

    tasks: tuple[str, ...]
    rows: tuple[Row, ...]
    events: int
    aside: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Telling:
    """What a teller makes of a finding: the part of a story that depends on the rule that was broken.

    `anchors`: step -> what it has to do with the finding; they are rows in any case.  `objects`: names of those whose
    state is shown, as of step `moment`.  `habit`: what others do who touch the same field, for the end of the cause
    unless somebody knows better.  `gap`: why nothing orders the two sides of a race.  `progress`: who got where last,
    of a wake-up that was lost.
    """

    cause: str
    habit: str = ""
    expected: str = ""
    seen: str = ""
    changes: tuple[Change, ...] = ()
    anchors: Mapping[int, str] = field(default_factory=dict)
    ghosts: tuple[Ghost, ...] = ()
    protects: tuple[Protection, ...] = ()
    objects: tuple[str, ...] = ()
    moment: int = 0
    waits: tuple[Wait, ...] = ()
    sides: tuple[Side, ...] = ()
    gap: str = ""
    links: tuple[Link, ...] = ()
    progress: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ordering:
    """Two steps whose order makes the failure: swap them, and it is gone, in `fails` of `of` runs it is not.

    Attributes: others: runs in which something else fails instead.
    """

    number: int
    first: str
    second: str
    about: str
    fails: int
    of: int
    proved: bool
    others: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """All that is told of one finding of one record.

    `orderings`: up to the finding; `afterwards`: how many more are known, whose later side follows it.  `proof`: None
    until there is one.
    """

    title: str
    signature: str
    oracle: str
    rule: str
    known: str
    telling: Telling
    table: Table
    states: tuple[State, ...] = ()
    orderings: tuple[Ordering, ...] = ()
    afterwards: int = 0
    others: tuple[str, ...] = ()
    proof: None = None
