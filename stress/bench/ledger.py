"""What a ledger costs: to add to it, to open it, to go on, to ask, and to make its index anew.

    python stress/bench/ledger.py [--batches N] [--sequences N] [--folder PATH] [--strict]

A store is filled with N batches (100,000) of eight runs each, with marks and classes as a campaign has them, of 100
sequences in turn.  Then each of these is timed in a process of its own: the index made anew, a store opened to go on
(`Ledger.open`, and what is covered of each sequence), the sums and the lives asked for, and a shard's look at what is
covered, without an index; and the page of its night.  With --strict the exit code is 1 if adding a batch takes 0.1 ms
or more of CPU time, opening a store to go on 5 seconds, or making the page 10 seconds or 2 MB.  Seconds are those of
the CPU, then those on the wall, which other work on the machine makes longer.  Not measured: a disk that is slow to
sync.
"""

from __future__ import annotations

import argparse
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mmrace import installed
from mmrace.report.night.gathered import gather
from mmrace.report.night.page import page_of
from mmrace.search.ledger.database import FILE
from mmrace.search.ledger.entry import Batch, Sequence
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.segment import segments_in
from mmrace.search.ledger.sketch import ClassSketch
from mmrace.search.ledger.sums import Sums

RUNS = 8
ADD_SECONDS_MAX = 0.0001
RESUME_SECONDS_MAX = 5.0
PAGE_SECONDS_MAX = 10.0
PAGE_BYTES_MAX = 2_000_000
MARKS = tuple(f"a rare branch, number {number}" for number in range(40))
EACH_SECONDS = 0.1  # between batches, as a campaign of two workers has them


def sequences(count: int) -> list[Sequence]:
    """Return so many sequences."""
    return [Sequence("r", f"program-{number}", 1, "fiber", strategy="portfolio") for number in range(count)]


def sums(draw: random.Random) -> Sums:
    """Return what comes of a batch: every fourth mark is reached, every second class was met before."""
    marks = {mark: draw.randrange(1, RUNS) for mark in draw.sample(MARKS, 8)}
    classes = ClassSketch.of(draw.getrandbits(61) if draw.random() < 0.5 else draw.randrange(2000) for _ in range(RUNS))
    hits = {"0123456789ab": 1} if draw.random() < 0.001 else {}
    return Sums(RUNS, 1000 * RUNS, 0.2, verdicts={"PASS": RUNS}, marks=marks, hits=hits, sketch=classes)


def fill(folder: Path, batches: int, count: int) -> float:
    """Fill a store; return CPU seconds of adding a batch."""
    draw = random.Random(1)
    rows = sequences(count)
    seconds = 0.0
    with Ledger.open(folder) as ledger:
        when = time.time() - batches * EACH_SECONDS
        campaign = ledger.begin(command="stress/bench/ledger.py", when=when)
        for number in range(batches):
            turn, place = divmod(number, count)
            row = rows[place]
            when += EACH_SECONDS
            batch = Batch(row.key, turn * RUNS, (turn + 1) * RUNS, round(when, 3), campaign, sums(draw))
            began = time.process_time()
            ledger.add(batch, row)
            seconds += time.process_time() - began
    return seconds / batches


def rebuild(folder: Path, count: int) -> None:
    """Make the index anew."""
    (folder / LEDGER / FILE).unlink(missing_ok=True)
    Index.open(folder).close()


def resume(folder: Path, count: int, *, index: bool = True) -> None:
    """Open a store and ask what is covered of each sequence."""
    with Ledger.open(folder, index=index) as ledger:
        for row in sequences(count):
            ledger.covered(row)


def shard(folder: Path, count: int) -> None:
    """Do the same without an index."""
    resume(folder, count, index=False)


def ask(folder: Path, count: int) -> None:
    """Ask for the sums, for an hour of them, and for the lives."""
    index = Index.open(folder)
    total = index.sums()
    hour = index.series(3600)
    print(f"    {total.runs:,} runs, {len(hour)} hours, {len(index.lives())} findings, {total.sketch}")


def look(folder: Path, count: int) -> None:
    """Make an index in memory, as a page does."""
    Index.read_only(folder).close()


def page(folder: Path, count: int) -> None:
    """Make the page of its night, with charts."""
    index = Index.read_only(folder)
    text = page_of(gather(index, folder, installed.book_of))
    index.close()
    print(f"    {len(text.encode()) / 1e6:.2f} MB of page")
    if len(text.encode()) > PAGE_BYTES_MAX:
        raise SystemExit(f"the page is larger than {PAGE_BYTES_MAX:,} bytes")


TASKS: dict[str, Callable[[Path, int], None]] = {
    "rebuild": rebuild, "resume": resume, "shard": shard, "ask": ask, "look": look, "page": page,
}  # fmt: skip


def timed(task: str, folder: Path, count: int) -> float:
    """Return CPU seconds of a task in a process of its own, and print them and those on the wall."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, __file__, "--task", task, "--folder", folder, "--sequences", str(count)], check=True
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{task:8} {seconds:8.2f} s {wall:8.2f} s    {TASKS[task].__doc__}", flush=True)
    return seconds


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batches", type=int, default=100_000)
    parser.add_argument("--sequences", type=int, default=100)
    parser.add_argument(
        "--folder", type=Path, help="where the store is made, and stays; a temporary folder if not given"
    )
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.task:
        TASKS[asked.task](asked.folder, asked.sequences)
        return 0
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="mmrace-ledger-"))
    try:
        each = fill(folder, asked.batches, asked.sequences)
        size = sum(path.stat().st_size for path in segments_in(folder / LEDGER))
        print(f"{asked.batches:,} batches, {size / asked.batches:.0f} bytes each, {size / 1e6:.1f} MB of segments")
        print(f"add      {each * 1e3:8.4f} ms   a batch, of CPU time")
        timed("look", folder, asked.sequences)
        timed("rebuild", folder, asked.sequences)
        print(f"         {(folder / LEDGER / FILE).stat().st_size / 1e6:8.1f} MB  of index")
        took = timed("resume", folder, asked.sequences)
        for task in ("ask", "look", "shard"):
            timed(task, folder, asked.sequences)
        made = timed("page", folder, asked.sequences)
    finally:
        if asked.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return int(asked.strict and (each >= ADD_SECONDS_MAX or took >= RESUME_SECONDS_MAX or made >= PAGE_SECONDS_MAX))


if __name__ == "__main__":
    sys.exit(main())
