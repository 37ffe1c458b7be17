"""mmrace beside Python tools that explore thread interleavings: schedules per second, schedules to a bug, coverage.

    pip install -e .[bench]
    python stress/bench/peers.py [--rounds N] [--seeds 20] [--json FILE] [--cpu]

The programs are those of `programs.py`, each in every tool's own idiom; a schedule costs all that its user pays:
engine, model, run, check of the outcome.  Rates come from rounds in which every row runs once, one after the other, in
this process; a ratio is the median over the rounds of mmrace's rate over that of the best peer row, a row being one
mode of a peer, on one core or on all, whichever suits it; mmrace is pinned to one core.  frontrun runs without I/O
detection, sleep patching and replays: they cost it time and bring nothing here.  On a busy machine use --cpu: rates
by this process's CPU time, which other processes disturb less; it would flatter a tool that waits.  frontrun's task
mode is shown apart: it interleaves coroutines at awaits written by hand, not threads.  Not compared: reports,
shrinking, memory.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from mmrace.runtime import files
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.strategy import Strategy
from mmrace.strategies.random_walk import RandomWalk
from stress.bench.programs import (
    ABANDONED,
    DEADLOCK,
    PROGRAMS,
    STEPS_MAX,
    Counts,
    Outcome,
    Program,
    enumerate_all,
    play,
)

BARS = {"fiber": 30.0, "gate": 10.0}  # times the best peer's schedules/s that mmrace promises
SCHEDULES = 400  # of a sample of mmrace: some tenths of a second
PEER_SCHEDULES = 60
FIRST_MAX = 500  # schedules to a bug; a seed that needs more is censored
EXHAUST_MAX = 1_000  # schedules of an exhaustive search
PEER_EXHAUST_MAX = 300
OPS_MAX = 120  # frontrun's random prefix, in opcodes: about what these programs have; its default of 300 is slower
WHEEL_SECONDS = 60
BUSY = 0.5  # load average a core from which the machine is called busy

Clock = Callable[[], float]


@dataclass(frozen=True)
class Coverage:
    """What an exhaustive search saw."""

    executions: int
    outcomes: frozenset[Outcome]
    complete: bool
    abandoned: int = 0
    """Of the executions, those that the search gave up because they would have repeated another."""


class Tool(Protocol):
    """One mode of one tool."""

    name: str
    threads: bool
    """False: what it interleaves are no threads."""
    many: bool
    """Worth a row on all cores too."""

    def runs(self, program: Program) -> bool:
        """Say whether the mode can express the program."""

    def sample(self, program: Program, schedules: int, seed: int) -> int:
        """Run about that many schedules, checking each outcome; return how many."""

    def first(self, program: Program, seed: int, most: int) -> int | None:
        """Return the number of the first schedule that shows the bug; None if it is not among the first `most`."""

    def exhaust(self, program: Program, most: int) -> Coverage | None:
        """Search everything; None if the mode only samples."""


# -- mmrace ---------------------------------------------------------------------------------------------------------


def _found(module: str, name: str) -> Any:
    """Return an object of a module, or None where it does not exist (yet)."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return None


def engines() -> dict[str, type[Controlled]]:
    """Return mmrace's controlled engines by name; fiber needs greenlet."""
    fiber = _found("mmrace.runtime.fiber", "FiberEngine")
    return {**({"fiber": fiber} if fiber is not None else {}), "gate": GateEngine}


def walker(seed: int) -> Strategy:
    """Return a random walk, a function of its seed."""
    return RandomWalk(random.Random(seed).random)


class Mmrace:
    """Random walks of mmrace on one engine."""

    threads = True
    many = False

    def __init__(self, engine: type[Controlled]) -> None:
        self.engine = engine
        self.name = f"mmrace {engine.name}"

    def runs(self, program: Program) -> bool:
        """Any."""
        return True

    def _once(self, program: Program, strategy: Strategy, seed: int) -> tuple[Outcome, Controlled]:
        engine = self.engine(strategy, seed=seed, ncpus=len(program.workers), steps_max=STEPS_MAX)
        return play(program, engine), engine

    def sample(self, program: Program, schedules: int, seed: int) -> int:
        """Random walks with seeds of their own."""
        for number in range(schedules):
            outcome, _ = self._once(program, walker(seed * FIRST_MAX + number), number)
            program.wrong(outcome)
        return schedules

    def first(self, program: Program, seed: int, most: int) -> int | None:
        """Random walks."""
        for number in range(most):
            if program.wrong(self._once(program, walker(seed * FIRST_MAX + number), number)[0]):
                return number + 1
        return None

    def exhaust(self, program: Program, most: int) -> Coverage | None:
        """HOOK: mmrace's DPOR, where `mmrace/strategies/dpor.py` has a `Dpor` that is a `Systematic`."""
        dpor = _found("mmrace.strategies.dpor", "Dpor")
        if dpor is None:
            return None
        search = dpor()
        outcomes: list[Outcome] = []
        while (strategy := search.next()) is not None and len(outcomes) < most:
            outcome, engine = self._once(program, strategy, 0)
            outcomes.append(outcome)
            search.learn(engine)
        seen_ones = frozenset(outcomes) - {ABANDONED}
        return Coverage(len(outcomes), seen_ones, strategy is None, outcomes.count(ABANDONED))


