"""The lock order oracle on waits that are no locks: joins, completions, hand-overs, bits; each beside its correct twin.

Where nothing is drawn, the youngest task that can goes on: a child is done before anybody waits for it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.oracles.general import lock_order
from mmrace.oracles.general.judgement import Judgement, Verdict
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import BaseStrategy
from tests.oracles.verdicts import caught, judged_twice, passed


class Bits(IntEnum):
    """A sleeping lock, and a bit that says that something is under way."""

    LOCKED = 0
    BUSY = 1


class Thing(rt.Struct):
    """What the programs share."""

    flags = rt.flag_word(Bits, waitable=(Bits.LOCKED, Bits.BUSY))
    mutex = rt.mutex()
    other = rt.mutex()


class _YoungestFirst(BaseStrategy):
    def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
        return max(enabled, key=lambda task: task.id)


def _judged(main: Callable[[], object], tmp_path: Path) -> Judgement:
    """Judge a run that ends well, live and from its file alike."""
    return judged_twice(lock_order.judge, FiberEngine(_YoungestFirst(), ncpus=3), main, tmp_path)


def _takes(mutex: rt.Mutex) -> None:
    rt.mutex_lock(mutex)
    rt.mutex_unlock(mutex)


# -- joins -----------------------------------------------------------------------------------------------------------


def _joins(wanted: str, all_of_them: bool = False) -> Callable[[], None]:
    """BUGGY with "mutex": joins a task, which takes that lock, with the lock held."""

    def parent(thing: Thing) -> None:
        child = rt.spawn(_takes, getattr(thing, wanted), name="child", cpu=1)
        rt.mutex_lock(thing.mutex)
        if all_of_them:
            rt.join_others()
        else:
            rt.join(child)
        rt.mutex_unlock(thing.mutex)

    def main() -> None:
        thing = Thing("thing")
        if all_of_them:
            rt.spawn(_takes, thing.other, name="bystander", cpu=2)
            parent(thing)
        else:
            rt.join(rt.spawn(parent, thing, name="parent", cpu=0))

    return main


def test_order_oracle_catches_a_join_under_a_lock_that_the_joined_task_takes(tmp_path: Path) -> None:
    finding = caught(_judged(_joins("mutex"), tmp_path), "lock-order cycle")
    assert "child holds end of child and wants thing.mutex" in finding.title
    assert "parent holds thing.mutex and wants end of child" in finding.title
    assert finding.facts["chain"] == "end of child --> thing.mutex --> end of child"


def test_order_oracle_passes_on_a_join_under_another_lock(tmp_path: Path) -> None:
    passed(_judged(_joins("other"), tmp_path))


def test_order_oracle_passes_on_a_join_of_what_took_the_lock_before_its_joiner_was_there(tmp_path: Path) -> None:
    def main() -> None:
        thing = Thing("thing")
        child = rt.spawn(_takes, thing.mutex, name="child", cpu=1)
        rt.join(child)
        rt.mutex_lock(thing.mutex)
        rt.join(child)
        rt.mutex_unlock(thing.mutex)

    passed(_judged(main, tmp_path))


def test_order_oracle_follows_a_ring_through_two_joins(tmp_path: Path) -> None:
    """BUGGY: the middle task holds nothing, but its end waits for the last one, which takes the first one's lock."""

    def middle(thing: Thing) -> None:
        rt.join(rt.spawn(_takes, thing.mutex, name="last", cpu=2))

    def main() -> None:
        thing = Thing("thing")
        child = rt.spawn(middle, thing, name="middle", cpu=1)
        rt.mutex_lock(thing.mutex)
        rt.join(child)
        rt.mutex_unlock(thing.mutex)

    finding = caught(_judged(main, tmp_path), "lock-order cycle")
    assert finding.facts["chain"] == "end of last --> thing.mutex --> end of middle --> end of last"


# -- completions, I/O, bits: what tells is a run in which the waiter slept -------------------------------------------


class _Drawn(BaseStrategy):
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
        return self.rng.choice(enabled)


SEEDS = 60


