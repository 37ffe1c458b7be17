"""What a caller from Python means by a program, and by the files and numbers beside it.

A program is a function on `mmrace.runtime`; the text of one, ``FILE.py:main``; or the name of a scenario of the kernel
model.  Invariant: only a scenario's name, or a file to load, imports the kernel model.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mmrace.runs import functions, loading, named
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.spec import LoadedFile
from mmrace.runtime.errors import UsageError

OPTION = "--param"
AS_OPTION = re.compile(rf"{OPTION} (\w+)=(\S+)")
"""A parameter as a command takes it."""


class Target(NamedTuple):
    """A program by its name, its kind and the digest of its files; and who makes it."""

    name: str
    kind: str
    digest: str
    makers: Makers


def refuse_while_loading(where: str) -> None:
    """Raise UsageError where a file is being loaded, whose every process would do that.  Args: where: who asks."""
    place = loading.executing()
    if place:
        raise UsageError(
            expected="no run while a file is loaded: it is loaded in each process that runs its functions",
            got=f"one at the top level of {place}",
            where=where,
            try_='if __name__ == "__main__": mmrace.explore(main)',
        )


def check_number(where: str, name: str, value: object, low: int) -> None:
    """Raise UsageError for what is no number, or too small a one; seconds may be a fraction, above 0."""
    kinds = (int, float) if name == "seconds" else int
    if value is None and name in ("schedules", "seconds"):
        return
    if isinstance(value, bool) or not isinstance(value, kinds) or value < low or (name == "seconds" and not value):
        wanted = "more than 0" if name == "seconds" else f"a whole number, {low} or more"
        raise UsageError(expected=wanted, got=value, where=f"{where}({name}=)", try_=f"{name}=10")


@contextmanager
def naming_params(where: str) -> Iterator[None]:
    """Say of a wrong parameter ``params=`` in place of the option that a command has.  Args: where: who asks."""
    try:
        yield
    except UsageError as error:
        if not error.where.startswith(OPTION):
            raise
        try_ = AS_OPTION.sub(r'params={"\1": \2}', error.try_)
        expected, key = error.expected, error.where.removeprefix(OPTION).strip()
        raise UsageError(
            expected=f"{key}: {expected}" if key else expected, got=error.got, where=f"{where}(params=)", try_=try_
        ) from error


def files_of(where: str, load: object) -> tuple[LoadedFile, ...]:
    """Return the files to load.  Args: where: who asks.  Raises UsageError for what names none."""
    paths = (load,) if isinstance(load, str | os.PathLike) or not isinstance(load, Iterable) else tuple(load)
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise UsageError(
                expected="the path of a Python file, or several",
                got=path,
                where=f"{where}(load=)",
                try_='load="cast.py", or load=["cast.py", "bug.py"]',
            )
    return tuple(LoadedFile(os.fspath(path)) for path in paths)


def resolved(where: str, program: object, *, loads: bool = False, jobs: int = 0) -> Target:
    """Return what a program is.  Raises UsageError.

    Args: where: who asks.  loads: whether files are loaded, whose scenarios have to be taken by somebody.  jobs: worker
    processes, which have to make it too.
    """
    if not isinstance(program, str) and not callable(program):
        raise UsageError(
            expected="a function, the name of one, or a scenario's name",
            got=program,
            where=where,
            try_=f'mmrace.{where}(main), or mmrace.{where}("FILE.py:main")',
        )
    if not isinstance(program, str):
        name, digest = named.name_of(program)
        if jobs and not digest:
            raise UsageError(
                expected="a function at the top level of a file, which other processes can load by its name",
                got=name,
                where=f"{where}(jobs=)",
                try_="jobs=0, which explores in this process",
            )
        return Target(name, functions.KIND, digest, _makers(FunctionMaker({} if jobs else {name: program}), loads))
    named.refuse_file(program)
    if named.is_function(program):
        return Target(program, functions.KIND, named.load(program)[1], _makers(FunctionMaker(), loads))
    return Target(program, "scenario", "", _makers(FunctionMaker(), True))


def _makers(maker: FunctionMaker, model: bool) -> Makers:
    """Return the makers of programs.  Args: model: of the kernel model's too, which a function has no use for."""
    if not model:
        return Makers(maker)
    from mmrace.installed import makers_with  # noqa: PLC0415  (what it imports takes longer than a small exploration)

    return makers_with(maker)


def path_of(where: str, file: object) -> str:
    """Return the path of a FILE.  Args: where: who asks.  Raises UsageError for what is none."""
    if not isinstance(file, str | os.PathLike):
        raise UsageError(
            expected="the path of a record, of a minimal file, of a kept schedule, or of a finding's folder",
            got=file,
            where=where,
            try_=f'mmrace.{where}("record.jsonl")',
        )
    return os.fspath(file)
