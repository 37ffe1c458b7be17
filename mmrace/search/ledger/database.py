"""Where the tables of a ledger are: in a file beside the segments, or in memory where none can be had.

Invariant: whatever happens to the file (removed, damaged, of another mmrace, on a full or read-only disk), an answer is
made from the segments, and is the same.  Several processes may have it open: SQLite's write-ahead log keeps them apart,
and the folder's lock whoever makes the file.  Not here: what is in the tables (`intake.py`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from mmrace.search.ledger.intake import Intake, Vanished
from mmrace.search.ledger.segment import lock
from mmrace.search.ledger.tables import VERSION, are_whole, empty, is_of_another_host, make

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]

FILE = "index.sqlite"
BESIDE = ("-wal", "-shm")
QUIET = "immutable=1"
BUSY_SECONDS = 10.0  # another process takes in some ten thousand lines at once, in a second or two
LOOK_SECONDS = 0.02
NOWHERE = (0, 0)
ATTEMPTS_MAX = 3  # renewed, then in memory
_MACHINE = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH,
})  # fmt: skip
"""Errors for which a new file would be no better."""


class Database:
    """The tables of a ledger.

    Args: folder: of the segments.  on_disk: False changes no file there.  copies: what is in memory may begin as a copy
    of the file.
    """

    def __init__(self, folder: Path, *, on_disk: bool, copies: bool = True) -> None:
        self.folder, self.path = folder, folder / FILE
        self._on_disk = on_disk
        self._copies = copies
        self._foreign = False  # another machine keeps the file
        self._db: sqlite3.Connection | None = None
        self._intake: Intake | None = None
        self._node = NOWHERE  # device and number of the file that is open
        self._closing: weakref.finalize[[sqlite3.Connection], Database] | None = None  # also if nobody closes it

    @property
    def on_disk(self) -> bool:
        """Whether there is a file; it may turn out that none can be had."""
        return self._on_disk

    def rows(self, query: str, values: tuple[object, ...] = (), *, sums: int | None = None) -> list[Row]:
        """Return what a query finds.  Args: sums: which column has sums.  Raises UsageError, OSError."""

        def asked(db: sqlite3.Connection, intake: Intake) -> list[Row]:
            found = db.execute(query, values).fetchall()
            if sums is not None and not all(are_whole(row[sums]) for row in found):
                raise sqlite3.DatabaseError("sums with a wrong check sum")
            return found

        return self._tried(asked)

    def refresh(self) -> bool:
        """Take in what was written since; whether there was anything.  Raises UsageError, OSError."""
        return self._tried(lambda _, intake: intake.refresh())

    def close(self) -> None:
        """Let go of it."""
        if self._closing is not None:
            self._closing()
        self._db = self._intake = self._closing = None

    def _tried(self, action: Callable[[sqlite3.Connection, Intake], T]) -> T:
        """Do something with the tables; if they turn out to be of no use, again with new ones."""
        for attempt in range(ATTEMPTS_MAX):
            try:
                db, intake = self._opened()
                return action(db, intake)
            except Vanished as vanished:
                self._emptied(vanished.changed)
            except sqlite3.DatabaseError as error:
                self.close()
                if not self._on_disk:
                    self._copies = False
                elif attempt or _is_of_the_machine(error) or not self._removed():
                    self._on_disk = False
        return action(*self._opened())

    def _opened(self) -> tuple[sqlite3.Connection, Intake]:
        """Return the tables, opened if they are not, or no longer those whose name is there."""
        if self._on_disk and self._db is not None and _node(self.path) != self._node:
            self.close()
        if self._db is None or self._intake is None:
            self._db = self._open_file() if self._on_disk else self._in_memory()
            self._closing = weakref.finalize(self, _closed, self._db)
            self._intake = Intake(self._db, self.folder)
            self._intake.refresh()
        return self._db, self._intake

    def _open_file(self) -> sqlite3.Connection:
        with self._held():
            self._node = _node(self.path)
            if self._node == NOWHERE:
                self._unlink()
            db = sqlite3.connect(self.path, isolation_level=None, timeout=BUSY_SECONDS)
            try:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = NORMAL")
                _prepare(db)
                if is_of_another_host(db):
                    self._foreign = True
                    raise _unusable("another machine keeps it", sqlite3.SQLITE_CANTOPEN)
            except BaseException:
                db.close()
                raise
            self._node = _node(self.path)
        return db

    def _in_memory(self) -> sqlite3.Connection:
        """Return tables in memory: a copy of those on disk, if there are any, saves reading the segments."""
        mode = _readable(self.path) if self._copies else ""
        if self._foreign and mode != QUIET:
            mode = ""
        if mode:
            db = sqlite3.connect(":memory:", isolation_level=None)
            try:
                with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?{mode}", uri=True)) as file:
                    file.backup(db)
                if _readable(self.path) == mode:
                    _prepare(db)
                    return db
            except sqlite3.Error:
                pass
            db.close()
        db = sqlite3.connect(":memory:", isolation_level=None)
        make(db)
        return db

    def _emptied(self, always: bool) -> None:
        """Empty the tables, unless another process did so meanwhile."""
        assert self._db is not None and self._intake is not None
        self._db.execute("BEGIN IMMEDIATE")
        if not always:
            with contextlib.suppress(Vanished):
                self._intake.check()
                self._db.execute("ROLLBACK")
                return
        empty(self._db)
        self._db.execute("COMMIT")

    def _removed(self) -> bool:
        """Remove the file, unless another process was first; whether it could be tried."""
        try:
            with self._held():
                if _node(self.path) == self._node:
                    self._unlink()
        except sqlite3.OperationalError:
            return False
        return True

    def _unlink(self) -> None:
        for name in (FILE, *(FILE + end for end in BESIDE)):
            with contextlib.suppress(OSError):
                (self.folder / name).unlink()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Let no other process make or remove the file meanwhile.

        Raises sqlite3.OperationalError without a folder, or if another process does not come to an end with it.
        """
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unusable(str(error), sqlite3.SQLITE_CANTOPEN) from error
        try:
            end = time.monotonic() + BUSY_SECONDS
            while not lock(descriptor):
                if time.monotonic() >= end:
                    raise _unusable("another process has it open and does not go on", sqlite3.SQLITE_BUSY)
                time.sleep(LOOK_SECONDS)
            yield
        finally:
            os.close(descriptor)


def _closed(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        db.close()


def _prepare(db: sqlite3.Connection) -> None:
    """Make the tables, or see that they are as they should be.  Raises sqlite3.DatabaseError."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not version and not tables:
        make(db)
        return
    (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if version != VERSION or said != "ok":
        raise sqlite3.DatabaseError(f"tables of version {version}: {said}")


def _node(path: Path) -> tuple[int, int]:
    try:
        there = os.stat(path)
    except OSError:
        return NOWHERE
    return there.st_dev, there.st_ino


def _readable(path: Path) -> str:
    """Say how a file can be read without making another one; "" if it cannot.

    Either nobody has it open, or somebody has, and all that SQLite wants beside it is there.
    """
    try:
        if not path.stat().st_size:
            return ""
    except OSError:
        return ""
    beside = [(path.parent / (path.name + end)).exists() for end in BESIDE]
    return "mode=ro" if all(beside) else "" if any(beside) else QUIET


def _is_of_the_machine(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _MACHINE


def _unusable(why: str, code: int) -> sqlite3.OperationalError:
    made = sqlite3.OperationalError(why)
    made.sqlite_errorcode = code
    return made
