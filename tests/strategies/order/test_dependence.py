"""Footprints: which lanes a step meets others on, and how, by what came of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from mmrace import runtime as rt
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.kinds import KIND_MASK, NOTE, Kind
from mmrace.runtime.strategy import RoundRobin
from mmrace.scenarios.tables import KERNEL
from mmrace.strategies.order.dependence import (  # fmt: skip
    ALIVE_LANE,
    ALONE,
    BIRTH,
    COUNT_UP,
    DROP,
    GRAB,
    LINE_UP,
    READ,
    SELF_COMMUTING,
    TAKE,
    TOUCH,
    WRITE,
    Footprint,
    Footprints,
    commute,
    independent,
)
from tests.runtime.engines import Box, Flag, box


def footprints(deed: Callable[[Box], object], contended: frozenset[int] = frozenset()) -> list[tuple[Kind, Footprint]]:
    """Play one task; return (kind, footprint) of what it did, with lanes counted from the box's first."""
    boxes: list[Box] = []

    def main() -> None:
        boxes.append(box())
        deed(boxes[0])

    run = FiberEngine(RoundRobin(), ncpus=2)
    watched = Footprints(run, contended, {})
    run.run(main)
    if run.error is not None:
        raise run.error
    found: list[tuple[Kind, Footprint]] = []
    for step, event in enumerate(event for event in run.events if event[1] != NOTE):
        kind = Kind(event[1] & KIND_MASK)
        if kind not in (Kind.BEGIN, Kind.EXIT):
            made = watched.of(event, step, kind == Kind.ACQUIRE or event[3] == "lock")
            base = boxes[0].base
            found.append((kind, [(lane - base if lane >= base else lane, mode) for lane, mode in made]))
    return found


def modes(deed: Callable[[Box], object]) -> list[int]:
    """Return the modes of what a task did, one for each step."""
    return [made[0][1] for _, made in footprints(deed)]


def test_only_like_reads_and_counters_commute() -> None:
    every = (READ, WRITE, COUNT_UP, LINE_UP, TOUCH, TAKE, DROP, GRAB, BIRTH, ALONE)
    assert len(SELF_COMMUTING) == len(every)
    commuting = {(a, b) for a, b in product(every, every) if commute(a, b)}
    assert commuting == {(mode, mode) for mode in (READ, COUNT_UP, LINE_UP, TOUCH, BIRTH, ALONE)}


def test_footprints_are_independent_if_they_meet_in_modes_that_commute() -> None:
    assert independent([(1, READ), (2, WRITE)], [(1, READ), (3, WRITE)])
    assert not independent([(1, READ), (2, WRITE)], [(3, READ), (2, READ)])
    assert not independent([(1, COUNT_UP)], [(1, READ)])


@pytest.mark.parametrize(("deed", "expected"), [
    (lambda b: (b.x, setattr(b, "x", 1)), [READ, WRITE]),
    (lambda b: (rt.set_bit(b.flags, 1), rt.set_bit(b.flags, 1)), [WRITE, READ]),
    (lambda b: (rt.clear_bit(b.flags, 1), rt.test_and_clear_bit(b.flags, 1)), [READ, READ]),
    (lambda b: (rt.test_and_set_bit(b.flags, 1), rt.test_and_set_bit(b.flags, 1)), [GRAB, READ]),
    (lambda b: (rt.spin_trylock(b.spin), rt.spin_trylock(b.spin), rt.spin_unlock(b.spin)), [GRAB, READ, DROP]),
    (lambda b: (rt.mutex_lock(b.mutex), rt.mutex_unlock(b.mutex)), [TAKE, DROP]),
    (lambda b: (rt.bit_spin_lock(b.flags, Flag.SPIN), rt.bit_spin_unlock(b.flags, Flag.SPIN)), [TAKE, DROP]),
    (lambda b: (b.count.get_unless_zero("a"), b.count.get("a"), b.count.get_unless_zero("a")), [READ, COUNT_UP, WRITE]),
    (lambda b: (b.count.freeze(1), b.count.freeze(0), b.count.unfreeze(0), b.count.read()),
     [READ, WRITE, WRITE, READ]),
    (lambda b: (rt.wake_up(b.queue), rt.prepare_to_wait(b.queue, None), rt.wake_up(b.queue)), [READ, LINE_UP, WRITE]),
    (lambda b: rt.finish_wait(rt.prepare_to_wait(b.queue, None, exclusive=True)), [WRITE, LINE_UP]),
])  # fmt: skip
def test_the_mode_is_judged_by_the_outcome(deed: Callable[[Box], object], expected: list[int]) -> None:
    assert modes(deed) == expected