# -- frontrun -------------------------------------------------------------------------------------------------------


class State:
    """The shared state of one program; `lock` is looked up late, for frontrun patches threading.Lock."""

    def __init__(self, lock: Callable[[], Any], names: tuple[str, ...]) -> None:
        self.value = 0
        self.log_a: list[int] = []
        self.log_b: list[int] = []
        for name in names:
            setattr(self, name, lock())


_FIVE = tuple(f"lock{number}" for number in range(5))
_LOCKS = ((), ("fork0", "fork1", "fork2"), ("a", "b"), ("a", "b"), _FIVE)
LOCKS = {program.name: locks for program, locks in zip(PROGRAMS, _LOCKS, strict=True)}


def seen(program: Program, state: State) -> Outcome:
    """Return the outcome of a run that ended."""
    names = sorted({name for thread in program.threads for verb, name in thread if verb in ("read", "append")})
    values = [getattr(state, name) for name in names]
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


def _increment(s: Any) -> None:
    value = s.value  # frontrun: read
    s.value = value + 1  # frontrun: write


def _eat0(s: Any) -> None:
    with s.fork0, s.fork1:
        pass


def _eat1(s: Any) -> None:
    with s.fork1, s.fork2:
        pass


def _eat2(s: Any) -> None:
    with s.fork2, s.fork0:
        pass


def _nested(number: int) -> Callable[[Any], None]:
    def worker(s: Any) -> None:
        for _ in range(2):
            with s.a, s.b:
                s.log_a.append(number)

    return worker


def _marked(number: int) -> Callable[[Any], None]:
    def worker(s: Any) -> None:  # `with` would meet its marker twice: on the way in and on the way out
        s.a.acquire()  # frontrun: one
        s.b.acquire()
        s.log_a.append(number)
        s.b.release()
        s.a.release()
        s.a.acquire()  # frontrun: two
        s.b.acquire()
        s.log_a.append(number)
        s.b.release()
        s.a.release()

    return worker


def _in_turn(number: int) -> Callable[[Any], None]:
    def worker(s: Any) -> None:
        with s.a:
            s.log_a.append(number)
        with s.b:
            s.log_b.append(number)

    return worker


def _pass_five(s: Any) -> None:
    with s.lock0:
        pass
    with s.lock1:
        pass
    with s.lock2:
        pass
    with s.lock3:
        pass
    with s.lock4:
        pass
    value = s.value
    s.value = value + 1


_WORKERS: tuple[tuple[Callable[[Any], None], ...], ...] = (
    (_increment,) * 2,
    (_eat0, _eat1, _eat2),
    (_nested(0), _nested(1)),
    (_in_turn(0), _in_turn(1)),
    (_pass_five,) * 3,
)
WORKERS = {program.name: workers for program, workers in zip(PROGRAMS, _WORKERS, strict=True)}
MARKED = {
    "lost update": ((_increment,) * 2, ["read", "write"]),
    "two locks, nested twice": ((_marked(0), _marked(1)), ["one", "two"]),
}


def task_of(ops: tuple[tuple[str, str], ...], number: int) -> Callable[[Any], Any]:
    """Return a coroutine function for frontrun's task mode: one await before each lock and each write."""
    lines = []
    for verb, name in ops:
        if verb in ("lock", "write"):
            lines.append("await sleep(0)")
        lines.append(
            {
                "lock": f"await s.{name}.acquire()",
                "unlock": f"s.{name}.release()",
                "read": f"register = s.{name}",
                "write": f"s.{name} = register + 1",
                "append": f"s.{name}.append({number})",
            }[verb]
        )
    scope: dict[str, Any] = {"sleep": asyncio.sleep}
    exec("async def task(s):\n    " + "\n    ".join(lines), scope)
    task: Callable[[Any], Any] = scope["task"]
    return task


