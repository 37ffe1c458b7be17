"""What a point and a run cost under the controlled engines, as ratios to the barest thing that could do the same.

    python stress/bench/engines.py [--rounds N] [--json FILE]

Each round measures every row beside its reference, one after the other; printed are medians over the rounds of the
ratio, with the bar that it has to meet.  The process is pinned to one core and times are its own CPU time, so that
other processes disturb little; garbage is collected between measurements, not during them, as a search does it.  The
recorder is on, detectors are off, the strategy is the random walk wherever it is not said otherwise.

    gate    a switch, beside two threads that hand two locks to and fro
    fiber   a point that switches, and one that does not, beside a bare greenlet switch
    run     `async-vs-commit` whole, from the engine's construction on, beside an engine that does nothing: it replays
            for each task as many points as it had, and a point is a method call, a random pick among the unfinished
            tasks, a greenlet switch if that is another one, and an append of a tuple and of a mask
    shares  of such a run: building the model; making and keeping events and masks
    layers  where the time of such runs goes, by samples of the innermost frame; snapshots with all that they call

    detectors  a run with the data race detector, and with the lock order predictor, beside one without

A point is the least that an op can be: announced, done, logged.  Not measured: sites, strategies that think (their
classes per 10,000 schedules are in `classes.py`).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from greenlet import getcurrent, greenlet

from mmrace import runtime as rt
from mmrace import scenarios
from mmrace.actors.stage import Stage
from mmrace.oracles.general import data_race, lock_order
from mmrace.oracles.general.bench import judge_all
from mmrace.runtime import files, live
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.fields import FIELD_FILE
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task
from mmrace.scenarios.build import build
from mmrace.scenarios.maker import JUDGES
from mmrace.scenarios.tables import KERNEL
from mmrace.strategies.random_walk import RandomWalk

BARS = {
    "gate, a switch / lock ping-pong": 1.5,
    "fiber, a point that switches / greenlet switch": 3.3,
    "fiber, a point that does not / greenlet switch": 1.0,
    "fiber, a whole run / a do-nothing engine": 3.0,
    "of it: building the model": 0.15,
    "of it: recorder": 0.15,
    "a run with the data race detector / without": 1.7,
}
DETECTORS = {
    data_race.NAME: "a run with the data race detector / without",
    lock_order.NAME: "a run with the lock order predictor / without",
}
SWITCHES = 10_000  # of a sample of bare switches or points: some milliseconds
THREAD_SWITCHES = 2_000
RUNS = 8  # of a sample of whole runs
SAMPLED_RUNS = 400  # of the profile by layer
SAMPLE_SECONDS = 0.001
SCENARIO = "async-vs-commit"
PARAMS: dict[str, int | str] = {"pages": 1, "buffers": 2, "rounds": 1, "migrations": 1, "idle": 0}

clock = time.process_time
Figures = dict[str, list[float]]


# -- points ---------------------------------------------------------------------------------------------------------


class Alternate(BaseStrategy):
    """A strategy for two tasks: the other one, at every point."""

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the enabled task that does not run."""
        first = enabled[0]
        return enabled[1] if running is first else first


