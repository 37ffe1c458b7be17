"""What is run, resolved: the contract of a program, and who makes programs from their names.

A program travels as text (`RunSpec`: maker, name, parameters, hash of its file); each process makes the object anew
(`Makers.program`), and loads first what the spec says.  Invariant: a program is a function of those parts of a spec;
who chooses, and the seed, are the engine's.  Not here: any program.  Makers are handed in by whoever starts runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from mmrace.oracles.general.expected import Expected
from mmrace.oracles.general.judgement import Oracle
from mmrace.runs import registrations
from mmrace.runs.spec import LoadedFile, Params, RunSpec
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import UsageError
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.param import Value
from mmrace.runtime.record import Record
from mmrace.runtime.tables import Tables

Engine: TypeAlias = FreeEngine | Controlled


class Program(Protocol):
    """One program.  A maker's program subclasses this and states what differs from the defaults.

    Attributes: name: as a spec spells it.  params: complete.  key: equal for programs that do the same.  ncpus: CPUs of
    the machine.  steps_max: bound of a run in ops.  judges: by name, in the order in which they are asked.  required:
    those of them that must have found something to check.  forward: those that take nothing back: what they find in the
    beginning of a run they find in all of it.  may_raise: a Python exception out of a task is a result;
    otherwise it is a bug of mmrace.  spread: a task whose spawn names no CPU gets one in turn.  tables: what it says of
    its own names.  digest: hash of the files that it was loaded from, "" if it comes with mmrace.  expects: faults that
    it is known to have, and that can show with these parameters.
    """

    name: str
    params: Mapping[str, Value]
    judges: Mapping[str, Oracle]
    required: frozenset[str]
    forward: frozenset[str] = frozenset()
    may_raise: bool
    spread: bool = False
    tables: Tables
    digest: str = ""

    @property
    def expects(self) -> tuple[Expected, ...]:
        return ()

    @property
    def key(self) -> tuple[object, ...]: ...
    @property
    def ncpus(self) -> int: ...
    @property
    def steps_max(self) -> int: ...

    def play(self, engine: Engine) -> dict[str, Any]:
        """Run once on a fresh engine; return the final state, plain data for the record."""

    def header(self) -> dict[str, Any]:
        """Return what the record's header says of the program beyond its text."""
        return {}

    def lonely(self) -> str:
        """Say why nobody meets anybody in a run, as far as that is known before it; else ""."""
        return ""

    def company(self) -> str:
        """Say what to do about a run in which nobody met anybody."""
        return "spawn two tasks that share something (rt.spawn)"

    def advice(self) -> str:
        """Say what to do about a run that passes its bound."""
        return "bound its loops, or let them wait for a change (until_changed, wait_event)"

    def smaller(self) -> Iterable[Mapping[str, Value]]:
        """Yield complete parameters of the same program that does less, the boldest first; they need make no sense."""
        return ()

    def counters(self, record: Record) -> dict[str, int]:
        """Return what a run did, counted in the program's own terms."""
        return {}


class Maker(registrations.Taker, Protocol):
    """Makes programs of one kind from their names."""

    @property
    def kind(self) -> str: ...

    @property
    def era(self) -> str:
        """The state of its programs that a spec means which names none; "" if there is one state only."""

    def program(self, spec: RunSpec) -> Program:
        """Resolve the names of a spec.  Raises UsageError for one that does not exist."""

    def given(self, name: str, params: Mapping[str, Value]) -> Params:
        """Return which of a record's parameters have to be given to make its program again."""


class Makers:
    """The makers that a front door knows, by kind.  Pickles, so that workers get them too.

    Args: folders: where a relative file to load is looked for, if it is not in the current one.
    """

    def __init__(self, *makers: Maker, folders: Iterable[str] = ()) -> None:
        self._makers = {maker.kind: maker for maker in makers}
        self._folders = tuple(folders)

    def load(self, files: Iterable[LoadedFile]) -> tuple[LoadedFile, ...]:
        """Load and register files, once; return them with their digests.  Raises UsageError."""
        return registrations.load(files, self._makers.values(), self._folders)

    def of(self, kind: str) -> Maker:
        """Return the maker of a kind.  Raises UsageError."""
        if kind not in self._makers:
            raise UsageError(expected=f"a maker of programs out of {', '.join(self._makers)}", got=kind, where="record")
        return self._makers[kind]

    def era(self, kind: str, name: str) -> str:
        """Return an era as a spec has it: "" for the maker's own, which has a name too.  Raises UsageError."""
        return "" if name == self.of(kind).era else name

    def program(self, spec: RunSpec) -> Program:
        """Make the program of a spec.  Raises UsageError."""
        self.load(spec.load)
        return self.of(spec.maker).program(spec)


Resolve: TypeAlias = Callable[[RunSpec], Program]
