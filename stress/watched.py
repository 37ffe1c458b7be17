"""What /proc tells from outside of a command and of all that it started: memory, threads, open files, CPU time.

Who belongs to a command is known by a mark in its environment, which its children inherit and keep when it is gone.
A process that ends while it is looked at is not seen.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
CAMPAIGN, WORKER, TRACKER = "campaign", "worker", "tracker"
MEMORY = {"Pss": "pss", "Private_Clean": "private", "Private_Dirty": "private"}
"""Rows of smaps_rollup -> what they are part of."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One process at one moment.  Memory in bytes; `pss` and `private` are 0 where the kernel does not tell them."""

    pid: int
    role: str
    rss: int
    pss: int
    private: int
    threads: int
    fds: int
    cpu_seconds: float


def having(mark: str) -> list[int]:
    """Return the processes that have this in their environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
        except OSError:  # it has ended
            continue
    return sorted(found)


def look(pid: int, campaign: int) -> Seen | None:
    """Return how a process is; None if it is gone.  Args: campaign: the process that started the others."""
    place = Path("/proc", str(pid))
    try:
        words = (place / "cmdline").read_bytes()
        stat = (place / "stat").read_text().rpartition(") ")[2].split()
        rss = int((place / "statm").read_text().split()[1]) * PAGE_BYTES
        fds = len(os.listdir(place / "fd"))
    except OSError:
        return None
    role = CAMPAIGN if pid == campaign else TRACKER if b"resource_tracker" in words else WORKER
    memory = _memory(place)
    cpu = (int(stat[11]) + int(stat[12])) / TICKS_PER_SECOND
    return Seen(pid, role, rss, memory["pss"], memory["private"], int(stat[17]), fds, cpu)


def _memory(place: Path) -> dict[str, int]:
    found = dict.fromkeys(MEMORY.values(), 0)
    try:
        lines = (place / "smaps_rollup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        name, _, value = line.partition(":")
        if name in MEMORY:
            found[MEMORY[name]] += int(value.split()[0]) * 1024
    return found


def size(folder: Path) -> int:
    """Return the bytes of all files under a folder."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # replaced just now
                continue
    return total
