"""Where ends meet all steps, a search sees what enumeration sees, and how far everybody got when a rule was broken."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, SHIFT, Kind
from mmrace.strategies.contract import Systematic
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.enumerate import Enumerate
from tests.runtime.engines import Box, Program
from tests.strategies.dpor_families.listed import PROGRAMS
from tests.strategies.dpor_programs import NCPUS, STEPS_MAX, TABLES, played

FREED_EARLY = "shared CPU, bit spinlock || free"
"""There a task comes upon freed memory before its op begins, within a step that meets nothing of it."""
KNOWN = (
    "release || try || lock", "bit spinlock || plain store inside and outside", "choose frees || read",
    "free || read", "bug || mutex twice || mutex, write", "bug || write, write",
)  # fmt: skip
"""Programs of the tests of `dpor` in which some runs break a rule."""


def _writes(box: Box) -> None:
    box.x = 1
    box.y = 2


def _raises(box: Box) -> None:
    _ = box.y
    raise ValueError("one")


def _writes_and_raises(box: Box) -> None:
    box.x = 3
    raise KeyError("two")


def _breaks_if_written(box: Box) -> None:
    rt.bug_on(box.x == 1, "written")


def _breaks_at_once(box: Box) -> None:
    rt.bug_on(True, "at once")


def _locks_and_raises(box: Box) -> None:
    rt.mutex_lock(box.mutex)
    box.x = 5
    rt.mutex_unlock(box.mutex)
    raise OSError("three")


OWN: dict[str, Program] = {
    "raises || writes": played(_raises, _writes),
    "raises || raises": played(_raises, _writes_and_raises),
    "breaks if written || writes || raises": played(_breaks_if_written, _writes, _writes_and_raises),
    "breaks || breaks if written || writes": played(_breaks_at_once, _breaks_if_written, _writes),
    "locks, raises || locks, raises": played(_locks_and_raises, _locks_and_raises),
}
ALL = {**{name: PROGRAMS[name] for name in KNOWN}, **OWN}


Seen = tuple[object, object]
"""How a run ended, and what each task saw."""


def whole(run: Controlled) -> Seen:
    """Return how a run ended, and all that each task saw until then."""
    detail = run.end["detail"]
    saw: dict[str, list[object]] = {}
    for number, op, a, b in run.events:
        if op != NOTE and (kind := op & KIND_MASK) not in (Kind.GET, Kind.ADD):
            fact = tuple(sorted(run.tasks[woken].name for woken in b)) if kind == Kind.WAKE else str(b)
            saw.setdefault(run.tasks[number].name, []).append((kind, op >> SHIFT, str(a), fact))
    end = (run.end["how"], *(detail.get(key) for key in ("kind", "oracle", "rule", "type", "task")))
    return end, tuple(sorted((name, tuple(ops)) for name, ops in saw.items()))


def seen(main: Program, search: Systematic) -> list[Seen]:
    """Return what there is to see in each run that a search has use for."""
    found = []
    while (strategy := search.next()) is not None:
        run = FiberEngine(strategy, ncpus=NCPUS, steps_max=STEPS_MAX, tables=TABLES)
        run.run(main)
        search.learn(run)
        if run.end["how"] != "abandoned":
            found.append(whole(run))
    return found


@pytest.mark.parametrize("name", ALL)
def test_nothing_that_enumeration_sees_is_lost(name: str) -> None:
    mine = seen(ALL[name], Dpor(ends_meet=True))
    assert set(mine) == set(seen(ALL[name], Enumerate()))


@pytest.mark.parametrize("name", OWN)
def test_each_of_it_is_seen_once(name: str) -> None:
    mine = seen(OWN[name], Dpor(ends_meet=True))
    assert len(mine) == len(set(mine))


@pytest.mark.parametrize("name", ALL)
def test_left_to_itself_it_takes_the_end_for_the_whole_outcome(name: str) -> None:
    alone, every = (set(seen(ALL[name], search)) for search in (Dpor(), Enumerate()))
    assert alone < every
    assert {end for end, _ in alone} == {end for end, _ in every}


def test_freed_memory_that_is_come_upon_before_an_op_is_not_all_seen() -> None:
    mine, every = (set(seen(PROGRAMS[FREED_EARLY], search)) for search in (Dpor(ends_meet=True), Enumerate()))
    assert mine < every


@pytest.mark.parametrize("program", [played(_writes, _writes), played(_writes, _raises)], ids=["no end", "an end"])
def test_it_costs_nothing_where_no_run_is_cut_off(program: Program, request: pytest.FixtureRequest) -> None:
    plain, meeting = (seen(program, make()) for make in (Dpor, _meeting))
    assert (len(plain) == len(meeting)) is ("no end" in request.node.name)


def _meeting() -> Dpor:
    return Dpor(ends_meet=True)