def _outcomes(program: Program, found: set[Outcome]) -> Callable[[Any], bool]:
    """Return an invariant that always holds, for a search that shall go on, and notes what it was shown."""

    def invariant(state: State) -> bool:
        outcome = seen(program, state)
        program.wrong(outcome)
        found.add(outcome)
        return True

    return invariant


class Frontrun:
    """What frontrun's modes share."""

    threads = True
    many = True
    name = ""

    def __init__(self, module: Any) -> None:
        self.module = module

    def runs(self, program: Program) -> bool:
        """Any."""
        return True

    def _setup(self, program: Program) -> Callable[[], State]:
        names = LOCKS[program.name]
        return lambda: State(threading.Lock, names)

    def _search(self, program: Program, invariant: Callable[[Any], bool], most: int, seed: int, stop: bool) -> Any:
        raise NotImplementedError

    def _holds(self, program: Program) -> Callable[[Any], bool]:
        return lambda state: not program.wrong(seen(program, state))

    def sample(self, program: Program, schedules: int, seed: int) -> int:
        """Search again with another seed wherever a deadlock, or exhaustion, ended the search before its time."""
        done = 0
        while done < schedules:
            result = self._search(program, _outcomes(program, set()), schedules - done, seed * FIRST_MAX + done, False)
            done += result.num_explored
        return done

    def first(self, program: Program, seed: int, most: int) -> int | None:
        """Search until frontrun stops at what it takes for a bug."""
        result = self._search(program, self._holds(program), most, seed, True)
        return result.num_explored if result.property_holds is False else None

    def exhaust(self, program: Program, most: int) -> Coverage | None:
        """Search without end but the cap."""
        found: set[Outcome] = set()
        result = self._search(program, _outcomes(program, found), most, 0, False)
        if result.failures:  # the invariant holds always, so it was a deadlock
            found.add(DEADLOCK)
        return Coverage(result.num_explored, frozenset(found), result.num_explored < most)


class FrontrunRandom(Frontrun):
    """Random schedules of opcodes."""

    name = "frontrun random"

    def _search(self, program: Program, invariant: Callable[[Any], bool], most: int, seed: int, stop: bool) -> Any:
        return self.module.explore(
            self._setup(program), list(WORKERS[program.name]), invariant, strategy="random", seed=seed,
            max_attempts=most, max_ops=OPS_MAX, detect_io=False, patch_sleep=False, reproduce_on_failure=0,
        )  # fmt: skip

    def exhaust(self, program: Program, most: int) -> Coverage | None:
        """It only samples."""
        return None


class FrontrunDpor(Frontrun):
    """Its systematic search; no bound on preemptions, and no seed."""

    name = "frontrun dpor"

    def _search(self, program: Program, invariant: Callable[[Any], bool], most: int, seed: int, stop: bool) -> Any:
        return self.module.explore(
            self._setup(program), list(WORKERS[program.name]), invariant, strategy="dpor", preemption_bound=None,
            max_executions=most, stop_on_first=stop, detect_io=False, patch_sleep=False, reproduce_on_failure=0,
        )  # fmt: skip


class FrontrunMarkers(Frontrun):
    """Every order of markers that were put into the source by hand; where a lock can stand in its way it cannot go."""

    name = "frontrun markers"
    many = False  # too slow to measure twice

    def runs(self, program: Program) -> bool:
        """Those that have markers."""
        return program.name in MARKED

    def _search(self, program: Program, invariant: Callable[[Any], bool], most: int, seed: int, stop: bool) -> Any:
        workers, markers = MARKED[program.name]
        threads = {f"t{number}": (worker, markers) for number, worker in enumerate(workers)}
        explore = importlib.import_module("frontrun.trace_markers").explore_marker_interleavings
        return explore(self._setup(program), threads, invariant, stop_on_first=stop)

    def sample(self, program: Program, schedules: int, seed: int) -> int:
        """One search: it takes long."""
        return int(self._search(program, _outcomes(program, set()), 0, seed, False).num_explored)

    def exhaust(self, program: Program, most: int) -> Coverage | None:
        """It has no cap."""
        found = super().exhaust(program, most)
        return found and Coverage(found.executions, found.outcomes, True)


