"""How often one schedule shows a bug: each sampler and the default, on the classic programs.

    python stress/bench/samplers.py [--schedules N] [--seed S] [--strategies TEXT...] [--programs NAME...] [--jobs J]
                                    [--json FILE] [--twins N]

The programs are those of `classics/`.  Schedule i of a strategy is the one that ``mmrace explore --strategy TEXT --seed
S`` would draw as its i-th.  It shows the bug if the run ends in a way that no right program has: a `bug_on`, an
exception, a standstill, a livelock.  Judges are not asked: a data race is in nearly every schedule of some programs,
and says nothing of the order that matters.  Printed for each program and strategy: the share of N schedules, with its
95 % Wilson interval, and by how much the default is behind the best of the others.

With --twins, instead: N schedules of the default on each mended twin, judged by all judges; whatever is no PASS is
counted, its seeds are printed, and the exit code is 1.  Not measured: seconds; see `hunts.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import NormalDist

from mmrace.installed import MAKERS
from mmrace.runs.judge import judge
from mmrace.runs.play import Play, play
from mmrace.runs.spec import RunSpec, derive
from mmrace.runs.strategy_of import strategy_for
from mmrace.search.pool.cores import cores
from mmrace.strategies import portfolio, registry

FOLDER = Path(__file__).parent / "classics"
STRATEGIES = (portfolio.NAME, "surw", "random-delays", "pct", "pos", "urw", "random")
CHUNK = 500  # schedules of one job: seconds at most
Z95 = NormalDist().inv_cdf(0.975)

Job = tuple[str, str, int, int, int, bool]
"""Program, strategy, seed, first schedule, end, whether it is the twin that is judged."""


def programs() -> list[str]:
    """Return the names of the classic programs."""
    return sorted(file.stem for file in FOLDER.glob("*.py"))


def spec_of(name: str, text: str, seed: int, index: int, function: str = "main") -> RunSpec:
    """Return schedule `index` of an exploration."""
    return RunSpec(
        f"{FOLDER / name}.py:{function}",
        engine="fiber",
        strategy=registry.member_by_turn(text, index),
        seed=derive(seed, "schedule", index),
        promote="racing",
        maker="function",
    )


def interval(hits: int, runs: int) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a chance."""
    share, z2 = hits / runs, Z95 * Z95
    middle = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = Z95 / (1 + z2 / runs) * math.sqrt(share * (1 - share) / runs + z2 / (4 * runs * runs))
    return max(0.0, middle - half), min(1.0, middle + half)


def shows(played: Play) -> bool:
    """Say whether a run ended as no run of a right program does."""
    end = played.engine.end
    return played.how != "finished" and not (played.how == "bound" and end["detail"].get("kind") == "cut")


def passes(spec: RunSpec, played: Play) -> bool:
    """Say whether a run passes all judges of its program."""
    return judge(played.program, spec, played.record, 0.0).verdict == "PASS"


def hits_of(job: Job) -> tuple[Job, list[int]]:
    """Return the schedules of a job that show the bug; of a twin, those that do not pass."""
    name, text, seed, first, end, twin = job
    found = []
    program = MAKERS.program(spec_of(name, text, seed, first, "mended" if twin else "main"))
    for index in range(first, end):
        spec = spec_of(name, text, seed, index, "mended" if twin else "main")
        with play(program, spec, strategy_for(program, spec)) as played:
            if not passes(spec, played) if twin else shows(played):
                found.append(index)
    return job, found


def counted(
    names: list[str], texts: list[str], seed: int, schedules: int, twin: bool, jobs: int
) -> Iterator[tuple[str, str, list[int]]]:
    """Yield (program, strategy, schedules that hit), program by program."""
    todo: list[Job] = [
        (name, text, seed, first, min(schedules, first + CHUNK), twin)
        for name, text, first in product(names, texts, range(0, schedules, CHUNK))
    ]
    per_cell = len(range(0, schedules, CHUNK))
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        found: list[int] = []
        for done, (job, hits) in enumerate(pool.imap(hits_of, todo), start=1):
            found += hits
            if done % per_cell == 0:
                yield job[0], job[1], found
                found = []


def table(names: list[str], texts: list[str], seed: int, schedules: int, jobs: int) -> dict[str, dict[str, int]]:
    """Measure; print a block for each program when it is known; return program -> strategy -> hits."""
    hits: dict[str, dict[str, int]] = {}
    for name, text, found in counted(names, texts, seed, schedules, False, jobs):
        row = hits.setdefault(name, {})
        row[text] = len(found)
        low, high = interval(len(found), schedules)
        print(f"{name:18}{text:15}{len(found) / schedules:9.4f}  [{low:.4f}, {high:.4f}]", flush=True)
        others = [count for other, count in row.items() if other != portfolio.NAME]
        if len(row) == len(texts) and portfolio.NAME in row and others:
            print(f"{name:18}{'best / default':15}{ratio(row[portfolio.NAME], max(others)):9.2f}", flush=True)
    return hits


def ratio(default: int, best: int) -> float:
    """Return by how much the default is behind; 1 where nobody found anything."""
    return best / default if default else (math.inf if best else 1.0)


def twins(names: list[str], seed: int, schedules: int, jobs: int) -> int:
    """Judge the twins; return how many schedules did not pass."""
    wrong = 0
    for name, text, found in counted(names, [portfolio.NAME], seed, schedules, True, jobs):
        wrong += len(found)
        print(f"{name:18}{schedules} schedules of {text}: {len(found)} did not pass", flush=True)
        for index in found[:3]:
            print(f"    {spec_of(name, text, seed, index, 'mended').command()}", flush=True)
    return wrong


def main() -> int:
    """Print the table, or judge the twins; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), metavar="TEXT")
    parser.add_argument("--programs", nargs="+", default=programs(), choices=programs(), metavar="NAME")
    parser.add_argument("--jobs", type=int, default=len(cores()))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--twins", type=int, metavar="N")
    options = parser.parse_args()
    if options.twins is not None:
        return 1 if twins(options.programs, options.seed, options.twins, options.jobs) else 0
    hits = table(options.programs, options.strategies, options.seed, options.schedules, options.jobs)
    if options.json is not None:
        figures = {"seed": options.seed, "schedules": options.schedules, "hits": hits}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
