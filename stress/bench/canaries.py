"""How fast each canary is found: hit rates, and runs and seconds to find.

    python stress/bench/canaries.py [--runs N] [--seeds K] [--jobs J] [--canary NAME]... [--json]

Two tables.  The first gives, for each canary, the share of N runs in which its oracle caught it, under `free` with each
noise profile and under `gate` with random walk, with the canary's own scenario and parameters.  The second starts K
searches from different seeds, with the canary's own noise and under `gate`, each of at most its cap of runs, and gives
how many found it (k of K) and the medians of runs and seconds over all K, searches that did not find it counting as the
cap and beyond ("censored"): never a mean of successes only.  What `mmrace/history/canaries/` has as measured comes from
the first table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from typing import Any

from mmrace.history.canaries import canaries
from mmrace.history.canary import wilson_low
from mmrace.runtime.noise import PROFILES
from mmrace.search.run import run_one
from mmrace.search.spec import RunSpec

Job = tuple[str, str, str, int, int]  # canary, engine, noise, first seed, runs


def spec(name: str, engine: str, noise: str, seed: int) -> RunSpec:
    """Return the run of one canary with its own parameters."""
    canary = canaries()[name]
    params = tuple(sorted(canary.params.items()))
    return RunSpec(canary.scenario, params, variant=name, engine=engine, noise=noise, seed=seed)


def caught(name: str, engine: str, noise: str, seed: int) -> bool:
    """Do one run; say whether the canary's own oracle caught it."""
    result = run_one(spec(name, engine, noise, seed))
    return any(finding.oracle == canaries()[name].oracle for finding in result.findings)


def rate(job: Job) -> tuple[Job, int, float]:
    """Count hits over a range of seeds; also seconds."""
    name, engine, noise, first, runs = job
    began = time.perf_counter()
    hits = sum(caught(name, engine, noise, seed) for seed in range(first, first + runs))
    return job, hits, time.perf_counter() - began


def hunt(job: Job) -> tuple[Job, int | None, float]:
    """Run until found or `runs` are done; return how many runs it took (None: not found) and seconds."""
    name, engine, noise, first, runs = job
    began = time.perf_counter()
    for i in range(runs):
        if caught(name, engine, noise, first + i):
            return job, i + 1, time.perf_counter() - began
    return job, None, time.perf_counter() - began


def measure(names: list[str], runs: int, seeds: int, jobs: int) -> dict[str, Any]:
    """Return both tables' figures."""
    places = [*(("free", noise) for noise in PROFILES), ("gate", "off")]
    rates: list[Job] = [(name, engine, noise, 0, runs) for name in names for engine, noise in places]
    hunts: list[Job] = []
    for name in names:
        canary = canaries()[name]
        for engine, noise in (("free", canary.noise), ("gate", "off")):
            hunts += [(name, engine, noise, 10_000 * (k + 1), canary.cap_runs) for k in range(seeds)]
    figures: dict[str, Any] = {name: {"rates": {}, "hunts": {}} for name in names}
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:
        for (name, engine, noise, _, count), hits, seconds in pool.imap_unordered(rate, rates):
            place = engine if engine == "gate" else noise
            low = wilson_low(hits, count)
            figures[name]["rates"][place] = {"hits": hits, "runs": count, "low99": low, "s_per_run": seconds / count}
        found: dict[tuple[str, str], list[tuple[int | None, float]]] = {}
        for (name, engine, _, _, _), took, seconds in pool.imap_unordered(hunt, hunts):
            found.setdefault((name, engine), []).append((took, seconds))
    for (name, engine), rows in found.items():
        beyond = float("inf")
        figures[name]["hunts"][engine] = {
            "found": sum(took is not None for took, _ in rows),
            "of": len(rows),
            "median_runs": statistics.median(took if took is not None else beyond for took, _ in rows),
            "median_s": statistics.median(seconds if took is not None else beyond for took, seconds in rows),
        }
    return figures


def show(figures: dict[str, Any]) -> None:
    """Print both tables."""
    places = [*PROFILES, "gate"]
    print(f"{'canary (oracle), hits/runs':44}" + "".join(f"{place:>12}" for place in places))
    for name, row in figures.items():
        cells = (row["rates"][place] for place in places)
        label = f"{name} ({canaries()[name].oracle})"
        print(f"{label:44}" + "".join(f"{cell['hits']:>7}/{cell['runs']:<4}" for cell in cells))
    print(f"\n{'to find, with cap':44}{'engine':>8}{'noise':>10}{'found':>9}{'median runs':>13}{'median s':>10}")
    for name, row in figures.items():
        canary = canaries()[name]
        for engine, cell in row["hunts"].items():
            noise = canary.noise if engine == "free" else "-"
            print(
                f"{name + f' (cap {canary.cap_runs})':44}{engine:>8}{noise:>10}{cell['found']:>5}/{cell['of']:<3}"
                f"{cell['median_runs']:>13.1f}{cell['median_s']:>10.2f}"
            )


def main() -> None:
    """Measure and print, or with --json print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--canary", action="append", choices=sorted(canaries()))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.canary or list(canaries()), options.runs, options.seeds, options.jobs)
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures)


if __name__ == "__main__":
    main()