class FrontrunTasks(Frontrun):
    """Random schedules of asyncio tasks: no threads, no opcodes, awaits by hand."""

    name = "frontrun tasks"
    threads = False
    many = False

    def runs(self, program: Program) -> bool:
        """Those without locks: a task that waits for an asyncio.Lock stalls its scheduler until a time-out of 5 s."""
        return not LOCKS[program.name]

    def _search(self, program: Program, invariant: Callable[[Any], bool], most: int, seed: int, stop: bool) -> Any:
        names = LOCKS[program.name]
        tasks = [task_of(ops, number) for number, ops in enumerate(program.threads)]
        return asyncio.run(
            self.module.explore_async_random(
                lambda: State(asyncio.Lock, names), tasks, invariant, max_attempts=most, max_ops=OPS_MAX, seed=seed,
                patch_sleep=False,
            )
        )  # fmt: skip

    def exhaust(self, program: Program, most: int) -> Coverage | None:
        """It only samples."""
        return None


def frontrun_tools() -> list[Tool]:
    """Return frontrun's modes, or none, saying how to install it."""
    os.environ.setdefault("FRONTRUN_ACTIVE", "1")  # what its command sets; its preloaded library is for I/O
    try:
        module = importlib.import_module("frontrun")
    except ImportError as error:
        print(f"frontrun: not installed ({error}); pip install -e .[bench]")
        return []
    return [FrontrunRandom(module), FrontrunDpor(module), FrontrunMarkers(module), FrontrunTasks(module)]


def why_no_interleave() -> str:
    """Say why interleave-test cannot take part, as pip sees it now."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", folder, "interleave-test"]
        try:
            tried = subprocess.run(words, capture_output=True, text=True, timeout=WHEEL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return f"not tried: pip did not answer in {WHEEL_SECONDS} s"
    if tried.returncode == 0:
        return "installable on this Python, but this benchmark has no adapter for it yet"
    reasons = [line for line in tried.stderr.splitlines() if line.startswith("ERROR")]
    version = ".".join(map(str, sys.version_info[:3]))
    return f"not on this Python ({version}): {reasons[0] if reasons else tried.stderr.strip()[-200:]}"


# -- measuring ------------------------------------------------------------------------------------------------------


@contextmanager
def on(cores: set[int]) -> Iterator[None]:
    """Keep this thread, and those it starts, on some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Row:
    """A tool on one core or on all; `once` is how many schedules a sample has."""

    tool: Tool
    cores: frozenset[int]
    once: int

    @property
    def name(self) -> str:
        """The tool's, and how many cores if that is not one."""
        return self.tool.name if len(self.cores) == 1 else f"{self.tool.name}, {len(self.cores)} cores"

    def rate(self, program: Program, seed: int, clock: Clock) -> float:
        """Return schedules per second of one sample."""
        with on(set(self.cores)):
            began = clock()
            done = self.tool.sample(program, self.once, seed)
            return done / (clock() - began)


def rows(ours: list[Tool], peers: list[Tool]) -> list[Row]:
    """Return what is measured in each round."""
    cores = frozenset(os.sched_getaffinity(0))
    one = frozenset({max(cores)})
    places = [one, cores] if len(cores) > 1 else [one]
    return [
        *(Row(tool, one, SCHEDULES) for tool in ours),
        *(Row(tool, place, PEER_SCHEDULES) for tool in peers for place in places if tool.many or place == one),
    ]


@dataclass
class Result:
    """All figures of one program; ratios are by engine, to the best row of threads and to the best of all."""

    program: str
    rates: dict[str, float]
    best: str | None
    ratios: dict[str, float]
    best_of_all: str | None
    ratios_of_all: dict[str, float]
    first: dict[str, dict[str, float | int | None]]
    counts: Counts
    coverage: dict[str, Coverage]


def _ratios(samples: dict[str, list[float]], ours: list[str], peer: str | None) -> dict[str, float]:
    if peer is None:
        return {}
    return {name: statistics.median(a / b for a, b in zip(samples[name], samples[peer], strict=True)) for name in ours}


def measure_first(tool: Tool, program: Program, seeds: int, most: int) -> dict[str, float | int | None]:
    """Return the median of schedules to the bug over the seeds (None if censored), and how many found it."""
    tries = 1 if isinstance(tool, FrontrunDpor | FrontrunMarkers) else seeds  # these have no seed
    found = [tool.first(program, seed, most) for seed in range(tries)]
    ordered = sorted(most + 1 if number is None else number for number in found)
    median = statistics.median(ordered)
    return {"median": median if median <= most else None, "found": tries - found.count(None), "seeds": tries}