class Stay(Alternate):
    """A strategy that is asked and never switches if it need not."""

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the running task."""
        return running if running.on else enabled[0]


class _Thing(rt.Struct):
    """What the points are on."""

    field: rt.Field[int] = rt.shared(0)


def _ops(thing: _Thing, n: int) -> None:
    """Do `n` ops, each the least that the contract of an engine asks of one."""
    code = thing.code
    for _ in range(n):
        task = live.point(thing, code)
        task.log((task.id, code, None, None))


def points(engine: type[Controlled], strategy: Alternate, n: int) -> float:
    """Return seconds per point of two tasks that do `n` points together."""
    took = 0.0

    def main() -> None:
        nonlocal took
        thing = _Thing("thing")
        for cpu in range(2):
            rt.spawn(_ops, thing, n // 2, cpu=cpu)
        began = clock()
        rt.join_others()
        took = clock() - began

    made = engine(strategy, steps_max=10 * n)
    made.run(main)
    if made.error is not None:
        raise made.error
    return took / n


def greenlet_switch(n: int) -> float:
    """Return seconds per switch between two bare greenlets."""
    hub = getcurrent()

    def one() -> None:
        switch = two_.switch
        for _ in range(n // 2):
            switch()
        hub.switch()

    def two() -> None:
        switch = one_.switch
        while True:
            switch()

    one_, two_ = greenlet(one), greenlet(two)
    began = clock()
    one_.switch()
    return (clock() - began) / n


def ping_pong(n: int) -> float:
    """Return seconds per switch between two bare threads that hand two locks to and fro."""
    here, there = threading.Lock(), threading.Lock()
    here.acquire()
    there.acquire()

    def other() -> None:
        wait, wake = there.acquire, here.release
        for _ in range(n // 2):
            wait()
            wake()

    thread = threading.Thread(target=other)
    thread.start()
    wait, wake = here.acquire, there.release
    began = clock()
    for _ in range(n // 2):
        wake()
        wait()
    took = clock() - began
    thread.join()
    return took / n


# -- runs -----------------------------------------------------------------------------------------------------------


def whole(seed: int) -> tuple[Controlled, Stage]:
    """Do one run; return its engine and stage."""
    scenario = scenarios.get(SCENARIO)
    params = scenario.merged(PARAMS)
    strategy = RandomWalk(random.Random(seed).random)
    ncpus, steps_max = scenario.ncpus(params), scenario.steps(params)
    engine = FiberEngine(strategy, seed=seed, ncpus=ncpus, steps_max=steps_max, tables=KERNEL)
    stage = Stage(params)
    engine.run(lambda: scenario.play(stage))
    if engine.error is not None:
        raise engine.error
    return engine, stage


def building() -> float:
    """Return seconds that it takes to build the model of such a run, `Machine` and all."""
    scenario = scenarios.get(SCENARIO)
    params = scenario.merged(PARAMS)
    took = 0.0

    def main() -> None:
        nonlocal took
        with rt.fixed_order():
            began = clock()
            build(Stage(params), scenario.ncpus(params))
            took = clock() - began

    engine = FiberEngine(Stay(), ncpus=scenario.ncpus(params))
    engine.run(main)
    engine.release()
    return took


def recording(engine: Controlled) -> float:
    """Return seconds that it takes to make and to keep a run's events and masks once more."""
    events: list[tuple[Any, ...]] = []
    masks: list[int] = []
    log, keep = events.append, masks.append
    rows = list(engine.events)
    began = clock()
    for task, code, a, b in rows:
        log((task, code, a, b))
        keep(code)
    took = clock() - began
    began = clock()
    for _task, _code, _a, _b in rows:
        pass
    return took - (clock() - began)


class Nothing:
    """The do-nothing engine.  Args: stages: one after the other, how many points each of the tasks has in it."""

    def __init__(self, stages: list[list[int]], draw: Callable[[], float]) -> None:
        self.stages = stages
        self.draw = draw
        self.events: list[tuple[Any, ...]] = []
        self.masks: list[int] = []
        self.mask = 1
        self.left: list[greenlet] = []

    def point(self, me: greenlet) -> None:
        """Do what cannot be left out."""
        left = self.left
        chosen = left[int(self.draw() * len(left))]
        if chosen is not me:
            chosen.switch()
        self.events.append((me, 0, None, None))
        self.masks.append(self.mask)

    def _task(self, count: int, *_given: object) -> None:
        me = getcurrent()
        for _ in range(count):
            self.point(me)
        self.left.remove(me)
        if self.left:
            me.parent = self.left[int(self.draw() * len(self.left))]  # it goes on when this one is dead

    def run(self) -> None:
        """Run every stage."""
        for counts in self.stages:
            self.left = [greenlet(partial(self._task, count)) for count in counts]
            self.left[0].switch()


def stages_of(engine: Controlled) -> list[list[int]]:
    """Return what the do-nothing engine has to replay: set-up and end by one task, the explored part by all of it."""
    first, end = engine.explored()
    ops = [event[0] for event in engine.events if event[1] != NOTE]
    return [[first], list(Counter(ops[first:end]).values()), [len(ops) - end]]


def runs(first: int) -> tuple[float, float, float, float]:
    """Return seconds of a whole run, of the do-nothing engine, of building, of recording; means of a few runs."""
    total = [0.0] * 4
    for seed in range(first, first + RUNS):
        began = clock()
        engine, _ = whole(seed)
        total[0] += clock() - began
        nothing = Nothing(stages_of(engine), random.Random(seed).random)
        began = clock()
        nothing.run()
        total[1] += clock() - began
        total[3] += recording(engine)
        engine.release()
        total[2] += building()
    return total[0] / RUNS, total[1] / RUNS, total[2] / RUNS, total[3] / RUNS


# -- layers ---------------------------------------------------------------------------------------------------------

LAYERS = (
    ("snapshots", ("mmrace/scenarios/snapshot.py",)),
    ("points and switches", ("runtime/fiber.py", "runtime/controlled.py", "runtime/asking.py", "runtime/enabled.py")),
    ("strategy", ("mmrace/strategies/", "mmrace/runs/", "mmrace/search/")),
    ("primitives", ("mmrace/runtime/", FIELD_FILE)),
    ("kernel code", ("mmrace/kernel/",)),
    ("actors and set-up", ("mmrace/actors/", "mmrace/scenarios/")),
)


def _layer(frame: FrameType | None) -> str:
    path = frame.f_code.co_filename if frame is not None else ""
    while frame is not None:
        if frame.f_code.co_filename.endswith(LAYERS[0][1]):
            return LAYERS[0][0]
        frame = frame.f_back
    return next((name for name, places in LAYERS if any(place in path for place in places)), "the rest")


