"""The maker of programs that are functions: ``FILE.py:main``, or ``package.module:main``.

A function on `mmrace.runtime` is a program: it is the run's main task, with its parameters' defaults as the program's
parameters.  Judged by the general judges only, of which liveness must have something to check.  Invariant: a spec that
has a digest gives the function of the file with that digest, or UsageError: what is loaded in a worker, or for a
replay, is what was loaded where the spec was made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Any

from mmrace.oracles.general import GENERAL
from mmrace.runs import loading
from mmrace.runs.named import Function, declared, load, runnable
from mmrace.runs.program import Engine, Program
from mmrace.runs.spec import Params, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Value, smaller
from mmrace.runtime.tables import EMPTY
from mmrace.strategies import registry

KIND = "function"
CPUS = 16  # of the machine; each task has one of its own, as long as there are any
STEPS_MAX = 100_000  # ops of a run; what takes longer is cut there, and UNKNOWN
WALK_STEPS_MAX = 10_000  # of a run of a walk: its time grows with their square, and this many are a second
BOUND = "steps_max"
"""An argument of this name is the bound of a run, in place of both."""
REQUIRED = frozenset({"liveness"})


@dataclass(frozen=True)
class FunctionProgram(Program):
    """One function, ready to be played."""

    name: str
    function: Function
    params: Mapping[str, Value]
    digest: str
    judges = GENERAL
    tables = EMPTY
    required = REQUIRED
    may_raise = True
    ncpus = CPUS
    spread = True
    steps_max: int = STEPS_MAX

    @property
    def key(self) -> tuple[object, ...]:
        """What the program is a function of; the function itself, for one without a file."""
        return self.name, tuple(sorted(self.params.items())), self.digest, self.function

    def play(self, engine: Engine) -> dict[str, Any]:
        """Run on `engine`; a function leaves no final state."""
        engine.run(partial(self.function, **self.params))
        return {}

    def smaller(self) -> Iterator[Mapping[str, Value]]:
        """Yield lower numbers than it has, but for its bound, of which less is no smaller a program."""
        known = {key: param for key, param in declared(self.name, self.function).items() if key != BOUND}
        return ({**self.params, **less} for less in smaller(known, {key: self.params[key] for key in known}))

    def advice(self) -> str:
        """Say what to do about a run that passes its bound."""
        return f"{super().advice()}, or raise the bound by an argument: def main({BOUND}: int = {10 * self.steps_max})"


@dataclass(frozen=True)
class FunctionMaker:
    """Makes functions' programs.

    Attributes: here: functions of this process by name; they go before what a name loads.  folders: where a relative
    file is looked for, if it is not in the current one.  pinned: load nothing without the digest of its files, as for a
    record, which must not have a file executed that is not the one of its run.  files: stand for a program's file of
    the same name that is not where it was.
    """

    here: Mapping[str, Function] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    pinned: bool = False
    files: tuple[str, ...] = ()
    _made: dict[tuple[object, ...], FunctionProgram] = field(default_factory=dict, repr=False, compare=False)
    kind = KIND
    era = ""
    judges = GENERAL
    takes = ()

    def program(self, spec: RunSpec) -> FunctionProgram:
        """Load the function of a spec.  Raises UsageError if it is missing, was changed, or needs arguments."""
        walks = spec.engine != "free" and registry.is_systematic(spec.strategy)
        key = (spec.program, spec.params, spec.digest, spec.variant, spec.era, spec.workload, walks)
        made = self._made.get(key)
        if made is None:
            made = self._resolved(spec, WALK_STEPS_MAX if walks else STEPS_MAX)
            if spec.digest:  # without one a spec means the files as they are now
                self._made[key] = made
        return made

    def _resolved(self, spec: RunSpec, steps_max: int) -> FunctionProgram:
        found = self.here.get(spec.program)
        if found is None:
            self._check_pinned(spec)
        for what, value in (("--variant", spec.variant), ("--era", spec.era), ("--workload", spec.workload)):
            if value:
                raise UsageError(
                    expected=f"no {what}: a function has none",
                    got=value,
                    where=f"program {spec.program}",
                    try_="its arguments: --param KEY=VALUE",
                )
        if found is None:
            found, digest = load(self._placed(spec.program), spec.digest)
        else:
            found, digest = runnable(spec.program, found), spec.digest
        params = declared(spec.program, found).merged(dict(spec.params))
        return FunctionProgram(spec.program, found, params, digest, _bound(params, steps_max))

    def _check_pinned(self, spec: RunSpec) -> None:
        if self.pinned and not spec.digest:
            raise UsageError(
                expected="a record with the digest of its program's files",
                got="one without, by which any file could be executed",
                where=f"program {spec.program}",
                try_="mmrace run, which makes such a record",
            )

    def _placed(self, name: str) -> str:
        """Return a name whose file is there, if it can be found."""
        place, _, attribute = name.rpartition(":")
        if not loading.is_file(place):
            return name
        given = [file for file in self.files if same_name(file, place)]
        found = given[-1] if given else loading.placed(place, self.folders)
        if self.pinned and not os.path.exists(found):
            raise loading.missing(place, self.folders, f"program {name}")
        return f"{found}:{attribute}"

    def __reduce__(self) -> tuple[object, ...]:
        return FunctionMaker, (self.here, self.folders, self.pinned, self.files)

    def given(self, name: str, params: Mapping[str, Value]) -> Params:
        """Return all parameters: what a function's defaults are now need not be what they were."""
        return tuple(sorted(params.items()))


def same_name(file: str, place: str) -> bool:
    """Say whether a file can stand for the one at a place of a program: its digest says whether it is the same."""
    return os.path.basename(file) == os.path.basename(place)


def same_program(name: str, other: str) -> bool:
    """Say whether two names are of one function, as far as names tell: by its own and that of its module, wherever."""
    return _short(name) == _short(other)


def _short(name: str) -> tuple[str, str]:
    """Return the last name of a function's module, and its own; that is in <> if no other process can load it."""
    place, _, attribute = name.rpartition(":")
    stem = PurePath(place).stem if loading.is_file(place) else place.rpartition(".")[2]
    return stem, attribute.removeprefix("<").removesuffix(">")


def _bound(params: Mapping[str, Value], otherwise: int) -> int:
    """Return the bound of a run in ops.  Raises UsageError."""
    given = params.get(BOUND, otherwise)
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise UsageError(
            expected="a number of ops, 1 or more", got=given, where=f"--param {BOUND}", try_=f"--param {BOUND}=1000"
        )
    return given
