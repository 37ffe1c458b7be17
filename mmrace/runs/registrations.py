"""What a user's own files add to what there is (``--load``): strategies, judges, and what makers make programs of.

A file ends as one of mmrace's own does, with a value under a name that says what it is: ``STRATEGY``, or what a maker
takes (`Kind`); a file of a judge has ``NAME`` and ``judge``.  Invariant: a file is registered once in a process, and
whatever it registers has a name that nothing else has; what a spec's files add is a function of their digests.  Not
here: how a file is executed (`loading.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol

from mmrace.oracles.general.judgement import Judgement, Oracle
from mmrace.runs import loading, unused
from mmrace.runs.spec import LoadedFile
from mmrace.runs.unused import JUDGE, JUDGE_NAME, Kind, line_of
from mmrace.runtime import given
from mmrace.runtime.errors import MmraceError, UsageError, is_failure
from mmrace.runtime.leaving import kept
from mmrace.runtime.record import Record
from mmrace.runtime.said import named
from mmrace.strategies import registry
from mmrace.strategies.contract import Registered

OPTION = "--load"


class Taker(Protocol):
    """A maker of programs, as far as it takes part.  `judges`: those that it has already, by name."""

    @property
    def judges(self) -> Mapping[str, Oracle]: ...
    @property
    def takes(self) -> tuple[Kind, ...]: ...


STRATEGY = Kind(registry.NAME, Registered, "Registered(name, title, make)", registry.register, replayed=False)


@dataclass(slots=True)
class Addition:
    """What one file added.  `replayed`: whether a replay needs it."""

    digest: str
    judges: dict[str, Oracle] = field(default_factory=dict)
    replayed: bool = False


_added: dict[str, Addition] = {}
"""By digest: the same file at another place is the same."""
_digests: dict[Path, str] = {}


def load(files: Iterable[LoadedFile], takers: Iterable[Taker], folders: Iterable[str] = ()) -> tuple[LoadedFile, ...]:
    """Load and register files, each once; return them with the digests that they have.

    Args: folders: where a relative path is looked for, if it leads nowhere from here.  Raises UsageError for a file
    that is missing, fails, is not the one that is meant, or adds nothing.
    """
    takers, folders = tuple(takers), tuple(folders)
    return tuple(LoadedFile(file.path, _load(file, takers, folders)) for file in files)


def judges(files: Iterable[LoadedFile]) -> dict[str, Oracle]:
    """Return the judges that files which were loaded have added, by name."""
    return {name: judge for file in files for name, judge in _addition(file).judges.items()}


def every_judge() -> dict[str, Oracle]:
    """Return the judges that any file added in this process."""
    return {name: judge for addition in _added.values() for name, judge in addition.judges.items()}


def needed(files: Iterable[LoadedFile]) -> dict[str, str]:
    """Return those of the loaded files that a replay needs, with their digests."""
    found = {file.path: _addition(file) for file in files}
    return {path: addition.digest for path, addition in found.items() if addition.replayed}


def here(file: LoadedFile) -> LoadedFile | None:
    """Return a file with the digest of what it added; None if it is not here.

    Without a digest what is meant is a file of that name, wherever it is now: at its place, or else the last loaded.
    """
    if file.digest:
        return file if file.digest in _added else None
    same = [digest for path, digest in _digests.items() if path.name == os.path.basename(file.path)]
    digest = _digests.get(Path(os.path.abspath(file.path)), same[-1] if same else "")
    return LoadedFile(file.path, digest) if digest in _added else None


def _addition(file: LoadedFile) -> Addition:
    return _added[file.digest or _digests[Path(file.path).resolve()]]


def _load(file: LoadedFile, takers: tuple[Taker, ...], folders: tuple[str, ...]) -> str:
    if file.digest in _added:
        return file.digest
    path = Path(loading.placed(file.path, folders))
    if file.digest and not os.path.exists(path):
        raise loading.missing(file.path, folders, OPTION)
    loading.check_file(path if file.path else "", OPTION)
    resolved = path.resolve()
    before = _digests.get(resolved)
    if before is not None and not file.digest:
        return before  # what this process has is what a file without a digest means
    known = registry.names()
    kinds = (*(kind for taker in takers for kind in taker.takes), STRATEGY)
    loaded = loading.of_file(path, file.digest, OPTION, {kind.type.__name__: kind.form for kind in kinds})
    by_call = registry.names() != known
    if before not in (None, loaded.digest):
        raise UsageError(
            expected=f"{file.path} as it was when this process loaded it",
            got="another one: it has changed since",
            where=f"{OPTION} {file.path}",
            try_="a new process",
        )
    where = f"{OPTION} {file.path}"
    if loaded.digest not in _added:
        _added[loaded.digest] = Addition(loaded.digest)
        try:
            if not _register(loaded.module, _added[loaded.digest], kinds, takers, where) and not by_call:
                raise unused.adds_nothing(loaded.module, kinds, where)
        except BaseException:
            del _added[loaded.digest]
            raise
    _digests[resolved] = loaded.digest
    return loaded.digest


def _register(
    module: ModuleType, addition: Addition, kinds: tuple[Kind, ...], takers: tuple[Taker, ...], where: str
) -> bool:
    """Register what a module has under the names of the kinds; say whether it has any.  Raises UsageError."""
    found = False
    file = str(module.__file__)
    if {JUDGE, JUDGE_NAME} <= vars(module).keys():
        name = vars(module)[JUDGE_NAME]
        taken = {*every_judge(), *(known for taker in takers for known in taker.judges)}
        given.name("judge", name, taken, where + line_of(module, JUDGE_NAME))
        given.function(JUDGE, vars(module)[JUDGE], ("record",), where + line_of(module, JUDGE))
        addition.judges[name] = UsersJudge(name, vars(module)[JUDGE], file, where)
        found = addition.replayed = True
    for kind in kinds:
        for name, value in _values(module, kind):
            at = where + line_of(module, name)
            if not isinstance(value, kind.type):
                raise unused.of_another_kind(kind, name, value, kinds, at)
            with loading.reported(file, file, at):
                kind.register(value, at)
            found, addition.replayed = True, addition.replayed or kind.replayed
    return found


def _values(module: ModuleType, kind: Kind) -> Iterator[tuple[str, object]]:
    """Yield what a module has of a kind, each with the name under which it stands."""
    if kind.name in vars(module):
        yield kind.name, vars(module)[kind.name]
    several = vars(module).get(kind.several, ())
    for value in several if isinstance(several, tuple | list) else (several,):
        yield kind.several, value


# -- judges ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UsersJudge:
    """A judge out of a user's file: what it does wrong is its author's to mend, and told with file and line."""

    name: str
    judge: Oracle
    file: str
    where: str

    def __call__(self, record: Record, /) -> Judgement:
        """Judge a record.  Raises UsageError if the judge raises, or returns something else."""
        try:
            with kept:
                judgement: object = self.judge(record)
        except MmraceError:
            raise
        except BaseException as error:
            if not is_failure(error):
                raise
            raise self._wrong(named(error), loading.line_of(error, self.file)) from error
        if not isinstance(judgement, Judgement) or judgement.oracle != self.name:
            raise self._wrong(judgement, "")
        return judgement

    def _wrong(self, got: object, line: str) -> UsageError:
        return UsageError(
            expected=f"a judge {self.name} that returns its Judgement of any record",
            got=got,
            where=f"{self.where}{line}",
            try_="Evidence(NAME).judgement(checked), as in mmrace/oracles/README.md",
        )
