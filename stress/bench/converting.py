"""How many failures of free threads come again under control.

    python stress/bench/converting.py [--failures K] [--runs N] [--jobs J] [--canary NAME]... [--seconds S]
                                      [--lose P] [--json] [--strict]

For each canary, in its own place and with its own noise, free runs from seed 0 on until K of them were caught by its
oracle, or N were made.  Each is converted at once (`mmrace/search/convert/`), and counts by the finding that its oracle
told first: *followed*, *re-found* by search, or *neither*; what came again was replayed strictly, five of five.  Beside
that: the least share of the record that a run did which followed, and medians and maxima of seconds of CPU: others may
use the machine too.  A search lasts --seconds by the clock.

--lose P takes P per mille of the ops out of each record first, by chance, so that it cannot be followed to its end:
what is left is the worth of the search.

The bar, of --strict: of all failures at least 95 % come again, and at least 75 % are followed, of each canary and of
all.  A canary that was not caught K times says so and has fewer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mmrace.history.canaries import canaries
from mmrace.installed import convert, run_one
from mmrace.runs.conversion import FOLLOWED, NEITHER, REFOUND
from mmrace.runtime.kinds import NOTE
from stress.bench.canaries import spec

CAME_MIN, FOLLOWED_MIN = 0.95, 0.75
ENDS = (FOLLOWED, REFOUND, NEITHER)

Job = tuple[str, int, int, float, int]  # canary, failures, runs at most, seconds of search, per mille lost


@dataclass(frozen=True, slots=True)
class Converted:
    """One failure.  Attributes: ops: of the free run.  parted: where the run that followed left its record, or ""."""

    canary: str
    seed: int
    signature: str
    how: str
    ops: int
    done: int
    of: int
    parted: str
    searched: int
    replayed: int
    seconds: float


def failures(job: Job) -> tuple[str, int, list[Converted]]:
    """Hunt one canary under `free`, and convert what is found; return also how many runs that took."""
    name, wanted, runs, seconds, lost = job
    canary = canaries()[name]
    found: list[Converted] = []
    for seed in range(runs):
        free = run_one(spec(name, "free", canary.noise, seed))
        if not canary.caught_in(free.findings):
            continue
        assert free.record is not None
        if lost:
            draw = random.Random(seed).randrange
            free.record.events = [event for event in free.record.events if event[1] == NOTE or draw(1000) >= lost]
        signature = next(finding.signature for finding in free.findings if finding.oracle == canary.oracle)
        began = time.process_time()
        told = convert(free, [signature], seconds=seconds)[signature].conversion
        assert told is not None
        took = time.process_time() - began
        row = (told.how, free.ops, told.done, told.of, told.parted, told.runs, told.replayed, took)
        found.append(Converted(name, seed, signature, *row))
        if len(found) == wanted:
            return name, seed + 1, found
    return name, runs, found


def counts(rows: Sequence[Converted]) -> dict[str, int]:
    """Return how many ended in each way."""
    return {how: sum(row.how == how for row in rows) for how in ENDS}


def below_the_bar(rows: Sequence[Converted]) -> str:
    """Say how failures miss the bar; "" if they do not."""
    ended, of = counts(rows), len(rows)
    if not of:
        return "no failure"
    came = ended[FOLLOWED] + ended[REFOUND]
    missed = []
    if came < CAME_MIN * of:
        missed.append(f"{came} of {of} came again, wanted {CAME_MIN:.0%}")
    if ended[FOLLOWED] < FOLLOWED_MIN * of:
        missed.append(f"{ended[FOLLOWED]} of {of} followed, wanted {FOLLOWED_MIN:.0%}")
    return "; ".join(missed)


def line(label: str, rows: Sequence[Converted], runs: str) -> str:
    """Write one row of the table."""
    ended = counts(rows)
    cells = "".join(f"{ended[how]:>7}/{len(rows):<3}" for how in ENDS)
    if not rows:
        return f"{label:26}{runs:>7}{cells}"
    share = min((row.done / row.of for row in rows if row.how == FOLLOWED and row.of), default=0.0)
    seconds = [row.seconds for row in rows]
    ops = statistics.median(row.ops for row in rows)
    return f"{label:26}{runs:>7}{cells}{share:>9.1%}{ops:>10,.0f}{statistics.median(seconds):>9.2f}{max(seconds):>8.2f}"


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--failures", type=int, default=20, help="of each canary (%(default)s)")
    parser.add_argument("--runs", type=int, default=600, help="free runs of each, at most (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of search for each failure (%(default)s)")
    parser.add_argument("--canary", action="append", choices=sorted(canaries()), help="this one; may be given again")
    parser.add_argument("--lose", type=int, default=0, help="per mille of the ops of each record (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, not as a table")
    parser.add_argument("--strict", action="store_true", help="exit with 1 below the bar")
    options = parser.parse_args()
    each = options.failures, options.runs, options.seconds, options.lose
    jobs = [(name, *each) for name in options.canary or canaries()]
    head = "".join(f"{how.partition(' ')[0]:>11}" for how in ENDS)
    if not options.json:
        print(f"{'canary':26}{'runs':>7}{head}{'share':>9}{'ops':>10}{'median s':>9}{'most s':>8}", flush=True)
    every: list[Converted] = []
    missed: list[str] = []
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        for name, runs, rows in pool.imap(failures, jobs):
            every += rows
            missed += [f"{name}: {why}" for why in [below_the_bar(rows)] if why]
            if not options.json:
                print(line(name, rows, str(runs)), flush=True)
                for row in rows:
                    if row.how != FOLLOWED:
                        print(f"  seed {row.seed}, {row.signature}: {row.how}, {row.searched} runs; {row.parted}")
    missed += [f"all: {why}" for why in [below_the_bar(every)] if why]
    if options.json:
        print(json.dumps({"failures": [asdict(row) for row in every], "missed": missed}, indent=1))
    else:
        print(line("all", every, ""), *missed, sep="\n")
    return int(bool(missed) and options.strict)


if __name__ == "__main__":
    sys.exit(main())
