"""Whether the judges see it when a kernel function does nothing, or does not wait.

    python -m stress.blindness [--only TEXT]... [--limit N] [--schedules N] [--seeds K] [--seed S] [--jobs J]
                               [--state FILE [--found-stays]] [--table FILE] [--json FILE]

First every cast of the kernel model is run in all its variations, and each kernel function that an actor executes is
noted, with what it returned and where it ran.  Then each is replaced by one that returns its success value at once, and
each wait in it is left out (`stress/replaced.py`).  Each such variant is hunted from K seeds, with at most N schedules
under `fiber` each, in turn over the casts in which the function ran, by all judges; what they find in the model as it
stands does not count.  The table says of each who found it first, in how many of the seeds, and the median of
schedules.  Judged are runs; "exception" means that nothing but Python itself tripped, "hang" that a task computed
without end: both are found, and told apart.

What nobody found is blind, unless the function does nothing but return one value as far as was seen ("same": there is
nothing to find), or `stress/blindness.json` lists it, with the reason why it is rightly not found.  At most LISTED_MAX
of all may be listed.  Exit code: 1 if something blind is not listed, something listed is found or not there, or too
much is listed.  A table is a function of the seed and the sources.  With --state a test that was stopped goes on; with
--found-stays also one whose judges got rules since, and the table says how much was found before they did.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from mmrace import history
from mmrace.installed import MAKERS
from mmrace.oracles.general import raised
from mmrace.runs.foreign import ForeignCall
from mmrace.runs.judge import judge
from mmrace.runs.play import play
from mmrace.runs.spec import Params, RunResult, RunSpec, derive
from mmrace.runs.strategy_of import strategy_for
from mmrace.runtime import files
from mmrace.runtime.errors import InternalError
from mmrace.scenarios import casts
from mmrace.strategies import portfolio
from stress import nightly, replaced
from stress.hunted import BLIND, FOUND, JUDGES, LISTED, SAME, Hunted, Kept
from stress.replaced import OBJECT, Returns, Wait

LIST = Path(__file__).with_suffix(".json")
LISTED_MAX = 0.10
SEEDS = 5
SCHEDULES = 40
TRACED_RUNS = 4  # of each variation, from fixed seeds: by then hardly a function is new
MEMORY_BYTES = 4 << 30  # of a process: a loop that lost its end may build lists without one
WHERE = "stress/blindness.py"
RUNS = ("actors", "history", "installed.py", "kernel", "runs", "runtime", "scenarios", "strategies")
JUDGED = ("oracles", "claims/judges.py")
TRACED = "traced"
EXCEPTION, HANG, MMRACE = raised.NAME, "hang", "mmrace itself"


class Place(NamedTuple):
    """Where to look: a cast with one variation of its parameters."""

    scenario: str
    params: Params


def places() -> tuple[Place, ...]:
    """Return every cast with each of its variations; not the recorded workload, which is a cast's actors again."""
    made = (scenario for scenario in casts.SCENARIOS if not scenario.needs_workload)
    return tuple(Place(one.name, tuple(sorted(varied.items()))) for one in made for varied in one.variations)


def spec(place: Place, variant: str, seed: int, turn: int) -> RunSpec:
    """Return one run."""
    strategy = portfolio.member(turn)
    return RunSpec(place.scenario, place.params, variant, engine="fiber", strategy=strategy, seed=seed)


def _run(run: RunSpec) -> RunResult:
    """Play and judge; what failed is not made again, since nobody reads its report.

    What its strategy knows of the program is of the model as it stands: a profile of each variant would cost more than
    the hunt.
    """
    program, stands = MAKERS.program(run), MAKERS.program(replace(run, variant=""))
    with play(program, run, strategy_for(stands, run)) as played:
        return judge(program, run, played.record, played.seconds)


# -- what runs where ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Traced:
    """What traced runs showed.  `known`: signatures of what is found in the model as it stands."""

    returns: dict[str, Returns] = field(default_factory=dict)
    where: dict[str, list[int]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)

    def merge(self, number: int, returns: Mapping[str, Returns], known: Iterable[str]) -> None:
        """Add what the runs at one place showed."""
        for place, more in returns.items():
            self.returns.setdefault(place, Returns()).merge(more)
            self.where.setdefault(place, []).append(number)
        self.known |= set(known)


_seen: dict[str, Returns] = {}
"""What the traced variant notes, in this process."""


