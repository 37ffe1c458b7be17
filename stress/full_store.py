"""Findings and batches that this process keeps on disks of many sizes; and how to have such a disk.

A file system in memory has whole pages; the ledger, whose lines are shorter, is cut at any byte instead.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mmrace.installed import run_one
from mmrace.runs.functions import KIND
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore, harness_finding
from mmrace.runtime.errors import MmraceError
from mmrace.runtime.record import Record
from mmrace.search.ledger.entry import Batch, Sequence
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.sums import Sums
from stress.kept_campaign import came, findings
from stress.watched import size

PAGE_BYTES = 4096
ROOMY = "64m"
FINDINGS, BATCHES = 4, 64
SEQUENCE = Sequence(revision="r1", program="writers", seed=1, engine="fiber")
CAMPAIGN = "20231114T221320-0000000a"


# -- disks ----------------------------------------------------------------------------------------------------------


@contextmanager
def disk(place: Path, bytes_: int | str) -> Iterator[Path]:
    """Have a file system of so many bytes for the length of the block."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={bytes_}", "mmrace", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def remount(place: Path, options: str) -> None:
    """Change a file system."""
    _mount("-o", f"remount,{options}", str(place))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def refused() -> str:
    """Say why there can be no mounts of one's own; "" if there can."""
    words = [*unshare(), "mount", "-t", "tmpfs", "mmrace", "/mnt"]
    tried = subprocess.run(words, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip() or f"exit code {tried.returncode}"


def unshare() -> list[str]:
    """Return the begin of a command that has mounts of its own."""
    return ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


# -- findings -------------------------------------------------------------------------------------------------------


def failing(seed: int) -> RunResult:
    """Return a run with a finding of its own."""
    spec = RunSpec("mmrace/examples/lost_update.py:main", engine="fiber", strategy="random", seed=seed, maker=KIND)
    result = run_one(spec, keep_record=True)
    return replace(result, verdict="FAIL", findings=[harness_finding(f"a rule {seed}", "a title", None)])


def findings_kept(folder: Path, positions: int) -> Iterator[str]:
    """Yield what is wrong with findings on disks of so many sizes."""
    results = [failing(seed) for seed in range(FINDINGS)]
    unsaved = 0
    for pages in range(2, 2 + positions):
        with disk(folder / "findings", pages * PAGE_BYTES) as place:
            saves = [one for result in results for one in FindingStore(place / "findings").save(result).values()]
            there = {str(path) for path in findings(place)}
            told = {save.folder for save in saves if save.folder}
            if told != there:
                yield f"{pages} pages: it tells of {sorted(told)}, there are {sorted(there)}"
            yield from (f"{pages} pages: {wrong}" for wrong in unread(there))
            silent = [save for save in saves if not save.folder and "No space left" not in save.error]
            yield from (f"{pages} pages: it does not say why: {save}" for save in silent)
            if left := [path.name for path in (place / "findings").iterdir() if path.name.startswith(".")]:
                yield f"{pages} pages: it has left {left}"
            unsaved += sum(bool(save.error) for save in saves)
    print(f"findings: {positions} sizes, {unsaved} of {positions * FINDINGS} said to be not kept")


def unread(folders: Iterable[str]) -> Iterator[str]:
    """Yield which of these findings are not whole."""
    for folder in folders:
        path = Path(folder, "record.jsonl")
        try:
            Record.read(path)
        except (MmraceError, OSError) as error:
            yield f"{path}: {error}"


# -- the ledger -----------------------------------------------------------------------------------------------------


class Disk:
    """Takes so many bytes, and the part of a write that still goes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, descriptor: int, content: bytes) -> int:
        """As `os.write`."""
        part = content[: self.room]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= len(part)
        return os.write(descriptor, part)


def batch(number: int) -> Batch:
    """Return a batch of one run, whose line is of some length."""
    marks = {f"mark {i}": number for i in range(1 + number % 40)}
    return Batch(SEQUENCE.key, number, number + 1, 0.0, CAMPAIGN, Sums(1, 10, 0.1, marks=marks))


def _added(folder: Path, disk_: Disk) -> Ledger:
    ledger = Ledger.open(folder, index=False, write=disk_.write)
    for number in range(BATCHES):
        ledger.add(batch(number), SEQUENCE)
        if number % 8 == 7:
            ledger.flush()
    return ledger


def batches_kept(folder: Path, positions: int) -> Iterator[str]:
    """Yield what is wrong with a ledger whose disk is full at so many places."""
    _added(folder / "whole", Disk(1 << 30)).close()
    whole, unkept = size(folder / "whole"), 0
    for position in range(positions):
        place, room = folder / f"ledger-{position}", position * whole // positions
        disk_ = Disk(room)
        ledger = _added(place, disk_)
        waiting, found = ledger.unkept, came(place)
        unkept += waiting
        if (found.runs, found.twice) != (BATCHES - waiting, 0):
            yield f"{room} bytes: {found.runs} of {BATCHES} runs are kept, and it says that {waiting} are not"
        if "No space left" not in ledger.complaint:
            yield f"{room} bytes: it does not say why {waiting} runs are not kept: {ledger.complaint!r}"
        disk_.room = 1 << 30
        ledger.close()
        if (came(place).runs, ledger.unkept, ledger.complaint) != (BATCHES, 0, ""):
            yield f"{room} bytes, and then room: {came(place).runs} of {BATCHES} runs are kept, {ledger.complaint!r}"
    print(f"ledger: {positions} places in {whole:,} bytes, {unkept} of {positions * BATCHES} runs said to be not kept")
