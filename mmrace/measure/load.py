"""The load of the table: who does what, how slow the disks are, how large memory is, and why.

All of it was settled, and committed, before the first table was made.  Invariant: a row differs from another in what is
read and where it is written, and in nothing else; a change (`CHANGES`) alters one thing.

Who: a process that wants huge pages, while a disk is read from begin to end again and again, and a file is copied or
written on a slow disk, both for as long as the process lives: the test of the series' cover letter.

Sizes.  A huge page of 4 small ones (512 on x86): the smallest whose pageblock can be fragmented by one page of a file
and still be worth a scan.  96 page frames, 24 pageblocks; the process asks for 24 huge pages, memory's size, as in the
cover letter, and keeps the last 12: the other half is for the page cache, since nothing here can be swapped out.  The
file that is written has 8 pages, 8 % of memory: in the logs of a real kernel under such a load (6.1, ext4, ordered) the
threshold from which background writeback writes was 7,323 of 82,432 free pages, 9 %, and dirty pages stayed there.  In
"file to file" both files have 24 pages, so that reading them does not end in the cache; 8 are cached at first.  Two
frames are kept free (`kept`), some 2 % of memory, as min_free_kbytes on a small machine.  Two CPUs, as the logs.

Time.  A tick is one op of a CPU: a lock, a bit, a word; if that were a microsecond, a disk of 100 MB/s needed 40 ticks
for 4 KiB, and a stick of 8 MB/s 500: so `fast` and `slow`.  Not more is claimed of a tick.  Eight requests fit into a
queue (128 in the kernel, for memory 10,000 times as large).  A pause of up to 400 ticks before each round: undisturbed,
the process maps 96 pages while some 50 (ext3) to 120 (VFAT) are written; in the logs it was one written for each three
to four faulted, under a load that did more besides copying: the copy is endless here, as in the cover letter.

What is not in it: kswapd, which does not run in this model, so that all reclaim is direct; throttling of who dirties
pages; a process that dies or is killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmrace.runtime.param import Value

ERAS = ("3.1", "3.2", "3.2+trylock", "3.2+sync-light", "3.3", "3.4")
STALLED = "hugepage"
"""The actor whose waits are the stalls of the table."""

FAST, SLOW = 40, 500  # ticks of an I/O
FRAMES = 96

_ALL: Mapping[str, Value] = {
    "huge": 2, "frames": FRAMES, "kept": 2, "cpus": 2, "faults": 24, "held": 12, "idle": 400, "requests": 8,
    "passes": 10, "streamed": 64, "window": 8, "rounds": 1,
}  # fmt: skip
_RAW: Mapping[str, Value] = {"streams": "device", "raw": 256, "raw_ticks": FAST, "pages": 8}


@dataclass(frozen=True)
class Row:
    """One test: a scenario and its parameters."""

    name: str
    scenario: str
    params: Mapping[str, Value]


ROWS = (
    Row("raw device to VFAT", "huge-pages-vs-copy", {**_ALL, **_RAW, "ticks": FAST, "stick_ticks": SLOW}),
    Row("raw device to ext4-like", "huge-pages-vs-writer", {**_ALL, **_RAW, "ticks": SLOW, "burst": 8}),
    Row(
        "file to file, VFAT",
        "huge-pages-vs-copy",
        {**_ALL, "streams": "file", "pages": 24, "cold": 16, "ticks": FAST, "stick_ticks": SLOW},
    ),
)

_TICKS = ("ticks", "stick_ticks", "raw_ticks")


@dataclass(frozen=True)
class Change:
    """One thing of the load, halved or doubled.  `factor`: of each of these parameters."""

    name: str
    params: tuple[str, ...]
    factor: float

    def applied(self, row: Row) -> Row:
        """Return a row with its parameters changed; what it does not have stays away."""
        changed = {name: max(1, int(int(row.params[name]) * self.factor)) for name in self.params if name in row.params}
        return Row(row.name, row.scenario, {**row.params, **changed})


CHANGES = (
    Change("load halved", ("idle",), 2.0),
    Change("load doubled", ("idle",), 0.5),
    Change("storage twice as fast", _TICKS, 0.5),
    Change("storage twice as slow", _TICKS, 2.0),
    Change("zone halved", ("frames", "faults", "held"), 0.5),
    Change("zone doubled", ("frames", "faults", "held"), 2.0),
)
"""For `--sensitivity`.  The load is how often everybody plays: the pauses; in each zone the process maps its size."""
