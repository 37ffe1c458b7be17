"""Whether the plain fields that somebody names are there: before a run, of the classes of a program; else by some runs.

A class says its fields when it is declared, which for one inside a function is only when that is run.  Invariant: a
name is refused only if neither a class of the program nor an object of `RUNS` walks has it.  Not checked: whether the
field is ever touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mmrace.runs.profile import FIELD_WORDS, promoted_fields, walks
from mmrace.runs.program import Program
from mmrace.runtime.errors import unknown
from mmrace.runtime.struct import Struct

RUNS = 3  # walks, as many as a profile has: enough to meet what a program makes every time
OWN = "mmrace."  # modules whose classes a user's own program has only if it makes objects of them


def check_promoted(program: Program, text: str) -> None:
    """Raise UsageError if a text of `--promote` names a field that the program has not."""
    named = frozenset() if text in FIELD_WORDS else promoted_fields(program, text) or frozenset()
    known = _declared(program)
    if named <= known:
        return
    for played in walks(program, RUNS, None):
        known.update(*(_fields(type(owner)) for _, owner in played.engine.objects if isinstance(owner, Struct)))
        if named <= known:
            return
    name = min(named - known)
    siblings = {field for field in known if field.partition(".")[0] == name.partition(".")[0]}
    structs = ", ".join(sorted({field.partition(".")[0] for field in known})) or "none is known"
    raise unknown(
        "a plain field",
        name,
        sorted(siblings or known),
        where=f"--promote, {program.name}",
        try_=f"{'' if siblings else f'structs with plain fields: {structs}; '}other ops are always switch points",
    )


def _declared(program: Program) -> set[str]:
    """Return the fields of the classes that are declared by now, and may be the program's."""
    classes = (cls for cls in _below(Struct) if not (program.digest and cls.__module__.startswith(OWN)))
    return {field for cls in classes for field in _fields(cls)}


def _below(cls: type[Struct]) -> Iterator[type[Struct]]:
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)


def _fields(cls: type[Struct]) -> Iterable[str]:
    """Return the plain fields of a class, arrays of words among them, as `--promote` takes them."""
    names = [row.field for row in cls.plan if row.part is None]
    sized = [cls.sized_part[0]] if cls.sized_part is not None else []
    return [f"{cls.struct_name}.{name}" for name in (*names, *sized)]
