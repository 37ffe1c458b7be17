"""What a program says of its own names: which reads may race, which bits are locks, which notes mean what.

Strategies and judges know ops, locks and counts, but no program.  What they need to know of one comes with it as data,
and travels in the header of each record.  A field is named "Class.field", a bit "Class.field.BIT", as lanes are.
Invariant: plain data, so that what was written is what is read.  Not checked: whether the names exist; a name that no
run uses says nothing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import msgspec

from mmrace.runtime.errors import UsageError

Names: TypeAlias = tuple[str, ...]
Plain: TypeAlias = dict[str, dict[str, str | list[str]] | list[str]]
"""Tables as JSON: a list for names, an object for what maps them."""

READ, WRITE = "read", "write"
SCHEMA_2 = Path(__file__).parent / "schema" / "tables-2.json"
"""The table of the time of schemas 1 and 2, whose records carry none."""


@dataclass(frozen=True, slots=True)
class Tables:
    """One program's tables, empty by default.

    Attributes:
        benign: field -> why its reads may race with writes.  What structs declare is added for each run.
        racy: fields whose writes may race as well, with each other: whichever comes last will do.
        published: fields whose write is a release and whose read an acquire; reads of them may race.
        sleeping_locks, spinning_locks: bits that are locks, beside those that were seen to be waited for.
        transient: names of references that nobody may hold at rest.
        lasting: names of the only references that may be held at rest, beside those of nobody's making; empty: any may.
        foreign: names of references that a freezer cannot account for when another task took them.
        allocates, frees: kinds of notes; their first fact is an object that begins a new life, or is given back.
        progress: kinds of notes of tasks that got something done, beside "round".
        compared: kind of a note -> `READ` or `WRITE`: judges compare its order across tasks, by its first two facts.
        pointed: struct -> bits of it that a judge asks for at the moment when a pointer to it is written.
        subjects: facts of a violation that name what it concerns, beside "object" and "task".
    """

    benign: Mapping[str, str] = field(default_factory=dict)
    racy: Names = ()
    published: Names = ()
    sleeping_locks: Names = ()
    spinning_locks: Names = ()
    transient: Names = ()
    lasting: Names = ()
    foreign: Names = ()
    allocates: Names = ()
    frees: Names = ()
    progress: Names = ()
    compared: Mapping[str, str] = field(default_factory=dict)
    pointed: Mapping[str, Names] = field(default_factory=dict)
    subjects: Names = ()

    def __post_init__(self) -> None:
        """Raise UsageError for the name of a field or a bit that is none."""
        bits = (*self.sleeping_locks, *self.spinning_locks)
        for names, form in ((*self.benign, *self.racy, *self.published), "Class.field"), (bits, "Class.field.BIT"):
            for name in names:
                if name.count(".") != form.count("."):
                    raise UsageError(expected=f"a name like {form}", got=name, where="tables of the program")

    def plain(self) -> Plain:
        """Return them as JSON values."""
        return {row.name: _plain(getattr(self, row.name)) for row in dataclasses.fields(self)}

    @classmethod
    def of(cls, plain: Mapping[str, object]) -> Tables:
        """Read them from JSON values; what is missing is empty, what is unknown is left out.

        Raises TypeError for a value of another shape.
        """
        try:
            return msgspec.convert(plain, cls, str_keys=True)
        except msgspec.ValidationError as error:
            raise TypeError(str(error)) from error

    def with_benign(self, benign: Mapping[str, str]) -> Tables:
        """Return them with further reads that may race."""
        return dataclasses.replace(self, benign={**self.benign, **benign})


EMPTY = Tables()


@lru_cache(1)
def of_schema_2() -> Tables:
    """Return the table of the time of schemas 1 and 2."""
    return Tables.of(json.loads(SCHEMA_2.read_text(encoding="utf-8")))


def _plain(value: Mapping[str, str | Names] | Names) -> dict[str, str | list[str]] | list[str]:
    if isinstance(value, tuple):
        return list(value)
    return {key: part if isinstance(part, str) else list(part) for key, part in sorted(value.items())}
