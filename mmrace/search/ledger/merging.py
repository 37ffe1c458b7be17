"""Several stores made one: segments by name, findings by signature and owner.

Invariant: it does not matter in which order stores are merged, how often, or who merges them: what a ledger counts is a
function of its lines (`intake.py`), and each segment is of one writer.  Nothing that is there is lost: a segment gives
way only to one that begins with it.  Not here: what counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmrace.runs.store import FindingStore
from mmrace.runs.taken import take_in
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.index import LEDGER
from mmrace.search.ledger.segment import CHUNK_BYTES, check_schema, segments_in

FINDINGS, CANARIES = "findings", "canaries"
"""Folders of a store: of its findings, and of each planted bug's."""


@dataclass(slots=True)
class Merged:
    """What came of merging.

    Args: segments, longer: those that are new here, and those that gave way to a longer copy.  findings: folders that
    are new here.  told: what could not be taken, and why.
    """

    segments: int = 0
    longer: int = 0
    findings: int = 0
    told: list[str] = field(default_factory=list)


def merge(into: Path, sources: Iterable[Path]) -> Merged:
    """Merge stores into one, which need not be there.

    Raises UsageError for what is no store, a ledger of a newer mmrace, and a disk that takes no more: then it can be
    done again.
    """
    sources = list(sources)
    merged = Merged()
    for source in sources:
        _check(source)
    try:
        for source in sources:
            if into.exists() and os.path.samefile(source, into):
                continue
            for path in segments_in(source / LEDGER):
                _segment(path, into / LEDGER / path.name, merged)
            for folder, store in _findings(source, into):
                saved = take_in(folder, store)
                merged.findings += bool(saved.folder) and not saved.before
                if saved.error:
                    merged.told.append(f"{folder}: {saved.error}")
    except OSError as error:
        raise UsageError(
            expected="stores that can be read, and one that can be written",
            got=error.strerror or str(error),
            where=str(error.filename or into),
            try_="mend that, and merge again: what was merged already is not counted twice",
        ) from error
    return merged


def _check(source: Path) -> None:
    """Raise UsageError for what is no store that this mmrace can read."""
    if not any((source / name).is_dir() for name in (LEDGER, FINDINGS)):
        raise UsageError(
            expected=f"a store, a folder with {LEDGER}/ or {FINDINGS}/ in it",
            got="none" if source.is_dir() else "no such folder",
            where=str(source),
            try_="the folder that --store named",
        )
    for path in segments_in(source / LEDGER):
        check_schema(path)


def _findings(source: Path, into: Path) -> Iterator[tuple[Path, FindingStore]]:
    """Yield each folder of a finding, and where it belongs."""
    places = [(source / FINDINGS, into / FINDINGS)]
    if (source / CANARIES).is_dir():
        places += [(path, into / CANARIES / path.name) for path in sorted((source / CANARIES).iterdir())]
    for place, target in places:
        if place.is_dir():
            for folder in sorted(place.iterdir()):
                if folder.is_dir() and not folder.name.startswith("."):
                    yield folder, FindingStore(target)


def _segment(path: Path, target: Path, merged: Merged) -> None:
    """Take the whole lines of a segment in.  Raises OSError."""
    size = _whole(path)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(path, size, target)
        merged.segments += 1
        return
    there = _whole(target)  # half a line behind that was cut since by its writer
    if not _begins(path, target, min(size, there)):
        merged.told.append(f"{path}: not taken, for {target} begins otherwise; was one of them changed by hand?")
    elif size > there:
        _copy(path, size, target)
        merged.longer += 1


def _whole(path: Path) -> int:
    """Return how many bytes a segment has up to its last end of a line."""
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - CHUNK_BYTES)
            file.seek(start)
            place = file.read(end - start).rfind(b"\n")
            if place >= 0:
                return start + place + 1
            end = start
    return 0


def _begins(one: Path, other: Path, left: int) -> bool:
    """Say whether two files are the same up to a place."""
    with open(one, "rb") as first, open(other, "rb") as second:
        while left:
            size = min(left, CHUNK_BYTES)
            mine, theirs = first.read(size), second.read(size)
            if mine != theirs or not mine:
                return False
            left -= len(mine)
    return True


def _copy(path: Path, left: int, target: Path) -> None:
    """Copy so many bytes of a file under another name, and give it its own when it is whole and on the disk."""
    temporary = target.with_name(files.temporary_name())
    try:
        with open(path, "rb") as source, open(temporary, "xb") as out:
            while left and (chunk := source.read(min(left, CHUNK_BYTES))):
                out.write(chunk)
                left -= len(chunk)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, target)
        files.sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)
