"""Small programs before the general bench: the right one passes, its wrong twin fails.

A judge that finds nothing to judge in a program, such as the ledger in one without counts, does not keep it from PASS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from mmrace import runtime as rt
from mmrace.oracles.general import GENERAL
from mmrace.oracles.general.bench import judge_all, overall
from mmrace.oracles.general.judgement import Judgement, Verdict
from tests.runtime.engines import Box, Flag, box, explore

Deed = Callable[[Box], object]


class Case(NamedTuple):
    """Deeds of two tasks, right and wrong; which judge tells, and which have nothing to judge in the right ones."""

    right: tuple[Deed, Deed]
    wrong: tuple[Deed, Deed]
    judge: str
    idle: set[str]


def _judged(deeds: tuple[Deed, Deed]) -> list[list[Judgement]]:
    """Judge random walks of a program with a task for each deed."""

    def main() -> None:
        it = box()
        for i, deed in enumerate(deeds):
            rt.spawn(deed, it, name=f"t{i}", cpu=i)
        rt.join_others()

    return [judge_all(outcome.record, GENERAL) for outcome in explore(main, raising=False)]


def _one_then_the_other(it: Box) -> None:
    rt.mutex_lock(it.mutex)
    rt.spin_lock(it.spin)
    rt.spin_unlock(it.spin)
    rt.mutex_unlock(it.mutex)


def _trying(it: Box) -> None:
    if rt.mutex_trylock(it.mutex):
        rt.mutex_unlock(it.mutex)


def _forgets(it: Box) -> None:
    """BUGGY: ends with the lock."""
    rt.mutex_lock(it.mutex)


def _under_a_bit_lock(it: Box) -> None:
    rt.bit_lock(it.flags, Flag.LOCKED)
    it.x += 1
    rt.bit_unlock(it.flags, Flag.LOCKED)


def _under_a_bit_spinlock(it: Box) -> None:
    rt.bit_spin_lock(it.flags, Flag.SPIN)
    it.x += 1
    rt.bit_spin_unlock(it.flags, Flag.SPIN)


def _under_nothing(it: Box) -> None:
    """BUGGY: beside anybody else."""
    it.x += 1


def _borrows(it: Box) -> None:
    it.count.get("lookup")
    it.count.put("lookup")


def _puts(it: Box) -> None:
    """BUGGY: drops what it never took."""
    it.count.put("owner")


def _asserts(it: Box) -> None:
    rt.schedule()
    assert it.x == 0


def _reads(it: Box) -> None:
    assert it.x == 0


def _insists(it: Box) -> None:
    rt.bug_on(it.x != 0, "x is not 0")


PLAIN = {"refcount", "lock-discipline", "lock-order"}
CASES = {
    "locks only": Case(
        (_one_then_the_other, _trying), (_one_then_the_other, _forgets), "lock-discipline", {"refcount", "data-race"}
    ),
    "a bit lock that no table names": Case(
        (_under_a_bit_lock, _under_a_bit_lock), (_under_a_bit_lock, _under_nothing), "data-race", {"refcount"}
    ),
    "a bit spinlock that no table names": Case(
        (_under_a_bit_spinlock, _under_a_bit_spinlock), (_under_a_bit_spinlock, _under_nothing), "data-race",
        {"refcount"},
    ),
    "a count only": Case(
        (_borrows, _borrows), (_borrows, _puts), "refcount", {"data-race", "lock-discipline", "lock-order"}
    ),
    "an assert": Case((_reads, _reads), (_under_nothing, _asserts), "exception", PLAIN),
    "a BUG_ON": Case((_insists, _insists), (_under_nothing, _insists), "bug-on", PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_right_program_passes_though_some_judges_had_nothing_to_check(case: Case) -> None:
    for judgements in _judged(case.right):
        assert overall(judgements, ()) is Verdict.PASS, judgements
        assert overall(judgements) is Verdict.UNKNOWN
        assert {judgement.oracle for judgement in judgements if judgement.nothing_to_check} == case.idle


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_wrong_program_fails(case: Case) -> None:
    failed = [judgements for judgements in _judged(case.wrong) if overall(judgements, ()) is Verdict.FAIL]
    assert case.judge in {judged.oracle for judgements in failed for judged in judgements if judged.findings}


def test_a_program_that_does_nothing_beside_its_main_task_passes() -> None:
    [*runs] = explore(lambda: None, seeds=1)
    assert overall(judge_all(runs[0].record, GENERAL), ()) is Verdict.PASS
