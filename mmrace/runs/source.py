"""FILE, as every command takes it: a record, a minimal file, or the folder of a finding.

A folder has the record of the run as it was found, and beside it, once that was minimised, its minimal file; that alone
will do too.  Invariant: what a person names is read whatever it is called, as what it says of itself that it is; and
what is none of the three is refused with what to do.  Not here: what is in a record, and whether a run can be repeated.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mmrace.runs import kept
from mmrace.runs.minimal import BYTES_MAX, MINIMAL, Minimal
from mmrace.runs.schedule import IS_KEPT
from mmrace.runtime import files, record_file
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import MIB
from mmrace.runtime.record import Record
from mmrace.strategies.guided import HEAD_BYTES

IS_MINIMAL = re.compile(rb'"schema"\s*:\s*"mmrace-minimal/')
BELOW = (".", "findings", ".mmrace/findings")
"""Where the findings of a folder may be."""
BELOW_MAX = 3  # of them that are named
TAKEN = "a record, a minimal file, or the folder of a finding"
PRINTED = "the path that the run printed"


@dataclass(frozen=True)
class Source:
    """What a FILE is.

    Attributes: path: of the file that the record came from.  record: of the run; as it was found, if there are two.
    folder: of the finding, if the FILE is one.  signature: of the finding that it was kept for, "" if nobody kept it.
    """

    path: str
    record: Record
    folder: Path | None = None
    signature: str = ""
    file: Minimal | None = None

    @cached_property
    def minimal(self) -> Minimal | None:
        """The minimal file that this is, or that the folder has; None if there is none.  Raises UsageError."""
        if self.file is not None or self.folder is None or not (self.folder / MINIMAL).exists():
            return self.file
        return Minimal.read(self.folder / MINIMAL)


def open_source(path: str) -> Source:
    """Read what somebody names.  Raises UsageError."""
    folder = Path(path)
    if not os.path.isdir(path):
        read = _read(path)
        found = kept.read(folder.parent) if read.file is None else None
        return read if found is None else Source(path, read.record, None, found.signature)
    names = [name for name in (kept.RECORD, MINIMAL) if (folder / name).is_file()]
    if not names:
        raise _empty(folder)
    read = _read(str(folder / names[0]))
    found = kept.read(folder)
    return Source(read.path, read.record, folder, found.signature if found else read.signature, read.file)


def _read(path: str) -> Source:
    content = files.read_whole(path, BYTES_MAX, what="record file", try_=PRINTED, stream=True)
    if IS_MINIMAL.search(content, 0, HEAD_BYTES):
        minimal = Minimal.parse(content, path)
        return Source(path, minimal.record, None, minimal.signature, minimal)
    if IS_KEPT.search(content, 0, HEAD_BYTES):
        raise UsageError(
            expected=TAKEN,
            got="a kept schedule, which has no record",
            where=path,
            try_=f"pytest with --mmrace-replay={path}, or mmrace run with --strategy guided:record={path}",
        )
    if len(content) > record_file.BYTES_MAX:
        most = f"a record file of at most {record_file.BYTES_MAX / MIB:g} MiB"
        raise UsageError(expected=most, got="a larger one", where=path, try_=PRINTED)
    return Source(path, Record.parse(content, path))


def _empty(folder: Path) -> UsageError:
    """Return the error for a folder that has neither."""
    below = [str(file.parent) for place in BELOW for file in folder.glob(f"{place}/*/{kept.RECORD}")]
    try_ = f"one of the findings below it: {', '.join(below[:BELOW_MAX])}" if below else "a record's own file"
    if (folder / kept.TEXT).is_file():
        try_ = f"{kept.TEXT} in it: its worker died, or the record was too large to be kept"
    return UsageError(expected=TAKEN, got=f"a folder, which has no {kept.RECORD}", where=str(folder), try_=try_)