def trace(number: int) -> tuple[int, dict[str, Returns], set[str]]:
    """Run one place traced; only what passed counts."""
    if TRACED not in history.own():
        history.register(replaced.tracing(TRACED, _seen), WHERE)
    kept: dict[str, Returns] = {}
    known: set[str] = set()
    for i in range(TRACED_RUNS):
        _seen.clear()
        result = _run(spec(places()[number], TRACED, derive(0, TRACED, number, i), i))
        known |= {finding.signature for finding in result.findings}
        if result.verdict == "PASS":
            for place, returns in _seen.items():
                kept.setdefault(place, Returns()).merge(returns)
    return number, kept, known


# -- hunting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Job:
    """One variant to hunt.  `wait`: what is left out, None: all of the function; `where`: numbers of places."""

    name: str
    place: str
    wait: Wait | None
    value: Any
    where: tuple[int, ...]
    same: bool
    known: frozenset[str]
    seed: int
    seeds: int
    schedules: int


_numbers = count(1)
"""Of the variants of this process: a name is taken for ever."""


def _first(result: RunResult, known: frozenset[str]) -> tuple[str, str] | None:
    """Return judge and rule of the first finding that is new, and none that 3.3 has, Python's exceptions last."""
    new = [finding for finding in result.findings if not finding.known and finding.signature not in known]
    new.sort(key=lambda finding: finding.oracle == EXCEPTION)
    return (new[0].oracle, new[0].rule) if new else None


def hunt(job: Job) -> Hunted:
    """Hunt one variant from each seed."""
    began = time.perf_counter()
    name = f"blind-{next(_numbers)}"
    if job.wait is None:
        variant, reached = replaced.nothing(job.place, job.value, name)
    else:
        variant, reached = replaced.without(job.wait, job.value, name)
    history.register(variant, WHERE)
    found: list[tuple[int, str, str] | None] = []
    for k in range(job.seeds):
        found.append(None)
        for i in range(job.schedules):
            number = job.where[(derive(job.seed, job.name, k) + i) % len(job.where)]
            run = spec(places()[number], name, derive(job.seed, job.name, k, i), i)
            try:
                first = _first(_run(run), job.known)
            except ForeignCall:
                first = HANG, ""
            except (InternalError, AssertionError, LookupError, TypeError, ValueError, AttributeError) as error:
                first = MMRACE, f"{type(error).__name__}: {error}"
            if first is not None:
                found[-1] = i + 1, *first
                break
        gc.collect()
    return Hunted(job.name, job.same, tuple(found), job.schedules, reached[0], time.perf_counter() - began)


def jobs(traced: Traced, options: argparse.Namespace) -> tuple[list[Job], list[str]]:
    """Return what is to be hunted, sorted by name, and the functions that return objects."""
    made: list[Job] = []
    objects: list[str] = []
    success = {place.partition(":")[2]: returns for place, returns in traced.returns.items()}

    def job(name: str, place: str, wait: Wait | None, value: Any, same: bool) -> None:
        if not options.only or any(text in name for text in options.only):
            where, known = tuple(sorted(traced.where[place])), frozenset(traced.known)
            limits = options.seed, options.seeds, options.schedules
            made.append(Job(name, place, wait, value, where, same, known, *limits))

    for place, returns in sorted(traced.returns.items()):
        if returns.success == OBJECT:
            objects.append(place)
        else:
            job(place, place, None, returns.values[returns.success], returns.same)
        for wait in replaced.waits(place):
            its = success.get(wait.callee)
            value = None if its is None or its.success == OBJECT else its.values[its.success]
            job(wait.name, place, wait, value, False)
    return made[: options.limit], objects


# -- telling --------------------------------------------------------------------------------------------------------


def line(hunted: Hunted, listed: Mapping[str, str]) -> str:
    """Return the line of the table."""
    state = hunted.state(listed)
    if state == FOUND:
        median = f"> {hunted.schedules}" if hunted.median == inf else f"{hunted.median:g}"
        told = f"{len(hunted.hits)} of {len(hunted.found)}{median:>8}  {', '.join(hunted.judges)}"
    else:
        told = f"{state}{' NOT REACHED' if not hunted.reached else ''}  {listed.get(hunted.name, '')}".rstrip()
    return f"{hunted.name:72}{told}"


