"""What an op costs under the free-running engine, as ratios to a bare ``threading.Lock`` pair on this machine.

    python stress/bench/free.py [--rounds N] [--json]

Each round measures, one after the other in the same process: bare lock pairs; a fixed mix of ops (lock, bit, refcount,
field, data word) by one task and by two that share everything, each with the recorder on and off and without noise;
and the scenario `four`, model set-up and oracles left out.  Printed are medians over the rounds, and of their ratios;
a ratio is ops/s over pairs/s, so 0.1 says that an op costs ten pairs.  Not measured: noise, whose delays are wanted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time

from mmrace import runtime as rt
from mmrace import scenarios
from mmrace.actors.stage import Stage
from mmrace.kernel.mm.page import PageFlags
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.noise import Noise

PAIRS = 300_000
LOOPS = 6_000
OPS_PER_LOOP = 12


class _Mixed(rt.Struct):
    """One object of each kind of primitive."""

    lock = rt.irq_spinlock()
    flags = rt.flag_word(PageFlags, waitable=(PageFlags.PG_locked,))
    count = rt.refcount()
    field: rt.Field[int] = rt.shared(0)
    words = rt.words()


def bare_pairs() -> float:
    """Return uncontended acquire/release pairs per second."""
    lock = threading.Lock()
    acquire, release = lock.acquire, lock.release
    began = time.perf_counter()
    for _ in range(PAIRS):
        acquire()
        release()
    return PAIRS / (time.perf_counter() - began)


def _mix(obj: _Mixed, loops: int) -> None:
    for _ in range(loops):
        rt.spin_lock_irq(obj.lock)
        obj.field = obj.field + 1
        rt.spin_unlock_irq(obj.lock)
        obj.count.get("lookup")
        rt.test_bit(obj.flags, PageFlags.PG_dirty)
        rt.set_bit(obj.flags, PageFlags.PG_dirty)
        rt.clear_bit(obj.flags, PageFlags.PG_dirty)
        obj.words.write(0, obj.words.read(0))
        obj.count.put("lookup")
        rt.schedule()


def mixed(tasks: int, record: bool) -> float:
    """Return ops per second of the mix."""
    took = 0.0

    def main() -> None:
        nonlocal took
        obj = _Mixed("mixed", words=1)
        began = time.perf_counter()
        for i in range(tasks):
            rt.spawn(_mix, obj, LOOPS // tasks, name=f"t{i}", cpu=i)
        rt.join_others()
        took = time.perf_counter() - began

    engine = FreeEngine(Noise("off", 0), sites=record, record=record, steps_max=10**9)
    engine.run(main)
    if engine.error is not None:
        raise engine.error
    return LOOPS // tasks * tasks * OPS_PER_LOOP / took


def four() -> float:
    """Return recorded ops per second of one run of `four`, set-up and final sync included, oracles not."""
    scenario = scenarios.get("four")
    params = scenario.merged({"rounds": 10})
    engine = FreeEngine(Noise("off", 0), ncpus=scenario.ncpus(params))
    began = time.perf_counter()
    engine.run(lambda: scenario.play(Stage(params)))
    took = time.perf_counter() - began
    if engine.error is not None:
        raise engine.error
    return sum(len(task.events) for task in engine.tasks) / took


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Return rate and ratio of each row, medians over the rounds."""
    rows = {
        "mix, 1 task, recorder off": lambda: mixed(1, False),
        "mix, 1 task, recorder on": lambda: mixed(1, True),
        "mix, 2 tasks, recorder off": lambda: mixed(2, False),
        "mix, 2 tasks, recorder on": lambda: mixed(2, True),
        "four, recorder on": four,
    }
    rates: dict[str, list[float]] = {name: [] for name in ("bare lock pairs", *rows)}
    ratios: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(rounds):
        pairs = bare_pairs()
        found = {"bare lock pairs": pairs, **{name: row() for name, row in rows.items()}}
        for name, rate in found.items():
            rates[name].append(rate)
            ratios[name].append(rate / pairs)
    return {name: {"per_s": statistics.median(rates[name]), "ratio": statistics.median(ratios[name])} for name in rates}


def main() -> None:
    """Print the table, or with --json its figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options.rounds)
    if options.json:
        print(json.dumps(figures, indent=1))
        return
    print(f"{'what':32} {'per second':>12} {'ratio':>8}")
    for name, row in figures.items():
        print(f"{name:32} {row['per_s']:12,.0f} {row['ratio']:8.4f}")


if __name__ == "__main__":
    main()
