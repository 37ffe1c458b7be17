"""What a test and the command line ask for, together: options, names, the command that has it all again.

Invariant: what the command line says goes before what the test says; and a test has one name, however often
pytest-repeat repeats it.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from mmrace.runs.spec import derive
from mmrace.runtime.errors import UsageError, unknown

SCHEDULES = 100
"""Of a test that does not say how many: a race that one schedule in ten shows is missed with a chance of 3e-5."""
ARGUMENTS = (
    "scenario", "schedules", "strategy", "exhaustive", "variant", "era", "params", "seed", "engine", "load", "without",
)  # fmt: skip
REPEATED = "__pytest_repeat_step_number"  # as pytest-repeat names its parameter

Program: TypeAlias = Callable[..., object] | str


class Asked:
    """What is asked of one test.

    Attributes: replayed: the only schedule to be played.  kept: whether there is a database.  reports: where they go.
    """

    def __init__(self, item: pytest.Function) -> None:
        self.item = item
        option = item.config.getoption
        self.replayed: str | None = option("--mmrace-replay")
        self.schedules: int | None = option("--mmrace-schedules")
        self.seed: int | None = option("--mmrace-seed")
        self.engine: str | None = option("--mmrace-engine")
        self.kept: bool = not option("--mmrace-no-db")
        self.reports: str | None = option("--mmrace-report-dir")
        self._used: int | None = None  # the seed of the last exploration

    def options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of an exploration: of the command line, or else of the test."""
        schedules = options.get("schedules")
        if not options.get("exhaustive"):
            schedules = schedules if self.schedules is None else self.schedules
            schedules = SCHEDULES if schedules is None and options.get("seconds") is None else schedules
        self._used = self._seed(options.get("seed", 1))
        return {
            **options,
            "schedules": schedules,
            "seed": self._used,
            "engine": self.engine or options.get("engine", "fiber"),
        }

    def _seed(self, otherwise: int) -> int:
        """Return the seed; another one each time that pytest-repeat repeats the test."""
        seed = otherwise if self.seed is None else self.seed
        step = self._repeated()
        return derive(seed, "repeat", step) if step else seed

    def command(self, replays: str = "") -> str:
        """Return the command that has the failure again: one kept schedule, or all that was asked."""
        words = ["pytest", self.key]
        if replays:
            return shlex.join([*words, replays])
        seed = self._used if self._repeated() else self.seed
        for name, value in (("seed", seed), ("schedules", self.schedules), ("engine", self.engine)):
            words += [f"--mmrace-{name}={value}"] * (value is not None)
        return shlex.join([*words, *["--mmrace-no-db"] * (not self.kept)])

    def shown(self, path: Path) -> str:
        """Return a path as it is shortest from where pytest was started."""
        here = self.item.config.invocation_params.dir
        return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)

    def _repeated(self) -> int | None:
        """Return which time this is that pytest-repeat repeats the test, from 0; None without it."""
        callspec = getattr(self.item, "callspec", None)
        step = None if callspec is None else callspec.params.get(REPEATED)
        return step if isinstance(step, int) else None

    @property
    def key(self) -> str:
        """Name the test, one name for all that pytest-repeat makes of it."""
        step = self._repeated()
        if step is None:
            return self.item.nodeid
        return re.sub(rf"(?:-|(?<=\[)){step + 1}-\d+\]$", "]", self.item.nodeid).removesuffix("[]")


def checked(marker: pytest.Mark) -> dict[str, Any]:
    """Return the arguments of a marker.  Raises UsageError."""
    where = "@pytest.mark.mmrace"
    if marker.args:
        raise UsageError(expected="arguments by name", got=marker.args[0], where=where, try_="scenario=, or schedules=")
    given = dict(marker.kwargs)
    for name in given:
        if name not in ARGUMENTS:
            raise unknown("an argument", name, ARGUMENTS, where=where)
    return given


def name_of(program: Program) -> str:
    """Name a program, among those of one test."""
    return program if isinstance(program, str) else getattr(program, "__qualname__", type(program).__name__)


def body_of(item: pytest.Function) -> Program:
    """Return a test's own function with its fixtures: what it has defaults for are the parameters of the program."""
    fixtures = {name: item.funcargs[name] for name in item._fixtureinfo.argnames}
    body = partial(item.obj, **fixtures)
    signature = inspect.signature(body)
    left = [parameter for name, parameter in signature.parameters.items() if name not in fixtures]
    vars(body)["__signature__"] = signature.replace(parameters=left)
    return body
