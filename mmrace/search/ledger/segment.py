"""A segment: the file to which one process adds its entries, a line each, and nobody else ever writes.

    <crc32 of the rest, 8 hex digits> <JSON>\\n

Invariant: a line with a good sum is as it was written; whatever else stands in a file costs the lines that it touches
and no other.  Not here: what entries mean together (`index.py`), and who writes when (`writer.py`).
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple
from zlib import crc32

from mmrace.runtime import files
from mmrace.runtime.decoding import ERRORS
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.entry import Entry, Header, decode, encode

SCHEMA = "mmrace-ledger/1"
SUFFIX = ".jsonl"
SUM_CHARS = 8
CHUNK_BYTES = 4 * files.MIB
LINE_BYTES_MAX = 16 * files.MIB  # of a request with a long list; a batch has half a kilobyte
HEAD_BYTES = 4096  # the first line is shorter
_FAMILY = re.compile(r"mmrace-ledger/(\d{1,6})")


class Damage(NamedTuple):
    """What could not be read.  Args: place: bytes from the beginning of the file.  stop: where it goes on."""

    segment: str
    place: int
    what: str
    stop: int = -1

    def __str__(self) -> str:
        return f"{self.segment} at byte {self.place}: {self.what}"


class Line(NamedTuple):
    """An entry, and where its line is."""

    place: int
    stop: int
    entry: Header | Entry


def line_of(entry: Header | Entry) -> bytes:
    """Return the line of an entry."""
    content = encode(entry)
    return b"%08x %b\n" % (crc32(content), content)


def entry_of(line: bytes) -> Header | Entry:
    """Return the entry of a line without its end.  Raises ValueError, saying what is wrong."""
    said, content = line[:SUM_CHARS], line[SUM_CHARS + 1 :]
    if line[SUM_CHARS : SUM_CHARS + 1] != b" " or b"%08x" % crc32(content) != said:
        raise ValueError("a line with a wrong sum")
    try:
        return decode(content)
    except ERRORS as error:
        raise ValueError(f"an entry of another shape: {error}") from error


def segments_in(folder: Path) -> list[Path]:
    """Return the segments of a ledger, by name: the oldest first.  Raises OSError, but not for want of a folder."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in sorted(names) if name.endswith(SUFFIX) and not name.startswith(".")]


def lines_of(path: Path, place: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """Yield each whole line of a segment, from a place on: where it begins, itself without its end, where it ends.

    Of a line that is longer than any that was written, only the first bytes come.  What comes after the last end of a
    line is not touched: it may be written further (`torn`).  Raises OSError.
    """
    with open(path, "rb") as file:
        file.seek(place)
        rest = b""
        skipped = 0  # bytes of a line that is too long
        while chunk := file.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                stop = place + skipped + len(line) + 1
                yield place, line, stop
                place, skipped = stop, 0
            if len(rest) > LINE_BYTES_MAX:
                skipped += len(rest) - SUM_CHARS
                rest = rest[:SUM_CHARS]


def read_from(path: Path, place: int = 0) -> Iterator[Line | Damage]:
    """Yield the entries of a segment from a place on, and what is damaged.  Raises OSError."""
    for start, line, stop in lines_of(path, place):
        try:
            yield Line(start, stop, entry_of(line))
        except ValueError as error:
            yield Damage(path.name, start, str(error), stop)


def read_at(file: IO[bytes], place: int, stop: int) -> Header | Entry:
    """Return the entry of a line that was read before.  Raises OSError, ValueError."""
    file.seek(place)
    return entry_of(file.read(stop - place - 1))


def torn(path: Path) -> Damage | None:
    """Return what a killed writer left of its last line; None if there is nothing, or it still writes.

    Raises OSError.
    """
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        step = min(end, LINE_BYTES_MAX)
        file.seek(end - step)
        tail = file.read(step)
    if not tail or tail.endswith(b"\n") or is_written(path):
        return None
    place = end - step + tail.rfind(b"\n") + 1
    return Damage(path.name, place, f"{end - place} bytes of a line whose writer was killed")


def check_schema(path: Path) -> None:
    """Raise UsageError if a segment is of a newer format than this mmrace knows."""
    with open(path, "rb") as file:
        head = file.readline(HEAD_BYTES)
    said = re.search(rb'"schema":"([^"]*)"', head)
    version = _FAMILY.fullmatch(said[1].decode(errors="replace")) if said else None
    if version is not None and int(version[1]) > int(SCHEMA.rpartition("/")[2]):
        raise UsageError(
            expected=f"a ledger of format {SCHEMA} or older",
            got=version[0],
            where=str(path),
            try_="a newer mmrace, or another --store",
        )


def lock(descriptor: int) -> bool:
    """Hold a file as long as it is open, if that can be had at once or its file system has no locks; whether so."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def is_written(path: Path) -> bool:
    """Say whether a process has a segment open for writing, as far as its file system tells.  Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