def _chains(main: Callable[[], object]) -> set[object]:
    """Return what is predicted from those of some drawn runs that end well."""
    chains: set[object] = set()
    ended = 0
    for seed in range(SEEDS):
        engine = FiberEngine(_Drawn(seed), ncpus=3)
        engine.run(main)
        assert engine.error is None
        if engine.end["how"] == "finished":
            ended += 1
            judgement = lock_order.judge(Record.of_run(engine, {"engine": "fiber"}, {}))
            assert judgement.verdict is not Verdict.UNKNOWN
            chains |= {finding.facts["chain"] for finding in judgement.findings}
    assert ended
    return chains


Waits = tuple[Callable[[Thing, rt.Completion], None], Callable[[Thing, rt.Completion], None]]


def _clears_busy(thing: Thing, done: rt.Completion) -> None:
    rt.clear_bit(thing.flags, Bits.BUSY)
    rt.wake_up_bit(thing.flags, Bits.BUSY)


def _locks(thing: Thing, done: rt.Completion) -> None:
    rt.bit_lock(thing.flags, Bits.LOCKED)
    rt.bit_unlock(thing.flags, Bits.LOCKED)


WAITS: dict[str, Waits] = {
    "completion done": (lambda thing, done: done.wait(), lambda thing, done: done.complete()),
    "thing.flags.LOCKED": (_locks, lambda thing, done: rt.bit_unlock(thing.flags, Bits.LOCKED)),
    "thing.flags.BUSY": (lambda thing, done: rt.wait_on_bit(thing.flags, Bits.BUSY), _clears_busy),
}
"""What is waited for -> the wait, and what ends it."""


def _waits(what: str, wanted: str, told: bool = False) -> Callable[[], None]:
    """BUGGY with "mutex": waits under that lock for what the other task ends after it took the lock.

    Args: told: not before the other task said that it has done with the lock.
    """
    wait, end = WAITS[what]

    def worker(thing: Thing, done: rt.Completion, over: rt.Completion) -> None:
        _takes(getattr(thing, wanted))
        over.complete()
        end(thing, done)

    def main() -> None:
        thing, done, over = Thing("thing"), rt.Completion("done"), rt.Completion("over")
        rt.set_bit(thing.flags, Bits.BUSY)
        rt.bit_lock(thing.flags, Bits.LOCKED)
        rt.hand_over(thing.flags, Bits.LOCKED, thing)
        rt.spawn(worker, thing, done, over, name="worker", cpu=1, acts_for=(thing,))
        if told:
            over.wait()
        rt.mutex_lock(thing.mutex)
        wait(thing, done)
        rt.mutex_unlock(thing.mutex)
        rt.join_others()

    return main


@pytest.mark.parametrize("what", WAITS)
def test_order_oracle_catches_a_wait_under_a_lock_that_who_ends_the_wait_takes_before(what: str) -> None:
    chain = min(f"{what} --> thing.mutex --> {what}", f"thing.mutex --> {what} --> thing.mutex")
    assert _chains(_waits(what, "mutex")) == {chain}


@pytest.mark.parametrize("what", WAITS)
def test_order_oracle_passes_on_the_same_wait_under_another_lock(what: str) -> None:
    assert not _chains(_waits(what, "other"))


@pytest.mark.parametrize("what", WAITS)
def test_order_oracle_passes_on_a_wait_that_begins_when_the_other_has_told_that_it_left_the_lock(
    what: str,
) -> None:
    assert not _chains(_waits(what, "mutex", told=True))


def test_order_oracle_knows_that_a_completion_was_begun_anew() -> None:
    """The worker has done with the lock before the second time."""

    def worker(thing: Thing, done: rt.Completion, again: rt.Completion) -> None:
        _takes(thing.mutex)
        done.complete()
        again.wait()
        done.complete()

    def main() -> None:
        thing, done, again = Thing("thing"), rt.Completion("done"), rt.Completion("again")
        rt.spawn(worker, thing, done, again, name="worker", cpu=1)
        done.wait()
        done.done = False
        rt.mutex_lock(thing.mutex)
        again.complete()
        done.wait()
        rt.mutex_unlock(thing.mutex)
        rt.join_others()

    assert not _chains(main)