def layers(count: int) -> dict[str, float]:
    """Return each layer's share of the CPU time of `count` runs, and beside it what judging them would take."""
    seen: Counter[str] = Counter()

    def sample(_: int, frame: FrameType | None) -> None:
        seen[_layer(frame)] += 1

    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_SECONDS, SAMPLE_SECONDS)
    try:
        for seed in range(count):
            whole(seed)[0].release()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    total = max(1, seen.total())
    return {**{name: seen[name] / total for name, _ in LAYERS}, "the rest": seen["the rest"] / total}


def judging(first: int) -> float:
    """Return what judging a run takes, as a share of the run."""
    ran = judged = 0.0
    for seed in range(first, first + RUNS):
        began = clock()
        engine, stage = whole(seed)
        ran += clock() - began
        began = clock()
        judge_all(Record.of_run(engine, {"scenario": SCENARIO, "params": stage.params}, stage.final), JUDGES)
        judged += clock() - began
        engine.release()
    return judged / ran


# -- to be added ----------------------------------------------------------------------------------------------------


def detectors(first: int) -> Figures:
    """Return what a run costs with the data race detector, and with the lock order predictor, beside one without."""
    ran = 0.0
    took = dict.fromkeys(DETECTORS.values(), 0.0)
    for seed in range(first, first + RUNS):
        began = clock()
        engine, stage = whole(seed)
        ran += clock() - began
        record = Record.of_run(engine, {"scenario": SCENARIO, "params": stage.params}, stage.final)
        for row, name in DETECTORS.items():
            began = clock()
            JUDGES[row](record)
            took[name] += clock() - began
        engine.release()
    return {name: [(ran + seconds) / ran] for name, seconds in took.items()}


# -- all of it ------------------------------------------------------------------------------------------------------


def one_round(number: int) -> tuple[dict[str, float], dict[str, float]]:
    """Measure once: the ratios, and beside them microseconds of what they are made of."""
    first = number * RUNS
    seconds: dict[str, float] = {}

    def timed(name: str, took: float) -> float:
        gc.collect()
        seconds[name] = took * 1e6
        return took

    bare = timed("greenlet switch", greenlet_switch(SWITCHES))
    switching = timed("fiber, a point that switches", points(FiberEngine, Alternate(), SWITCHES))
    staying = timed("fiber, a point that does not", points(FiberEngine, Stay(), SWITCHES))
    pong = timed("lock ping-pong", ping_pong(THREAD_SWITCHES))
    gated = timed("gate, a switch", points(GateEngine, Alternate(), THREAD_SWITCHES))
    run, nothing, built, recorded = (
        timed(name, took)
        for name, took in zip(("a run", "a do-nothing run", "building", "recording"), runs(first), strict=True)
    )
    found = (gated / pong, switching / bare, staying / bare, run / nothing, built / run, recorded / run)
    return dict(zip(BARS, found, strict=False)), seconds  # the detectors' bars come after these


def measure(rounds: int) -> dict[str, Any]:
    """Return all figures: medians over the rounds."""
    ratios: Figures = {name: [] for name in BARS}
    micros: Figures = {}
    judged: list[float] = []
    gc.disable()
    try:
        one_round(0)  # specialises the bytecode, fills the pools
        for number in range(rounds):
            found, seconds = one_round(number)
            judged.append(judging(number * RUNS))
            for name, value in found.items():
                ratios[name].append(value)
            for name, value in seconds.items():
                micros.setdefault(name, []).append(value)
            for name, values in detectors(number * RUNS).items():
                ratios.setdefault(name, []).extend(values)
            gc.collect()
        shares = layers(SAMPLED_RUNS)
    finally:
        gc.enable()
    return {
        "ratios": {name: statistics.median(values) for name, values in ratios.items()},
        "microseconds": {name: statistics.median(values) for name, values in micros.items()},
        "layers": {**shares, "judging, beside the run": statistics.median(judged)},
    }


def show(figures: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{'what':52} {'ratio':>8} {'bar':>6}")
    for name, ratio in figures["ratios"].items():
        bar = BARS.get(name)
        verdict = "" if bar is None else f"{bar:6.2f}  {'met' if ratio <= bar else 'NOT MET'}"
        print(f"{name:52} {ratio:8.2f} {verdict}")
    print(f"\n{'median microseconds, CPU time':52}")
    for name, value in figures["microseconds"].items():
        print(f"{name:52} {value:8.2f}")
    print(f"\n{'where a run goes':52} {'share':>8}")
    for name, share in figures["layers"].items():
        print(f"{name:52} {share:8.1%}")


def main() -> None:
    """Measure and print; with --json also write the figures to a file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before there are workers: they inherit it
    figures = measure(options.rounds)
    show(figures)
    if options.json is not None:
        files.write_whole(options.json, [json.dumps(figures, indent=1), "\n"])


if __name__ == "__main__":
    main()
