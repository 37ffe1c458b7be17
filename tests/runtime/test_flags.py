"""Flag words: one op a bit, and plain read-modify-writes that lose what others set."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

import pytest

from mmrace import runtime as rt
from mmrace.runtime.flags import FlagWord
from mmrace.runtime.kinds import Kind
from tests.runtime.engines import EXPLORED, Flag, Setup, box, explore, until

BITS = (Kind.TEST, Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR)
OPS: list[tuple[Callable[[FlagWord, int], bool | None], Kind, bool | None]] = [  # op, its kind, the bit after it
    (rt.test_bit, Kind.TEST, None),
    (rt.set_bit, Kind.SET, True),
    (rt.clear_bit, Kind.CLEAR, False),
    (rt.test_and_set_bit, Kind.TEST_AND_SET, True),
    (rt.test_and_clear_bit, Kind.TEST_AND_CLEAR, False),
]


@pytest.mark.parametrize("before", [False, True], ids=["clear", "set"])
@pytest.mark.parametrize(("op", "kind", "after"), OPS, ids=lambda value: getattr(value, "__name__", None))
def test_a_bit_op_is_one_op_that_says_what_the_bit_was(
    run: Setup, op: Callable[[FlagWord, int], bool | None], kind: Kind, after: bool | None, before: bool
) -> None:
    def main() -> None:
        word = box().flags
        word.value = before << Flag.DIRTY | 1 << Flag.SPIN
        assert op(word, Flag.DIRTY) in (before, None)
        assert word.peek(Flag.DIRTY) == (before if after is None else after)
        assert word.peek(Flag.SPIN), "a neighbour was changed"

    assert run(main).ops(*BITS) == [("main", kind, "box:0.flags.DIRTY", before, None)]


def test_load_and_store_touch_the_whole_word(run: Setup) -> None:
    def main() -> None:
        word = box().flags
        word.store(0b101)
        assert word.load() == 0b101
        assert word.names() == ["LOCKED", "WAITERS"]

    assert run(main).ops(Kind.LOAD, Kind.STORE) == [
        ("main", Kind.STORE, "box:0.flags", 0, 0b101),
        ("main", Kind.LOAD, "box:0.flags", 0b101, None),
    ]


def _store_over_a_set() -> None:
    """BUGGY: clears one bit by a plain read-modify-write while another is set atomically."""
    word = box().flags
    word.value = 1 << Flag.LOCKED

    def plain() -> None:
        word.store(word.load() & ~(1 << Flag.LOCKED))

    def atomic() -> None:
        rt.set_bit(word, Flag.WAITERS)

    rt.spawn(plain, name="plain", cpu=1)
    rt.spawn(atomic, name="atomic", cpu=2)
    rt.join_others()
    rt.note("names", *word.names())


def test_a_plain_store_loses_a_concurrent_set_and_its_record_shows_it() -> None:
    outcomes = list(explore(_store_over_a_set))
    lost = [outcome for outcome in outcomes if outcome.notes("names") == [()]]
    kept = [outcome for outcome in outcomes if outcome.notes("names") == [("WAITERS",)]]
    assert lost
    assert kept
    assert len(lost) + len(kept) == EXPLORED
    waiters = 1 << Flag.WAITERS
    for outcome in lost:
        load, set_, store = outcome.ops(Kind.LOAD, Kind.SET, Kind.STORE)
        assert (load[1], set_[1], store[1]) == (Kind.LOAD, Kind.SET, Kind.STORE)
        assert not load[3] & waiters  # did not see it
        assert store[3] & waiters  # it was there when the store came
        assert not store[4] & waiters  # and then no more


def test_atomic_bit_ops_lose_nothing(run: Setup) -> None:
    def main() -> None:
        word = box().flags

        def toggle(bit: Flag) -> None:
            for _ in range(20):
                assert not rt.test_and_set_bit(word, bit)
                assert rt.test_and_clear_bit(word, bit)
            rt.set_bit(word, bit)

        for i, bit in enumerate(Flag):
            rt.spawn(toggle, bit, cpu=i)
        rt.join_others()
        assert word.names() == [bit.name for bit in Flag]

    assert run(main).how == "finished"


def test_exactly_one_of_many_wins_a_test_and_set(run: Setup) -> None:
    def main() -> None:
        word = box().flags

        def race() -> None:
            rt.note("won" if not rt.test_and_set_bit(word, Flag.DIRTY) else "lost")

        for i in range(6):
            rt.spawn(race, cpu=i % 4)
        rt.join_others()

    outcome = run(main)
    assert len(outcome.notes("won")) == 1
    assert len(outcome.notes("lost")) == 5


def test_what_one_task_set_another_sees(run: Setup) -> None:
    def main() -> None:
        word = box().flags
        rt.spawn(rt.set_bit, word, Flag.DIRTY, cpu=1)
        until(lambda: rt.test_bit(word, Flag.DIRTY))

    assert run(main).how == "finished"


def test_bits_must_be_numbered_without_holes() -> None:
    class Holes(IntEnum):
        A = 0
        B = 2

    with pytest.raises(TypeError, match="without holes"):
        rt.flag_word(Holes)
