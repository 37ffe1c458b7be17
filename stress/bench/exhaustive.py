"""How far DPOR goes on the casts: classes, executions, seconds; to the end where it can, else as far as the time goes.

    python stress/bench/exhaustive.py [--seconds S] [--json FILE] [--strict] [NAME...]

Each entry of `ENTRIES` is one program with its parameters, printed as the command that repeats it.  Oracles judge each
class; a finding would be printed.  Told are classes and executions, what happened in them, and seconds: by the clock,
and of CPU, which other work on the machine moves less.  With --strict the exit code is 1 unless each walk passed, to
the end where `ENTRIES` expects that.  Not measured: several processes, since a walk is one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mmrace.installed import MAKERS
from mmrace.runtime import files
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.cores import cores
from mmrace.search.totals import Hit

ONE_ROUND: dict[str, int | str] = {
    "rounds": 1,
    "migrations": 1,
    "idle": 0,
    "irq": "idle",
    "warm": 4,
    "pagevec": 14,
}
"""One round of each actor; completions on a CPU of their own, the log's pages cached, no pagevec that fills: what is
left is what the protocol itself makes meet."""
PAIR: dict[str, int | str] = {**ONE_ROUND, "without": "reader,writer"}

TWO_COMPACTORS: dict[str, int | str] = {
    "rounds": 1,
    "idle": 0,
    "irq": "idle",
    "pagevec": 14,
    "buffers": 1,
    "words": 1,
    "bare": 100,
    "huge": 2,
    "passes": 1,
    "compacts": "direct-sync",
    "without": "reader,hugepage,migrator",
}
"""Two direct compactors, with nobody else.  The zone is the smallest in which they find memory scattered enough: below
16 frames an allocation of order 2 fails for want of memory, and they would not begin."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One program; `whole`: it is expected to be walked to its end; `era`: "" for the model's own."""

    name: str
    scenario: str
    params: dict[str, int | str]
    whole: bool = True
    era: str = ""


FAULT: dict[str, int | str] = {
    **{key: value for key, value in ONE_ROUND.items() if key != "warm"},
    "accesses": 1, "buffers": 1, "pages": 1, "passes": 1, "touched": 1, "words": 1, "without": "zapper,reader",
}  # fmt: skip
"""One access to one word of a page that is mapped already, and one migration of it."""


ANON: dict[str, int | str] = {
    **{key: value for key, value in FAULT.items() if key != "without"},
    "bare": 100, "batch": 1, "heap": 1, "without": "unmapper",
}  # fmt: skip
"""One access to one word of an anonymous page that is there already, and one migration of it; the file's page stays."""
UNMAPPED = {**ANON, "without": "heap"}
"""One munmap of such a page, and one migration of it."""


ENTRIES = (
    Entry("async-1", "async-vs-commit", {**PAIR, "buffers": 1, "dirtied": 1, "passes": 1}),
    Entry("async-1-in-3.1", "async-vs-commit", {**PAIR, "buffers": 1, "dirtied": 1, "passes": 1}, era="3.1"),
    Entry("async-1-in-3.2", "async-vs-commit", {**PAIR, "buffers": 1, "dirtied": 1, "passes": 1}, era="3.2"),
    Entry("async-1-retry", "async-vs-commit", {**PAIR, "buffers": 1, "dirtied": 1, "passes": 2}),
    Entry("async-2", "async-vs-commit", {**PAIR, "buffers": 2, "dirtied": 2, "passes": 1}),
    Entry("sync-1", "sync-vs-commit", {**PAIR, "buffers": 1, "dirtied": 1, "passes": 1}),
    Entry("sync-2", "sync-vs-commit", {**PAIR, "buffers": 2, "dirtied": 2, "passes": 1}),
    Entry("reclaim-1", "migrate-vs-reclaim", {**ONE_ROUND, "pages": 1, "buffers": 1}),
    Entry(
        "writeback-1",
        "migrate-vs-writeback",
        {
            **ONE_ROUND,
            "buffers": 1,
            "dirtied": 1,
            "passes": 1,
            "without": "writer,reader,fsync",
        },
    ),
    Entry("compactors-2", "two-compactors", {**TWO_COMPACTORS, "pages": 2, "pinned": 2, "frames": 16}, whole=False),
    Entry("fault-load", "migrate-vs-fault", {**FAULT, "stores": 0}),
    Entry("fault-load-light", "migrate-vs-fault", {**FAULT, "stores": 0, "mode": "MIGRATE_SYNC_LIGHT", "direct": 0}),
    Entry("fault-load-bare", "migrate-vs-fault", {**FAULT, "stores": 0, "bare": 100}),
    Entry("fault-load-retry", "migrate-vs-fault", {**FAULT, "stores": 0, "bare": 100, "passes": 2}, whole=False),
    Entry("fault-store", "migrate-vs-fault", {**FAULT, "stores": 2}),
    Entry("anon-load", "anon-vs-migration", {**ANON, "stores": 0}),
    Entry("anon-load-light", "anon-vs-migration", {**ANON, "stores": 0, "mode": "MIGRATE_SYNC_LIGHT", "direct": 0}),
    Entry("anon-load-retry", "anon-vs-migration", {**ANON, "stores": 0, "passes": 2}),
    Entry("anon-store", "anon-vs-migration", {**ANON, "stores": 2}),
    Entry("anon-store-in-3.1", "anon-vs-migration", {**ANON, "stores": 2}, era="3.1"),
    Entry("anon-unmap", "anon-vs-migration", UNMAPPED),
    Entry("anon-store-unmap", "anon-vs-migration", {**ANON, "stores": 2, "without": ""}),
    Entry("anon-exit", "anon-vs-migration", {**ANON, "stores": 2, "exits": 1}),
    Entry("reclaim", "migrate-vs-reclaim", {**ONE_ROUND, "pages": 1, "buffers": 2, "passes": 2}, whole=False),
    Entry("writeback", "migrate-vs-writeback", {**ONE_ROUND, "buffers": 2, "dirtied": 2, "passes": 2}, whole=False),
)


