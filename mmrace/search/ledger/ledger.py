"""The ledger of a store, open for one process that adds to it.

Invariant: what is in it was run; what was run and is not in it is counted (`unkept`).  Damage that can be mended never
ends a campaign.  Not here: what is asked of a ledger (`index.py`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mmrace.runs.revision import revision
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger import scan
from mmrace.search.ledger.cells import campaign_id
from mmrace.search.ledger.entry import Batch, Beat, Begun, Ended, Met, Resumed, Sequence, Trial, now
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ranges import Covered
from mmrace.search.ledger.segment import check_schema, segments_in
from mmrace.search.ledger.writer import Writer
from mmrace.version import __version__

SAID_EACH = 100
"""Batches of a sequence after which its own line is written again: a damaged byte in one costs no night."""


class Ledger:
    """A ledger to add to; `Ledger.open` makes one."""

    def __init__(self, folder: Path, writer: Writer, scanned: dict[str, Covered] | None) -> None:
        self.folder, self._writer = folder, writer
        self._scanned = scanned
        self._named: dict[str, int] = {}  # key of a sequence -> batches since its line
        self._met: set[tuple[str, str, str, str, str]] = set()
        self._index: Index | None = None

    @classmethod
    def open(cls, folder: Path, *, index: bool = True, write: Callable[[int, bytes], int] = os.write) -> Ledger:
        """Open the ledger of a store, which need not be there.

        Args: index: False touches no SQLite file, for what lies on a network.  Raises UsageError for a folder in which
        nothing can be written, and for a ledger of a newer mmrace.
        """
        path = folder / LEDGER
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK | os.R_OK):
                raise PermissionError(13, "Permission denied", str(path))
            for segment in segments_in(path):
                with contextlib.suppress(OSError):  # what cannot be read is left out, and told by the index
                    check_schema(segment)
        except OSError as error:
            raise UsageError(
                expected="a folder to write in",
                got=error.strerror or str(error),
                where=str(error.filename or path),
                try_="--store with a folder of your own",
            ) from error
        return cls(folder, Writer(path, write=write), None if index else scan.covered_in(path))

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """For the length of the block, be the only one of this machine who begins a campaign, where that can be had."""
        descriptor = -1
        try:
            with contextlib.suppress(OSError):
                descriptor = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)  # the index holds its own folder
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def catch_up(self) -> None:
        """Have the index, if there is one, know what was written until now: whoever asks next need not wait for it."""
        if self._scanned is None:
            with contextlib.suppress(OSError, UsageError):  # it is made anew, by whoever asks
                self.index()

    def index(self) -> Index:
        """Return the index, with all that was written until now.  Raises UsageError."""
        self.flush()
        if self._index is None:
            self._index = Index.open(self.folder) if self._scanned is None else Index.of_segments(self.folder)
        else:
            self._index.refresh()
        return self._index

    def covered(self, sequence: Sequence) -> Covered:
        """Return the turns of a sequence that were run, by whomever; without an index, not what others add by now."""
        if self._scanned is not None:
            return self._scanned.setdefault(sequence.key, Covered())
        return self.index().covered(sequence)

    # -- what is added ----------------------------------------------------------------------------------------------

    def begin(
        self, *, command: str = "", request: Mapping[str, object] | None = None, when: float | None = None
    ) -> str:
        """Begin a campaign; return its id, which its batches name."""
        when = now() if when is None else when
        campaign = campaign_id(when)
        host, pid = socket.gethostname(), os.getpid()
        self._writer.add(Begun(campaign, when, host, pid, revision(), __version__, command, dict(request or {})))
        return campaign

    def resume(self, campaign: str, seconds: float = 0.0) -> None:
        """Go on with a campaign of before, whose id batches name from now on.  Args: seconds: it has lasted so far."""
        self._writer.add(Resumed(campaign, now(), socket.gethostname(), os.getpid(), seconds))

    def add(self, batch: Batch, sequence: Sequence) -> None:
        """Add what came of a batch of a sequence."""
        since = self._named.get(batch.sequence, SAID_EACH)
        if since >= SAID_EACH:
            assert batch.sequence == sequence.key, (batch.sequence, sequence)
            self._writer.add(sequence)
            since = 0
        self._named[batch.sequence] = since + 1
        self._writer.add(batch, batch.stop - batch.first)
        if self._scanned is not None:
            self._scanned.setdefault(batch.sequence, Covered()).add(batch.first, batch.stop)

    def met(self, met: Met) -> None:
        """Note a finding in words; again for the same program, it does nothing."""
        key = *met.whose, met.campaign
        if key not in self._met:
            self._met.add(key)
            self._writer.add(met)

    def beat(self, beat: Beat) -> None:
        """Note how it goes."""
        self._writer.add(beat)

    def trial(self, trial: Trial) -> None:
        """Note what came of looking for a planted bug; the newest of a campaign counts."""
        self._writer.add(trial)

    def ended(self, ended: Ended) -> None:
        """Note that a campaign ended by itself, and have all that waits on the disk."""
        self._writer.add(ended)
        self.flush(sync=True)

    # -- the file ---------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Write what waited a second; cheap if nothing did."""
        self._writer.tick()

    def flush(self, sync: bool = False) -> None:
        """Write what waits.  Args: sync: and have it on the disk."""
        self._writer.flush(sync)

    def close(self) -> None:
        """Write what waits, and let go of the files."""
        self._writer.close()
        if self._index is not None:
            self._index.close()
            self._index = None

    @property
    def unkept(self) -> int:
        """How many runs are in no file, since it could not be written."""
        return self._writer.unkept

    @property
    def complaint(self) -> str:
        """Why something waits that should be written; "" if nothing does."""
        return self._writer.complaint

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
