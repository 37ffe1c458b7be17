"""False alarms: runs of the correct protocol over unusual populations, machines and loads; nothing may be found.

    python stress/false_alarms.py [--runs N] [--seed S] [--jobs N] [--set NAME]... [--eras]

Each set of parameters has its share of the runs, which go through the casts that know all of its parameters, and
through the engines; with --eras, through all eras but 3.3, instead of that one.  Prints a row a set; a run that does
not pass is told with the command that repeats it.
Exit code: 0 if every run passed, 1 if not, 2 for a wrong call.
Left out: failing I/O beside a commit, which shows a latent error path of 3.3 (R14); a log that fails beside a
truncation, which 3.3 then does by half; truncations inside a page with data=journal (R32); blocks of one word in a log
of metadata, whose descriptor takes two.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from mmrace.history.era import OWN
from mmrace.history.eras import ERAS
from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.param import Value, Values
from mmrace.scenarios.casts import all_scenarios
from mmrace.scenarios.scenario import Scenario

ENGINES = ("fiber", "gate", "free")
NOISE = "stutter"  # under `free`
OTHERS = tuple(name for name in ERAS if name != OWN)
COMMITS = frozenset({"committer", "fsync", "truncater"})
"""Actors beside which I/O must not fail: they commit."""

SETS: dict[str, Values] = {
    "many-pages": {"pages": 8, "batch": 4, "bare": 50},
    "one-word": {"words": 1, "buffers": 1, "metadata": 0},
    "wide-words": {"words": 8, "buffers": 1, "pages": 2},
    "full-ring": {"buffers": 8, "words": 1, "bare": 0, "metadata": 0},
    "three-buffers": {"buffers": 3, "pages": 3, "bare": 33},
    "all-bare": {"bare": 100, "pages": 3},
    "long-pagevec": {"pagevec": 14, "pages": 3},
    "odd-pagevec": {"pagevec": 3, "pages": 4, "bare": 25},
    "one-cpu": {"cpus": 1, "pagevec": 2},
    "two-cpus": {"cpus": 2, "irq": "any"},
    "idle-irq": {"irq": "idle", "pages": 2},
    "wandering-irq": {"irq": "any", "buffers": 4},
    "device-pages": {"device": 1, "batch": 8, "metadata": 1},
    "device-sync": {"device": 1, "metadata": 1, "mode": "MIGRATE_SYNC", "direct": 0, "passes": 6},
    "metadata-alone": {"metadata": 1, "idle": 0, "rounds": 4},
    "big-batch": {"batch": 32, "pages": 6, "passes": 10},
    "small-batch": {"batch": 1, "pages": 4, "migrations": 8},
    "failing-io": {"errors": 1},
    "failing-reads": {"errors": 1, "pages": 4, "bare": 75, "reads": 3},
    "failing-log": {"log_errors": 4, "pages": 2, "bare": 50},
    "failing-log-journalled": {"log_errors": 8, "data": "journal", "burst": 2},
    "writeback-data": {"data": "writeback", "bare": 50, "pages": 2, "metadata": 1},
    "journalled-data": {"data": "journal", "pages": 2, "burst": 2},
    "journalled-bare": {"data": "journal", "bare": 100, "metadata": 1},
    "dirty-at-first": {"dirtied": 4, "pages": 2, "idle": 20},
    "warm-log": {"warm": 16, "device": 1, "metadata": 1},
    "tiny-wbuf": {"wbuf": 1, "resched": 1, "burst": 3, "buffers": 4},
    "tails": {"tails": 1, "buffers": 4, "idle": 20},
    "tails-of-one": {"tails": 1, "pages": 1, "metadata": 1, "rounds": 6},
    "holes": {"holes": 2, "pages": 3, "idle": 40},
    "holes-journalled": {"holes": 1, "pages": 2, "data": "journal"},
    "small-log": {"log": 16, "credits": 3, "metadata": 1, "device": 1},
    "small-transactions": {"credits": 4, "metadata": 1, "burst": 2},
    "shared-page": {"buffers": 8, "metadata": 1, "bare": 0, "device": 1, "idle": 20},
    "long-touches": {"touches": 6, "metadata": 1, "idle": 20},
    "many-flushes": {"flushes": 16, "metadata": 1, "device": 1},
    "high-order": {"order": 9, "zone_reclaim": 1, "pages": 3},
    "write-cache": {"cache": 1, "pages": 2, "idle": 40},
    "write-cache-journalled": {"cache": 1, "data": "journal"},
    "mapped-twice": {"mappings": 2, "touched": 2, "pages": 2},
    "mapped-stores": {"stores": 2, "accesses": 4, "idle": 20, "touched": 1},
    "zapped": {"zaps": 3, "accesses": 3, "stores": 0, "mappings": 2, "touched": 2},
    "private-memory": {"heap": 3, "touched": 2, "unmaps": 3, "accesses": 4, "pagevec": 2},
    "private-to-the-end": {"exits": 1, "stores": 2, "heap": 2, "touched": 2, "idle": 0, "buffers": 1},
    "huge-pages": {"huge": 2, "pages": 4, "pinned": 1},
    "huge-of-eight": {"huge": 3, "frames": 128, "pages": 5, "bare": 100},
    "huge-of-two": {"huge": 1, "pages": 6, "pagevec": 3, "cluster": 2},
    "many-faults": {"faults": 8, "held": 3, "pages": 4, "pinned": 2},
    "compact-async": {"compacts": "direct-async", "pages": 5, "pinned": 1, "rounds": 4},
    "compact-sync": {"compacts": "direct-sync", "pages": 3, "cluster": 1, "passes": 8},
    "counted": {"free": 32, "kept": 4, "pages": 2},
    "counted-blocks": {"free": 40, "kept": 6, "huge": 2, "pages": 3},
    "stick": {"stick": "vfat", "pages": 3, "bare": 33, "buffers": 2},
    "stick-with-ext3": {"stick": "ext3", "pages": 2, "idle": 40},
    "stick-failing": {"stick": "vfat", "errors": 1, "pages": 3, "chunk": 1, "copy_sync": 1},
    "slow-stick": {
        "stick": "vfat",
        "stick_ticks": 5,
        "buffers": 4,
        "words": 1,
        "chunk": 3,
        "copy_sync": 1,
        "rounds": 4,
    },
    "slow-disk": {"ticks": 40, "requests": 2, "pages": 3, "idle": 20},
    "cold": {"cold": 3, "pages": 4, "bare": 50},
    "slabs": {"slabs": 3, "slab_order": 1, "huge": 2, "cold": 2, "pages": 3},
    "streamed": {"streamed": 8, "window": 4, "pages": 4, "cold": 4},
    "streamed-device": {"streams": "device", "raw": 32, "raw_ticks": 5, "streamed": 8, "window": 3},
    "no-pause": {"idle": 0, "pages": 2, "rounds": 4},
}


def casts(values: Values) -> list[Scenario]:
    """Return the casts that a set of parameters can be given to."""
    failing = bool(values.get("errors"))
    return [
        scenario
        for scenario in all_scenarios()
        if not scenario.needs_workload
        and takes(scenario, values)
        and not (failing and COMMITS & {actor.name for actor in scenario.cast})
        and all(known.rare for known in scenario.expected(scenario.merged(values)))  # else 3.3 itself has a fault there
    ]


def takes(scenario: Scenario, values: Values) -> bool:
    """Say whether a cast can be given these parameters."""
    try:
        scenario.merged(values)
    except UsageError:
        return False
    return True


def specs(values: Values, runs: int, seed: int, eras: Sequence[str] = ("",)) -> Iterator[RunSpec]:
    """Yield the runs of one set: casts in turn, and eras, and engines."""
    found = casts(values)
    for i in range(runs):
        turn, at = divmod(i, len(found))
        scenario, engine, era = found[at], ENGINES[turn // len(eras) % len(ENGINES)], eras[turn % len(eras)]
        params: tuple[tuple[str, Value], ...] = tuple(sorted(values.items()))
        noise = NOISE if engine == "free" else "off"
        strategy = "random" if engine == "free" else "portfolio"
        yield RunSpec(scenario.name, params, engine=engine, strategy=strategy, noise=noise, seed=seed + i, era=era)


def play(name: str, runs: int, seed: int, eras: Sequence[str] = ("",)) -> tuple[Counter[str], list[str]]:
    """Play one set; return its verdicts, and lines about the runs that did not pass."""
    told: Counter[str] = Counter()
    lines = []
    for spec in specs(SETS[name], runs, seed, eras):
        result = run_one(spec)
        told[result.verdict] += 1
        if result.verdict != "PASS":
            rules = ", ".join(f"{finding.oracle}: {finding.rule}" for finding in result.findings)
            lines += [f"  {result.verdict} {rules or 'nothing found'}", f"    {spec.command()}"]
    return told, lines


def main(words: Sequence[str]) -> int:
    """Play all sets; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=2_000, metavar="N", help="runs of all sets together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of the first run of a set (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (%(default)s)")
    parser.add_argument("--set", action="append", choices=SETS, default=None, metavar="NAME", help="only this set")
    parser.add_argument("--eras", action="store_true", help="in every era but 3.3, instead of that")
    asked = parser.parse_args(words)
    for option in ("runs", "jobs"):
        if getattr(asked, option) < 1:
            parser.error(f"--{option}: expected 1 or more, got {getattr(asked, option)}")
    chosen = asked.set or list(SETS)
    print(f"{'set':18}{'casts':>6}{'runs':>7}{'PASS':>7}{'UNKNOWN':>9}{'FAIL':>6}", flush=True)
    total: Counter[str] = Counter()
    one = partial(play, runs=-(-asked.runs // len(chosen)), seed=asked.seed, eras=OTHERS if asked.eras else ("",))
    with ProcessPoolExecutor(asked.jobs) as pool:
        for name, (told, lines) in zip(chosen, pool.map(one, chosen), strict=True):
            counts = f"{told.total():>7}{told['PASS']:>7}{told['UNKNOWN']:>9}{told['FAIL']:>6}"
            print(f"{name:18}{len(casts(SETS[name])):>6}{counts}", *lines, sep="\n", flush=True)
            total += told
    alarms = total.total() - total["PASS"]
    print(f"{total.total()} runs of the correct protocol over {len(chosen)} sets: {alarms} did not pass")
    return int(alarms > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
