"""The maker of programs that are functions: ``FILE.py:main``, or ``package.module:main``.

A function on `mmrace.runtime` is a program: it is the run's main task, with its parameters' defaults as the program's
parameters.  Judged by the general judges only, of which liveness must have something to check.  Invariant: a spec that
has a digest gives the function of the file with that digest, or UsageError: what is loaded in a worker, or for a
replay, is what was loaded where the spec was made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from mmrace.oracles.general import GENERAL
from mmrace.runs import loading
from mmrace.runs.program import Engine, Program
from mmrace.runs.spec import Params, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import AnyParam, Number, Parameters, Text, Value
from mmrace.runtime.tables import EMPTY

KIND = "function"
CPUS = 8  # of the machine; a task is on CPU 0 unless its spawn says otherwise
STEPS_MAX = 100_000  # ops of a run; what takes longer is cut there, and UNKNOWN
REQUIRED = frozenset({"liveness"})
SAYS = "an argument of the function"

Function: TypeAlias = Callable[..., object]


def is_function(name: str) -> bool:
    """Say whether the name of a program is that of a function."""
    return ":" in name


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
    steps_max = STEPS_MAX

    @property
    def key(self) -> tuple[object, ...]:
        """What the program is a function of; the function itself, for one without a file."""
        return self.name, tuple(sorted(self.params.items())), self.digest, self.function

    def play(self, engine: Engine) -> dict[str, Any]:
        """Run on `engine`; a function leaves no final state."""
        engine.run(lambda: self.function(**self.params))
        return {}


@dataclass(frozen=True)
class FunctionMaker:
    """Makes functions' programs.  `here`: functions of this process by name; they go before what a name loads."""

    here: Mapping[str, Function] = field(default_factory=dict)
    kind = KIND

    def program(self, spec: RunSpec) -> FunctionProgram:
        """Load the function of a spec.  Raises UsageError if it is missing, was changed, or needs arguments."""
        self._refuse(spec)
        found = self.here.get(spec.program)
        digest = spec.digest
        if found is None:
            found, digest = load(spec.program, spec.digest)
        params = declared(spec.program, found).merged(dict(spec.params))
        return FunctionProgram(spec.program, found, params, digest)

    def given(self, name: str, params: Mapping[str, Value]) -> Params:
        """Return all parameters: what a function's defaults are now need not be what they were."""
        return tuple(sorted(params.items()))

    @staticmethod
    def _refuse(spec: RunSpec) -> None:
        """Raise UsageError for what only a scenario of the kernel model has."""
        for what, value in (("--variant", spec.variant), ("--workload", spec.workload)):
            if value:
                raise UsageError(expected=f"no {what} for a function", got=value, where=spec.program)


def named(function: Function) -> tuple[str, str]:
    """Return the name of a function of this process, and the digest of its file.

    The digest is "" if other processes cannot load the function by its name: it was made inside another one, or it has
    no file.
    """
    code = getattr(function, "__code__", None)
    path = Path(code.co_filename) if code is not None else Path()
    qualname = getattr(function, "__qualname__", type(function).__name__)
    if not path.is_file():
        return f"{getattr(function, '__module__', '?')}:{qualname}", ""
    here = Path.cwd()
    place = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{place}:{qualname}", loading.digest_of(path) if "<" not in qualname else ""


def load(name: str, digest: str = "") -> tuple[Function, str]:
    """Return the function of this name, and the digest of its file.

    Args: digest: of the file that is meant; "": whatever is there.  Raises UsageError.
    """
    place, _, attribute = name.rpartition(":")
    module, found_digest = loading.module_of(place)
    if digest and digest != found_digest:
        raise UsageError(
            expected=f"{place} as it was when this run was made (sha256 {digest})",
            got=f"another one ({found_digest})",
            where=name,
            try_="bring the file back, or follow the old record as far as it goes: --strategy guided:record=FILE",
        )
    found = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        names = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise UsageError(expected=f"a function in {place}: {', '.join(names) or 'it has none'}", got=attribute)
    return found, found_digest


def declared(name: str, function: Function) -> Parameters:
    """Return a function's parameters, as their defaults declare them.  Raises UsageError for one without a default."""
    found: list[AnyParam] = []
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY or not isinstance(default, int | str):
            raise UsageError(
                expected="a function whose parameters all have defaults, numbers or texts",
                got=str(parameter),
                where=name,
                try_=f"def {function.__name__}() -> None",
            )
        if isinstance(default, str):
            found.append(Text(parameter.name, default, says=SAYS))
        else:
            found.append(Number(parameter.name, default, says=SAYS))
    return Parameters(name, found)