def test_a_plain_access_of_a_flag_word_meets_every_bit_and_no_queue() -> None:
    made = dict(footprints(lambda b: (b.flags.store(b.flags.load()), rt.set_bit(b.flags, Flag.SPIN))))
    loaded, stored, bit = made[Kind.LOAD], made[Kind.STORE], made[Kind.SET]
    assert len(loaded) == len(stored) == 1 + len(Flag)
    assert {mode for _, mode in loaded} == {READ} and {mode for _, mode in stored} == {WRITE}
    assert bit[0][0] in dict(stored)
    asleep = dict(footprints(lambda b: rt.wake_up_bit(b.flags, Flag.LOCKED)))
    assert asleep[Kind.WAKE][0][0] not in dict(stored)


def test_a_free_writes_all_of_the_memory_but_what_is_kept() -> None:
    def frees(keep: tuple[str, ...]) -> set[int]:
        def deed(b: Box) -> None:
            b.mark = len(b.words)  # no op
            rt.schedule()
            rt.poison(b, keep)

        return {lane for lane, mode in footprints(deed)[-1][1] if mode == WRITE}

    everything, kept = frees(()), frees(("count", "words"))
    assert kept < everything
    assert len(everything - kept) == 3


def test_a_contended_cpu_is_touched_by_all_ops_and_taken_by_locks() -> None:
    cpu = frozenset((0,))
    made = footprints(lambda b: (b.x, rt.spin_lock(b.spin), b.x, rt.spin_unlock(b.spin)), cpu)
    on_cpu = [dict(footprint).get(-1) for _, footprint in made]
    assert on_cpu == [TOUCH, TAKE, TOUCH, DROP]
    assert all(-1 not in dict(footprint) for _, footprint in footprints(lambda b: (b.x, rt.spin_lock(b.spin))))


def test_interrupts_off_takes_the_cpu_from_interrupts_even_where_none_came() -> None:
    made = footprints(lambda b: (rt.spin_lock_irq(b.spin), rt.spin_unlock_irq(b.spin)))
    assert [[mode for _, mode in footprint] for _, footprint in made] == [[TAKE, TAKE], [DROP, DROP]]


def test_notes_that_the_content_oracle_compares_have_a_lane_for_each_block() -> None:
    watched = Footprints(FiberEngine(RoundRobin(), tables=KERNEL), frozenset(), {})
    write, read = watched.note("write-begin", (1, 0, 7)), watched.note("read-end", (1, 0, 7))
    assert write is not None and read is not None
    assert write[0] == read[0] and (write[1], read[1]) == (WRITE, READ)
    other = watched.note("write-end", (1, 1, 7))
    assert other is not None and other[0] != write[0]
    assert watched.note("page-alloc", (1, 0)) is None


def test_a_retry_meets_what_its_last_turn_looked_at() -> None:
    def looks(b: Box) -> None:
        with rt.fixed_order():
            rt.spawn(lambda: setattr(b, "x", 1), name="t", cpu=1)
        for _ in rt.until_changed():
            if b.x:
                break

    found = footprints(looks)
    retried = next(made for kind, made in found if kind == Kind.RETRY)
    read = next(made for kind, made in found if kind == Kind.READ)
    assert retried == read


def test_who_looks_whether_others_live_meets_births() -> None:
    made = footprints(lambda b: (setattr(b, "x", 1), rt.join_others()))
    assert made == [(Kind.WRITE, [(0, WRITE), (ALIVE_LANE, ALONE)])]


def test_cpus_are_crowded_by_tasks_or_by_a_task_and_an_interrupt() -> None:
    def main() -> None:
        with rt.fixed_order():
            for number, cpu in enumerate((1, 1, 2, None)):
                rt.spawn(lambda: None, name=f"t{number}", cpu=cpu)
        rt.join_others()

    run = FiberEngine(RoundRobin(), ncpus=3)
    watched = Footprints(run, frozenset(), {})
    run.run(main)
    assert watched.crowded(range(5)) == {1}
    watched.irqs.add(2)
    assert watched.crowded((3, 4)) == {2}
