"""Behind every prefix a walk sees what enumeration sees, which reduces nothing; a wrong walk does not.

The programs are those of the tests of `dpor`, each primitive in turn.  The prefixes are all beginnings of some runs,
drawn with fixed seeds, so nothing here is left to chance.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.record import Record
from mmrace.search.prove.prefix import Prefix, Prefixed, PrefixedWalk, deeds
from mmrace.strategies.contract import Systematic
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.enumerate import Enumerate
from mmrace.strategies.random_walk import RandomWalk
from tests.runtime.engines import Program
from tests.strategies.dpor_digests import Digests
from tests.strategies.dpor_families.listed import AT_ONCE, PROGRAMS
from tests.strategies.dpor_programs import NCPUS, STEPS_MAX, TABLES, Seen, enumerated, explore
from tests.strategies.test_dpor import CPUS_APART

SCHEDULES_MAX = 3000  # of a program that is enumerated behind each prefix
SEEDS = 3
QUICK = ("lost update", "lost wake-up", "choose frees || read", "bug || write, write", "daemon || task")
CONTENDED = "shared CPU, main releases"


def drawn(main: Program, seed: int) -> tuple[Prefix, int]:
    """Return what a random walk did, and how many of its ops came before anything was chosen."""
    run = FiberEngine(RandomWalk(random.Random(seed).random), ncpus=NCPUS, steps_max=STEPS_MAX, tables=TABLES)
    run.run(main)
    return deeds(Record.of_run(run, {}, {})), run.explored()[0]


def prefixes(main: Program, seeds: int = SEEDS) -> Iterator[Prefix]:
    """Yield all beginnings of some runs."""
    for seed in range(seeds):
        done, first = drawn(main, seed)
        yield from (done[:length] for length in range(first, len(done) + 1))


def behind(main: Program, prefix: Prefix, search: Systematic, **more: Any) -> Seen:
    """Search what is behind a prefix."""
    seen = explore(main, PrefixedWalk(prefix, search), **more)
    assert seen.done
    return seen


@cache
def too_large(name: str) -> bool:
    """Say whether a program has too many schedules for this."""
    return name in AT_ONCE or not enumerated(PROGRAMS[name], runs_max=SCHEDULES_MAX).done


def differing(main: Program, search: Callable[[], Systematic], seeds: int = SEEDS) -> list[Prefix]:
    """Return the prefixes behind which a search sees other outcomes than there are."""
    return [
        prefix
        for prefix in prefixes(main, seeds)
        if behind(main, prefix, search()).outcomes != behind(main, prefix, Enumerate()).outcomes
    ]


@pytest.mark.parametrize("name", QUICK)
def test_a_walk_behind_a_prefix_sees_what_enumeration_sees_there(name: str) -> None:
    assert differing(PROGRAMS[name], Dpor, seeds=1) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*PROGRAMS} - {*AT_ONCE}))
def test_a_walk_behind_any_prefix_of_any_program_is_complete(name: str) -> None:
    if too_large(name):
        pytest.skip(f"over {SCHEDULES_MAX} schedules")
    assert differing(PROGRAMS[name], Dpor) == []


def test_a_main_task_that_has_yet_to_act_contends_for_its_cpu() -> None:
    """Without that the walk has it wait for ever, and ends in a standstill that other schedules do not have."""
    done, _ = drawn(PROGRAMS[CONTENDED], 0)
    prefix = done[:6]
    assert [task for task, _ in prefix] == ["main", "main", "main", "main", "t1", "t0"]
    every = behind(PROGRAMS[CONTENDED], prefix, Enumerate())
    assert behind(PROGRAMS[CONTENDED], prefix, Dpor()).outcomes == every.outcomes
    assert len(every.ends) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", CPUS_APART)
def test_each_class_behind_a_prefix_is_counted_once(name: str) -> None:
    if too_large(name):
        pytest.skip(f"over {SCHEDULES_MAX} schedules")
    main = PROGRAMS[name]
    for prefix in prefixes(main, 1):
        mine, every = Digests(), Digests()
        behind(main, prefix, Dpor(), watch=mine.watch)
        behind(main, prefix, Enumerate(), watch=every.watch)
        assert len(mine.values()) == len(set(mine.values()))
        assert set(mine.values()) == set(every.values())


@pytest.mark.parametrize("name", QUICK)
def test_behind_nothing_is_the_whole_program(name: str) -> None:
    main = PROGRAMS[name]
    assert behind(main, (), Dpor()).outcomes == explore(main, Dpor()).outcomes


def test_behind_a_whole_run_is_that_run() -> None:
    main = PROGRAMS["lost update"]
    done, _ = drawn(main, 0)
    seen = behind(main, done, Dpor(), keep=True)
    assert seen.runs == 1
    assert deeds(Record.of_run(seen.engines[0], {}, {})) == done


def test_a_prefix_whose_task_has_to_wait_is_lost_there() -> None:
    main = PROGRAMS["ABBA"]
    done, first = drawn(main, 0)
    strategy = Prefixed((*done[:first], ("main", 0), ("nobody", 0)), RandomWalk(random.Random(0).random))
    run = FiberEngine(strategy, ncpus=NCPUS, steps_max=STEPS_MAX, tables=TABLES)
    run.run(main)
    assert strategy.lost == first
    assert run.end["how"] == "abandoned"
    walk = PrefixedWalk((*done[:first], ("nobody", 0)), Dpor())
    assert explore(main, walk).outcomes == set()
    assert walk.lost == first


# -- wrong walks are caught --------------------------------------------------------------------------------------------


class AsleepAtFirst(Dpor):
    """BUGGY: where its own decisions begin, whoever is not to run first sleeps already."""

    def _asleep(self, depth: int) -> dict[int, Any]:
        asleep = super()._asleep(depth)
        enabled = [task.id for task in self._engine.enabled]
        return asleep if depth or len(enabled) < 2 else {max(enabled): []}


class GoesOnByItself(PrefixedWalk):
    """BUGGY: does a step less than it was told."""

    def __init__(self, prefix: Prefix, search: Systematic) -> None:
        super().__init__(prefix[:-1], search)


def test_a_walk_that_begins_with_sleepers_is_caught() -> None:
    assert differing(PROGRAMS["lost update"], AsleepAtFirst, seeds=1)


def test_a_walk_behind_a_shorter_prefix_is_caught() -> None:
    main = PROGRAMS["lost update"]
    assert any(
        explore(main, GoesOnByItself(prefix, Dpor())).outcomes != behind(main, prefix, Enumerate()).outcomes
        for prefix in prefixes(main, 1)
        if prefix
    )