def measure(
    program: Program, ours: list[Tool], peers: list[Tool], rounds: int, seeds: int, clock: Clock = time.perf_counter
) -> Result:
    """Return all figures of one program."""
    measured = [row for row in rows(ours, peers) if row.tool.runs(program)]
    for row in measured:
        Row(row.tool, row.cores, 5).rate(program, 0, clock)  # first imports, caches, threads
    samples: dict[str, list[float]] = {row.name: [] for row in measured}
    for number in range(rounds):
        for row in measured:
            samples[row.name].append(row.rate(program, number, clock))
    rates = {name: statistics.median(found) for name, found in samples.items()}
    mine = [tool.name for tool in ours]
    rivals = [row for row in measured if row.tool.name not in mine]
    best = max((row.name for row in rivals if row.tool.threads), key=rates.__getitem__, default=None)
    best_of_all = max((row.name for row in rivals), key=rates.__getitem__, default=None)
    tools = [tool for tool in [*ours, *peers] if tool.runs(program)]
    with on({max(os.sched_getaffinity(0))}):
        first = {tool.name: measure_first(tool, program, seeds, FIRST_MAX) for tool in tools if program.buggy}
        caps = {tool.name: EXHAUST_MAX if tool in ours else PEER_EXHAUST_MAX for tool in tools}
        searched = {tool.name: tool.exhaust(program, caps[tool.name]) for tool in tools}
    return Result(
        program.name, rates, best, _ratios(samples, mine, best), best_of_all, _ratios(samples, mine, best_of_all),
        first, enumerate_all(program), {name: found for name, found in searched.items() if found is not None},
    )  # fmt: skip


# -- printing -------------------------------------------------------------------------------------------------------


def show(result: Result) -> None:
    """Print the tables of one program."""
    print(f"\n{result.program}")
    for name, rate in result.rates.items():
        ratio = result.ratios.get(name)
        beside = f"{ratio:8.1f} x {result.best}" if ratio is not None else ""
        if ratio is not None and result.best_of_all != result.best:
            beside += f"; {result.ratios_of_all[name]:.1f} x {result.best_of_all}"
        print(f"  {name:32} {rate:10,.0f} schedules/s {beside}")
    for name, row in result.first.items():
        median = f"{row['median']:g}" if row["median"] is not None else f"more than {FIRST_MAX} (censored)"
        print(f"  {name:32} first bug after {median} schedules (median), found by {row['found']} of {row['seeds']}")
    counts = result.counts
    print(
        f"  {'brute force':32} {counts.interleavings:,} interleavings, {counts.traces:,} that differ in the order of "
        f"dependent ops, {len(counts.outcomes)} outcomes"
    )
    for name, coverage in result.coverage.items():
        end = "" if coverage.complete else ", stopped at the cap"
        hit = len(coverage.outcomes & counts.outcomes)
        gave_up = f" ({coverage.abandoned:,} abandoned)" if coverage.abandoned else ""
        print(f"  {name:32} {coverage.executions:,} executions{gave_up}, {hit} of {len(counts.outcomes)} outcomes{end}")
        if strange := coverage.outcomes - counts.outcomes:
            print(f"  {name:32} OUTCOMES THAT CANNOT BE: {sorted(map(str, strange))}")


def show_bars(results: list[Result]) -> None:
    """Print whether the promised ratios hold, over every program."""
    print()
    for engine, bar in BARS.items():
        found = [result.ratios[f"mmrace {engine}"] for result in results if f"mmrace {engine}" in result.ratios]
        if not found:
            print(f"{engine} >= {bar:g} x the best peer: not measured")
            continue
        word = "met" if min(found) >= bar else "NOT met"
        span = f"{min(found):.1f} to {max(found):.1f} x"
        print(f"{engine} >= {bar:g} x the best peer that interleaves threads, on every program: {word}: {span}")


def _plain(value: object) -> object:
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)


def main() -> None:
    """Print the tables; with --json keep the figures too."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cpu", action="store_true", help="rates by CPU time of this process")
    options = parser.parse_args()
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load > BUSY * cores and not options.cpu:
        print(f"busy machine (load {load:.1f} on {cores} cores): wall-clock rates mean little; try --cpu")
    clock = time.process_time if options.cpu else time.perf_counter
    ours: list[Tool] = [Mmrace(engine) for engine in engines().values()]
    peers = frontrun_tools()
    print(f"interleave-test: {why_no_interleave()}")
    results = []
    for program in PROGRAMS:
        results.append(measure(program, ours, peers, options.rounds, options.seeds, clock))
        show(results[-1])
    show_bars(results)
    if options.json is not None:
        files.write_whole(
            options.json, [json.dumps([asdict(result) for result in results], indent=1, default=_plain), "\n"]
        )


if __name__ == "__main__":
    main()