class Lines:
    """Prints where a walk stands, now and then."""

    def __init__(self) -> None:
        self._next = 60.0

    def progress(self, result: Exploration) -> None:
        """Print a line a minute."""
        if result.seconds >= self._next:
            self._next += 60.0
            print(f"    {result.seconds:.0f} s: {result.classes.distinct:,} classes", flush=True)

    def found(self, hit: Hit) -> None:
        """Print a finding at once."""
        print(f"    FINDING {hit.finding.title}", flush=True)


def walk(entry: Entry, seconds: float) -> Exploration:
    """Walk one program, at most so long."""
    ask = Ask(
        entry.scenario,
        strategy="dpor",
        params=tuple(sorted(entry.params.items())),
        era=entry.era,
        seconds=seconds,
        exhaustive=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        return Explorer(ask, MAKERS, Path(folder), Lines()).run()


def cpu_seconds() -> float:
    """Return seconds of CPU so far, of this process and of those that it waited for."""
    return sum(os.times()[:4])


def as_expected(entry: Entry, result: Exploration) -> bool:
    """Say whether a walk found nothing, and whether it came to its end where that is expected."""
    return not result.hits and (not entry.whole or (result.covered is not None and result.covered.exhausted))


def main() -> int:
    """Walk and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(entry.name for entry in ENTRIES))
    parser.add_argument("--seconds", type=float, default=1800.0, help="at most, for each")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a walk did not end as expected")
    options = parser.parse_args()
    os.sched_setaffinity(0, cores()[:1])
    rows = []
    missed = []
    for entry in ENTRIES:
        if options.names and entry.name not in options.names:
            continue
        params = " ".join(f"--param {key}={value}" for key, value in sorted(entry.params.items()))
        era = f"--era {entry.era} " if entry.era else ""
        print(f"mmrace explore {entry.scenario} --exhaustive {era}{params}", flush=True)
        before = cpu_seconds()
        result = walk(entry, options.seconds)
        spent = cpu_seconds() - before
        assert result.covered is not None
        if not as_expected(entry, result):
            missed.append(entry.name)
        rows.append(
            {
                "name": entry.name,
                "scenario": entry.scenario,
                "params": entry.params,
                "era": entry.era,
                "verdict": result.verdict,
                "exhausted": result.covered.exhausted,
                "classes": result.classes.distinct,
                "executions": result.tally.runs + result.covered.blocked,
                "blocked": result.covered.blocked,
                "findings": len(result.hits),
                "outcomes": dict(result.tally.counters),
                "seconds": round(result.seconds, 1),
                "cpu_seconds": round(spent, 1),
            }
        )
        how = "to the end" if result.covered.exhausted else "CUT"
        print(
            f"  {how}: {result.classes.distinct:,} classes, {rows[-1]['executions']:,} executions "
            f"({result.covered.blocked:,} without use), {len(result.hits)} findings, {result.seconds:.1f} s, "
            f"{spent:.1f} s of CPU: {result.verdict}",
            flush=True,
        )
        happened = ", ".join(f"{key} {n:,}" for key, n in sorted(result.tally.counters.items()) if n)
        print(f"  what happened in them: {happened}", flush=True)
        if options.json:
            files.write_whole(options.json, [json.dumps(rows, indent=1), "\n"])
    if missed:
        print(f"not as expected: {', '.join(missed)}")
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