def complaints(done: Sequence[Hunted], listed: Mapping[str, str], whole: bool) -> list[str]:
    """Return what is wrong with what was found and the list, a line each.  Args: whole: everything was hunted."""
    said = []
    for hunted in done:
        if hunted.state(listed) == BLIND:
            said.append(f"blind: expected a finding or a reason in {LIST.name}, got neither for {hunted.name}")
        elif hunted.hits and hunted.name in listed:
            said.append(f"found: {hunted.name} is listed as rightly not found, and {hunted.judges[0]} found it")
    if whole:
        said += [f"gone: {name} is listed and was not hunted" for name in listed.keys() - {one.name for one in done}]
        if len(listed) > LISTED_MAX * len(done):
            said.append(f"too many: {len(listed)} of {len(done)} are listed, at most {LISTED_MAX:.0%} may be")
    return sorted(said)


def summary(done: Sequence[Hunted], listed: Mapping[str, str], objects: int) -> str:
    """Return the last line of the table."""
    states = Counter(hunted.state(listed) for hunted in done)
    by = Counter(hunted.judges[0] for hunted in done if hunted.hits)
    medians = [hunted.median for hunted in done if hunted.hits]
    typical = f", median {statistics.median(medians):g} schedules" if medians else ""
    judges = ", ".join(f"{judge} {count}" for judge, count in by.most_common())
    earlier = sum(hunted.earlier for hunted in done)
    before = f"; {earlier} were found before the judges got their last rules" if earlier else ""
    return (
        f"{len(done)} hunted: {states[FOUND]} found{typical} ({judges}); {states[SAME]} same, {states[LISTED]} listed "
        f"({states[LISTED] / max(1, len(done)):.1%}), {states[BLIND]} blind; {objects} functions return objects and "
        f"were not replaced{before}"
    )


def listed_in(path: Path) -> dict[str, str]:
    """Read the list: name -> reason."""
    content: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def measure(options: argparse.Namespace, listed: Mapping[str, str]) -> tuple[list[Hunted], list[str]]:
    """Trace, then hunt; print each line when it is known.  Returns what was hunted and what could not be replaced."""
    traced = Traced()
    with multiprocessing.get_context("spawn").Pool(options.jobs, _limit_memory) as pool:
        for shown in pool.imap(trace, range(len(places()))):
            traced.merge(*shown)
        todo, objects = jobs(traced, options)
        kept = Kept(options.state, facts(options), found_stays=options.found_stays)
        print(f"{len(traced.returns)} functions run in actors, {len(todo)} variants to hunt", flush=True)
        with kept.keeping() as keep:
            fresh = pool.imap(hunt, [job for job in todo if job.name not in kept.done])
            done = []
            for job in todo:
                hunted = kept.done.get(job.name)
                if hunted is None:
                    keep(hunted := next(fresh))
                print(line(hunted, listed), flush=True)
                done.append(hunted)
    return done, objects


def facts(options: argparse.Namespace) -> dict[str, object]:
    """Return what a hunt depends on: model, actors and how runs are made; judges; the options that it draws from."""
    runs = [nightly.ROOT / "mmrace" / name for name in RUNS]
    sources = {
        "runs": nightly.digest([*runs, *(Path(file) for file in (__file__, replaced.__file__))]),
        JUDGES: nightly.digest([nightly.ROOT / "mmrace" / name for name in JUDGED]),
    }
    return {**sources, **{name: getattr(options, name) for name in ("seed", "seeds", "schedules")}}


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="names that contain it")
    parser.add_argument("--limit", type=int, help="the first so many only")
    parser.add_argument("--schedules", type=int, default=SCHEDULES, help="at most, from each seed (%(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="hunts of each (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what all seeds follow from (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--state", type=Path, help="keep what was hunted in this file, and go on with what is there")
    parser.add_argument(
        "--found-stays", action="store_true", help="of --state: what judges found before they got rules"
    )
    parser.add_argument("--table", type=Path, help="keep the table in this file")
    parser.add_argument("--json", type=Path, help="keep the figures in this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do all of it, print the table; return the exit code."""
    options = parsed(arguments)
    listed = listed_in(LIST)
    done, objects = measure(options, listed)
    said = complaints(done, listed, whole=not options.only and options.limit is None)
    last = [*said, summary(done, listed, len(objects))]
    print("", *last, sep="\n")
    if options.table is not None:
        rows = [line(hunted, listed) for hunted in done]
        files.write_whole(options.table, [f"{text}\n" for text in (*rows, "", *last)])
    if options.json is not None:
        figures = {"hunted": [asdict(hunted) for hunted in done], "objects": objects}
        files.write_whole(options.json, [json.dumps(figures, indent=1), "\n"])
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
