"""A finding's folder from elsewhere, taken into a store: of another store, another machine, or a worker far away.

Invariant: the store's own evidence stays, unless what comes can be repeated and what is there cannot; whatever gives
way, and whatever came before, is a hit of what is kept, once each, however often a folder is taken in.  What a folder
says of its own place is said of its new one.  Not here: whether its run can be made by this mmrace; a replay says so.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from mmrace.runs import kept
from mmrace.runs.kept import Kept
from mmrace.runs.store import ATTEMPTS_MAX, HITS_BYTES_MAX, FindingStore, Saved, hit_line, take_name
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.strategies import retrace

COMMAND = "command.txt"
TEXTS = (kept.SUMMARY, kept.TEXT, COMMAND)
_RETRACED = re.compile(rf"{retrace.NAME}:record=[^\s\"']*")
_REPLAYED = re.compile(rf"(?m)(?<!\S)mmrace replay .*/{re.escape(kept.RECORD)}'?$")


def take_in(source: Path, store: FindingStore) -> Saved:
    """Take a finding's folder into a store: by copying it, or as hits of what is there.  Raises nothing."""
    failure: OSError | None = None
    for _ in range(ATTEMPTS_MAX):
        theirs = kept.read(source)
        if theirs is None or not theirs.signature:
            return Saved(error=f"no whole finding: {source}")
        try:
            return _taken(source, theirs, store)
        except (FileNotFoundError, FileExistsError) as error:  # another process replaces a folder, or was first
            failure = error
        except OSError as error:
            failure = error
            break
    return Saved(error=f"{type(failure).__name__}: {failure}")


def _taken(source: Path, theirs: Kept, store: FindingStore) -> Saved:
    final = store.own(theirs.signature, theirs.owner)
    if final.exists() and os.path.samefile(source, final):
        return Saved(str(final), before=True, since=theirs.since)
    place = _Place(source, theirs, final)
    if not final.exists():
        store.folder.mkdir(parents=True, exist_ok=True)
        if store.is_full():
            return Saved(error=store.full)
        _put(place, None)
        return Saved(str(final), since=theirs.since)
    ours = kept.read(final)
    if ours is not None and _worth(theirs) > _worth(ours):
        _put(place, ours)
        return Saved(str(final), since=theirs.since)
    _add(final, _hits(source, place, theirs), ours)
    return Saved(str(final), before=True, since=ours.since if ours is not None else kept.UNDATED)


def _worth(one: Kept) -> tuple[bool, bool]:
    """Say how well a kept finding can be repeated."""
    return one.recorded and one.engine != "free", one.recorded


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder, and where it goes."""

    source: Path
    theirs: Kept
    final: Path

    def said(self, text: str) -> str:
        """Return a text of the folder, with its new place in it."""
        text = _RETRACED.sub(lambda match: self.strategy(match[0]), text)
        new = shlex.join(["mmrace", "replay", str(self.final / kept.RECORD)])
        return _REPLAYED.sub(lambda _: new, text)

    def strategy(self, text: str) -> str:
        """Return a strategy that follows the record of free threads in the folder, from its new place."""
        if not (self.source / kept.FREE).is_file():
            return text
        with contextlib.suppress(UsageError):
            return retrace.with_record(text, os.path.abspath(self.final / kept.FREE))
        return text


def _put(place: _Place, ours: Kept | None) -> None:
    """Copy a folder to its place.  Args: ours: what is there, and gives way.  Raises OSError."""
    store = place.final.parent
    temporary = store / files.temporary_name()
    replaced = store / f"{temporary.name}.old"
    try:
        _copy(place, temporary)
        if ours is not None:
            _add(temporary, _hits(place.final, None, ours), place.theirs)
            os.rename(place.final, replaced)
        if not take_name(temporary, place.final, replaced):
            raise FileExistsError(errno.EEXIST, "another process was first", str(place.final))
    finally:
        for folder in (temporary, replaced):
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)


def _copy(place: _Place, to: Path) -> None:
    """Copy the regular files of a folder; follow no link.  Raises OSError."""
    to.mkdir()
    for path in sorted(place.source.iterdir()):
        if not stat.S_ISREG(path.lstat().st_mode):
            continue
        if path.name in TEXTS or path.name == kept.HITS:
            text = path.read_text("utf-8", "backslashreplace")
            files.write_whole(to / path.name, [place.said(text)])
        elif path.name != kept.RECORD or not _copied_record(place, path, to):
            shutil.copyfile(path, to / path.name, follow_symlinks=False)
            with open(to / path.name, "rb") as copied:
                os.fsync(copied.fileno())
    for path in to.iterdir():  # when it was met last is told by its files
        there = (place.source / path.name).stat()
        os.utime(path, ns=(there.st_atime_ns, there.st_mtime_ns))
    files.sync_folder(to)


def _copied_record(place: _Place, path: Path, to: Path) -> bool:
    """Write a record whose strategy names a file of the folder; whether it is one.  Raises OSError."""
    if place.theirs.engine == "free" or not (place.source / kept.FREE).is_file():
        return False
    try:
        record = Record.read(path)
    except UsageError:
        return False
    record.header["strategy"] = place.strategy(str(record.header.get("strategy", "")))
    record.write(to / kept.RECORD)
    return True


def _hits(folder: Path, place: _Place | None, one: Kept) -> list[str]:
    """Return the hits that a folder stands for: its own run, and what it has counted."""
    try:
        content = files.read_whole(folder / kept.HITS, 2 * HITS_BYTES_MAX, what="file of hits", try_="")
    except UsageError:  # there are none
        content = b""
    lines = [hit_line(one.seed, one.command), *content.decode(errors="replace").splitlines()]
    return lines if place is None else [place.said(line) for line in lines]


def _add(folder: Path, lines: list[str], ours: Kept | None) -> None:
    """Count hits that a folder has not counted yet.  Raises OSError."""
    there = set(_hits(folder, None, ours)) if ours is not None else set()
    size = sum(map(len, there))
    for line in lines:
        if line not in there and size <= HITS_BYTES_MAX:
            files.append_line(folder / kept.HITS, line)
            there.add(line)
            size += len(line)
