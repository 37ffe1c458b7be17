"""Racing pending ops: the engine's own relation, widened where an op concerns all bits of a word."""

from __future__ import annotations

import pytest

from mmrace.runtime.kinds import SHIFT, Kind, dependent
from mmrace.strategies.order.pending import BITS, OF_WORDS, WHOLE, WORD_BITS, racing


def op(lane: int, kind: Kind) -> int:
    """Make an op code."""
    return lane << SHIFT | kind


@pytest.mark.parametrize("bit", [Kind.SET, Kind.CLEAR, Kind.TEST_AND_SET, Kind.TEST_AND_CLEAR])
@pytest.mark.parametrize("whole", [Kind.LOAD, Kind.STORE])
def test_a_plain_access_of_a_flag_word_races_with_a_change_of_any_bit(whole: Kind, bit: Kind) -> None:
    for distance in (1, 7, WORD_BITS):
        assert racing(op(100, whole), op(100 + distance, bit))
        assert racing(op(100 + distance, bit), op(100, whole))
    assert not racing(op(100, whole), op(99, bit))
    assert not racing(op(100, whole), op(101 + WORD_BITS, bit))


def test_a_store_races_with_a_test_of_a_bit_and_a_load_does_not() -> None:
    assert racing(op(5, Kind.STORE), op(6, Kind.TEST))
    assert not racing(op(5, Kind.LOAD), op(6, Kind.TEST))


def test_racing_is_the_engines_relation_for_everything_but_words() -> None:
    kinds = [kind for kind in Kind if kind not in (Kind.LOAD, Kind.STORE)]
    for a in kinds:
        for b in kinds:
            for lane in (3, 4):
                assert racing(op(3, a), op(lane, b)) == dependent(op(3, a), op(lane, b))


def test_the_mask_has_the_kinds_that_may_race_on_other_lanes() -> None:
    assert {kind for kind in Kind if OF_WORDS >> kind & 1} == WHOLE | BITS
