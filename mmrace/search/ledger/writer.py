"""Who writes a segment: lines wait up to a second, go out whole, and stay here as long as the disk takes none.

Invariant: the file ends with a whole line whenever nobody is writing; a line is out, or still here, never half of it
and never twice.  No OSError leaves this file: a campaign goes on, and its ledger says what it could not keep.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from mmrace.search.ledger.entry import Entry, Header, now
from mmrace.search.ledger.segment import SCHEMA, SUFFIX, line_of, lock

FLUSH_SECONDS = 1.0
SYNC_SECONDS = 10.0
"""How much of what was written a machine may lose that loses its power; it is run again."""
WAITING_MAX = 200_000
"""Lines that wait for a full disk: some hours, and a hundred megabytes."""
CHUNK_BYTES = 1 << 20
_NEW = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def new_name() -> str:
    """Return a name for a segment that no other process of any machine has."""
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return f"{date}-{host()}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"


def host() -> str:
    """Return this machine's name, as the names of its segments have it."""
    return "".join(char if char.isalnum() else "-" for char in socket.gethostname())[:40] or "host"


class Writer:
    """Adds entries to a segment of its own, which is made with the first of them.

    Args: clock: monotonic seconds.  write: as `os.write`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self.folder, self.clock, self._write = folder, clock, write
        self.path: Path | None = None
        self.complaint = ""
        """Why lines wait that should be out; or what was lost."""
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._runs_waiting = 0
        self._runs_written = 0
        self._runs_unsynced = 0  # of these
        self._runs_lost = 0
        self._descriptor = -1
        self._size = 0
        self._locked = False
        self._gone = False  # the file has no name any more
        self._broken = False  # the file ends inside a line, and could not be cut
        self._flushed = self._synced = clock()

    @property
    def unkept(self) -> int:
        """How many runs are in no file, or not for sure.

        Their lines wait, were too many, are in a file that somebody removed, or the disk failed.
        """
        return self._runs_waiting + self._runs_lost + (self._runs_written if self._gone else 0)

    def add(self, entry: Entry, runs: int = 0) -> None:
        """Add an entry; it is out within a second or so, if somebody adds or calls `tick`."""
        if runs and len(self._waiting) >= WAITING_MAX:  # what names others is never left out
            self._runs_lost += runs
        else:
            self._waiting.append((line_of(entry), runs))
            self._runs_waiting += runs
        self.tick()

    def tick(self) -> None:
        """Write what waited long enough."""
        if self.clock() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self, sync: bool = False) -> None:
        """Write what waits.  Args: sync: and have it on the disk."""
        self._flushed = self.clock()
        try:
            if self._waiting or (sync and self._descriptor >= 0):
                self._open()
                self._out()
            if self._descriptor >= 0 and (sync or self._flushed - self._synced >= SYNC_SECONDS):
                self._sync()
        except OSError as error:
            self.complaint = f"{error.filename or self.path or self.folder}: {error.strerror or error}"
        else:
            self.complaint = ""

    def close(self) -> None:
        """Write what waits, and let go of the file."""
        self.flush(sync=True)
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    # -- the file ---------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Make the file, or make it again with all that it had if somebody removed it.  Raises OSError."""
        if self._descriptor >= 0 and self.path is not None:
            try:
                if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
                    self._locked = self._locked or lock(self._descriptor)
                    return
            except (FileNotFoundError, NotADirectoryError):
                pass
            self._gone = True
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / new_name()
        descriptor = os.open(path, _NEW, 0o666)
        self._locked = lock(descriptor)  # False: another process asks just now whether anybody writes it
        if self._descriptor < 0:
            self._waiting.appendleft((line_of(Header(SCHEMA, socket.gethostname(), os.getpid(), now())), 0))
        else:
            self._again(path, descriptor)
            os.close(self._descriptor)
        self.path, self._descriptor, self._gone = path, descriptor, False

    def _again(self, path: Path, descriptor: int) -> None:
        """Copy what the file had whose name is gone.  Raises OSError, and leaves nothing then."""
        done = 0
        try:
            while done < self._size and (chunk := os.pread(self._descriptor, CHUNK_BYTES, done)):
                chunk = chunk[: self._size - done]
                done += self._write(descriptor, chunk)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise

    def _out(self) -> None:
        """Write the lines that wait, some at once, until one does not go."""
        if self._broken:
            self._put(b"\n")  # whatever half a line stands there, it ends here
            self._broken = False
        while self._waiting:
            lines: list[bytes] = []
            runs = size = 0
            for line, of_it in self._waiting:
                if lines and size + len(line) > CHUNK_BYTES:
                    break
                lines.append(line)
                size += len(line)
                runs += of_it
            self._put(b"".join(lines))
            for _ in lines:
                self._waiting.popleft()
            self._runs_waiting -= runs
            self._runs_written += runs
            self._runs_unsynced += runs

    def _sync(self) -> None:
        self._synced, runs, self._runs_unsynced = self._flushed, self._runs_unsynced, 0
        try:
            os.fdatasync(self._descriptor)
        except OSError:  # nobody knows how much of it is there
            self._runs_lost += runs
            self._runs_written -= runs
            raise

    def _put(self, content: bytes) -> None:
        """Write all of it, or none.  Raises OSError."""
        left = content
        try:
            while left:
                done = self._write(self._descriptor, left)
                if not done:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                left = left[done:]
        except BaseException:  # Ctrl-C too
            self._cut()
            raise
        self._size += len(content)

    def _cut(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._broken = True
            with contextlib.suppress(OSError):
                self._size = os.fstat(self._descriptor).st_size
