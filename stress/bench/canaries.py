"""How fast each canary is found: hit rates, and runs and seconds to find.

    python stress/bench/canaries.py [--runs N] [--seeds K] [--jobs J] [--canary NAME]... [--controlled]
                                    [--json] [--write]

Two tables.  The first gives, for each canary, the share of N runs in which its oracle caught it, under `free` with each
noise profile, and under `fiber` with the portfolio, each in the place that the canary names for the engine; and the
share of the runs of the unmodified twin under `fiber` that did not pass, which must be 0.  The second starts K searches
from different seeds, with the canary's own noise and under `fiber`, each of at most its cap of runs, and gives how many
found it (k of K) and the medians of runs and seconds over all K, searches that did not find it counting as the cap and
beyond ("censored"): never a mean of successes only.  A canary without a rate has no cap, and no searches.

--controlled leaves `free` out: what that measures moves with the machine, the rest with the code only.  --write puts
the rates of the first table into `mmrace/history/canaries/rates.json`, from which the caps follow; of a canary that is
not named, or a place that was left out, the file keeps what it has.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from typing import Any

from mmrace.history import rates as stored
from mmrace.history.canaries import canaries
from mmrace.history.canary import wilson_low
from mmrace.history.rates import Rate
from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.noise import PROFILES
from mmrace.strategies import portfolio

TWIN = "twin"
"""Stands for a noise profile: no noise, and no bug either."""

Job = tuple[str, str, str, int, int]  # canary, engine, noise, first seed, runs


def spec(name: str, engine: str, noise: str, seed: int) -> RunSpec:
    """Return the run of one canary, or of its twin, with its own parameters."""
    canary = canaries()[name]
    params = tuple(sorted(canary.params_under(engine).items()))
    strategy = portfolio.member(seed)  # without a meaning under `free`
    variant, noise = ("", "off") if noise == TWIN else (name, noise)
    return RunSpec(canary.scenario, params, variant, engine, strategy, noise, seed)


def caught(name: str, engine: str, noise: str, seed: int) -> bool:
    """Do one run; say whether the canary's own oracle caught it, or whether the twin did not pass."""
    result = run_one(spec(name, engine, noise, seed))
    return result.verdict != "PASS" if noise == TWIN else canaries()[name].caught_in(result.findings)


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


def measure(names: list[str], runs: int, seeds: int, jobs: int, free: bool) -> dict[str, Any]:
    """Return both tables' figures."""
    places = [*(("free", noise) for noise in PROFILES if free), ("fiber", "off"), ("fiber", TWIN)]
    rates: list[Job] = [(name, engine, noise, 0, runs) for name in names for engine, noise in places]
    hunts: list[Job] = []
    for name in names:
        canary = canaries()[name]
        for engine, noise in [("free", canary.noise)] * free + [("fiber", "off")]:
            if canary.rate_under(engine).hits:
                hunts += [(name, engine, noise, 10_000 * (k + 1), canary.cap_under(engine)) for k in range(seeds)]
    figures: dict[str, Any] = {name: {"rates": {}, "hunts": {}} for name in names}
    with multiprocessing.get_context("spawn").Pool(jobs, maxtasksperchild=8) as pool:
        for (name, engine, noise, _, count), hits, seconds in pool.imap_unordered(rate, rates):
            place = noise if engine == "free" or noise == TWIN else engine
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
    measured = next(iter(figures.values()))["rates"]
    places = [place for place in (*PROFILES, "fiber", TWIN) if place in measured]
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
            label = f"{name} (cap {canary.cap_under(engine)})"
            print(
                f"{label:44}{engine:>8}{noise:>10}{cell['found']:>5}/{cell['of']:<3}"
                f"{cell['median_runs']:>13.1f}{cell['median_s']:>10.2f}"
            )


def with_measured(rates: stored.Rates, figures: dict[str, Any]) -> stored.Rates:
    """Return rates with those that were measured put in."""
    new = {name: dict(places) for name, places in rates.items()}
    for name, row in figures.items():
        for place, column in (("free", canaries()[name].noise), ("controlled", "fiber")):
            if column in row["rates"]:
                cell = row["rates"][column]
                new.setdefault(name, {})[place] = Rate(cell["hits"], cell["runs"])
    return new


def main() -> None:
    """Measure and print, or with --json print the figures; with --write keep the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200, help="runs that a rate is measured by (%(default)s)")
    parser.add_argument(
        "--seeds", type=int, default=20, help="searches from different seeds for the second table (%(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument(
        "--canary", action="append", choices=sorted(canaries()), help="this one; may be given again (all)"
    )
    parser.add_argument("--controlled", action="store_true", help="nothing under `free`")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, not as tables")
    parser.add_argument("--write", action="store_true", help="put the rates into the data file of the canaries")
    options = parser.parse_args()
    names = options.canary or list(canaries())
    figures = measure(names, options.runs, options.seeds, options.jobs, not options.controlled)
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        show(figures)
    if options.write:
        stored.write(with_measured(stored.load(), figures), stored.FILE)


if __name__ == "__main__":
    main()
