"""A store made smaller: the newest findings stay, and segments that nobody writes become one.

Batches of one sequence and campaign that lie side by side become one batch, where they were made in the same hour: the
sums stay, and when each was made is known to the hour.  What does not count stays as it is.  Invariant: what the index
counts is the same before and after, at whatever moment it is stopped: the new segment is there before the old ones go,
and its batches contain theirs.  A damaged segment stays as it is.  Not here: what a campaign does (it may run).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from mmrace.runtime import files
from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.entry import Batch, Beat, Entry, Header, Met, Sequence, encode, now
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.merging import FINDINGS
from mmrace.search.ledger.ranges import is_piece
from mmrace.search.ledger.segment import SCHEMA, Damage, is_written, line_of, read_at, read_from, segments_in
from mmrace.search.ledger.sums import Sums
from mmrace.search.ledger.writer import new_name

HOUR_SECONDS = 3600.0
BEAT_SECONDS = 300.0
"""Heartbeats that stay are so far apart: a curve of a night has a hundred."""
OPEN_MAX = 100  # files at once


@dataclass(slots=True)
class Pruned:
    """What came of pruning.

    Args: findings, kept: folders that went, and those that stayed.  segments, left: files before and after.  freed:
    bytes of all that.  told: what stayed as it was, and why.
    """

    findings: int = 0
    kept: int = 0
    segments: int = 0
    left: int = 0
    freed: int = 0
    told: list[str] = field(default_factory=list)


def prune(folder: Path, keep: int) -> Pruned:
    """Make a store smaller.

    Args: keep: findings that stay, the newest ones; and all that a running campaign has.  Raises UsageError.
    """
    if not any((folder / name).is_dir() for name in (LEDGER, FINDINGS)):
        raise UsageError(expected="a store", got="none there", where=str(folder), try_="the folder that --store named")
    pruned = Pruned()
    try:
        index = Index.open(folder)
        try:
            running = [row.begun.when for row in index.campaigns() if row.running and row.begun is not None]
            _findings(folder / FINDINGS, keep, min(running, default=None), pruned)
            _segments(folder / LEDGER, index, pruned)
        finally:
            index.close()
    except OSError as error:
        raise UsageError(
            expected="a store that can be written",
            got=error.strerror or str(error),
            where=str(error.filename or folder),
            try_="mend that, and prune again: nothing is lost",
        ) from error
    return pruned


# -- findings -------------------------------------------------------------------------------------------------------


def _findings(folder: Path, keep: int, since: float | None, pruned: Pruned) -> None:
    """Remove all but the newest findings.  Args: since: what is younger stays too."""
    if not folder.is_dir():
        return
    found = sorted(
        ((_touched(path), path) for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
        reverse=True,
    )
    for number, (touched, path) in enumerate(found):
        if number < keep or (since is not None and touched >= since):
            pruned.kept += 1
            continue
        pruned.freed += sum(file.stat().st_size for file in path.iterdir())
        gone = folder / files.temporary_name()
        os.rename(path, gone)  # nobody sees half of it
        shutil.rmtree(gone)
        pruned.findings += 1


def _touched(folder: Path) -> float:
    """Return when a finding was last met."""
    return max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)


# -- segments -------------------------------------------------------------------------------------------------------


def _segments(folder: Path, index: Index, pruned: Pruned) -> None:
    """Make one segment of those that nobody writes."""
    paths = segments_in(folder)
    pruned.segments = pruned.left = len(paths)
    old = [path for path in paths if not is_written(path)]
    damaged = {damage.segment for damage in index.damage}
    pruned.told += [f"{folder / name} stays as it is: a part of it is damaged" for name in sorted(damaged)]
    old = [path for path in old if path.name not in damaged]
    if not old or (len(old) == 1 and _is_pruned(old[0])):
        return
    before = sum(path.stat().st_size for path in old)
    target = folder / new_name()
    temporary = folder / files.temporary_name()
    try:
        with open(temporary, "xb") as out:
            for entry in _entries(old, index):
                out.write(line_of(entry))
            out.flush()
            os.fsync(out.fileno())
        os.rename(temporary, target)
        files.sync_folder(folder)
    finally:
        temporary.unlink(missing_ok=True)
    for path in old:
        path.unlink()
    pruned.left = len(segments_in(folder))
    pruned.freed += before - target.stat().st_size
    index.refresh()


def _is_pruned(path: Path) -> bool:
    first = next(read_from(path), None)
    return (
        first is not None and not isinstance(first, Damage) and isinstance(first.entry, Header) and first.entry.pruned
    )


def _entries(old: list[Path], index: Index) -> Iterator[Header | Entry]:
    """Yield what stays of some segments."""
    yield Header(SCHEMA, socket.gethostname(), os.getpid(), now(), pruned=True)
    said: set[object] = set()
    beats: dict[str, float] = {}
    mets: dict[tuple[str, str, str, str, str], list[Met]] = {}
    for path in old:
        for line in read_from(path):
            if isinstance(line, Damage) or isinstance(line.entry, Batch | Header):
                continue
            entry = line.entry
            if isinstance(entry, Beat):
                if entry.when - beats.get(entry.campaign, 0.0) >= BEAT_SECONDS:
                    beats[entry.campaign] = entry.when
                    yield entry
            elif isinstance(entry, Met):  # the first time and the last one count, whatever segments are called
                owner = *entry.whose, entry.campaign
                met = sorted([*mets.get(owner, []), entry], key=lambda met: (met.when, encode(met)))
                mets[owner] = met[:1] if met[0] == met[-1] else [met[0], met[-1]]
            elif (key := _key(entry)) not in said:
                said.add(key)
                yield entry
    for met in mets.values():
        yield from met
    places = {path.name: path for path in old}
    yield from joined(_batches(places, index.places()))
    yield from _batches(places, index.repeated())  # their campaigns made them; joined, they could count


def _key(entry: Entry) -> object:
    """Return what an entry is known by: another one with the same says nothing new."""
    return entry.key if isinstance(entry, Sequence) else line_of(entry)


def _batches(old: Mapping[str, Path], places: Iterable[tuple[str, int, int]]) -> Iterator[Batch]:
    """Yield the batches of some segments, in the order of their places."""
    opened: dict[str, IO[bytes]] = {}
    with contextlib.ExitStack() as stack:
        for name, place, till in places:
            if name not in old:
                continue
            if name not in opened:
                if len(opened) >= OPEN_MAX:
                    opened.clear()
                    stack.close()
                opened[name] = stack.enter_context(open(old[name], "rb"))
            entry = read_at(opened[name], place, till)
            assert isinstance(entry, Batch), entry
            yield entry


def joined(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Join batches that lie side by side, as far as that makes pieces.  Args: by sequence, then by first turn."""
    waiting: list[Batch] = []
    for batch in batches:
        if waiting and waiting[-1].sequence != batch.sequence:
            yield from waiting
            waiting.clear()
        waiting.append(batch)
        while len(waiting) > 1 and _fit(waiting[-2], waiting[-1]):
            last = waiting.pop()
            first = waiting.pop()
            sums = Sums()
            sums.add(first.sums)
            sums.add(last.sums)
            waiting.append(Batch(first.sequence, first.first, last.stop, last.when, first.campaign, sums))
    yield from waiting


def _fit(one: Batch, other: Batch) -> bool:
    return (
        one.stop == other.first
        and one.campaign == other.campaign
        and one.when // HOUR_SECONDS == other.when // HOUR_SECONDS
        and other.stop - other.first == one.stop - one.first
        and is_piece(one.first, other.stop)
    )
