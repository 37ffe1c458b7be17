"""Moments: what a bit was all the while, and what it was at some moment."""

from __future__ import annotations

from mmrace.oracles.protocol.moments import Moments
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand

FLAGS, BIT = "page:0.flags", "PG_dirty"


def _taken(hand: Hand) -> Moments:
    record = hand.record()
    moments = Moments(record, "Page", "flags", (BIT,))
    for step in range(len(hand.events)):
        moments.take(step)
    return moments


def test_a_bit_is_what_it_is_since_its_last_change_and_was_the_other_before() -> None:
    hand = Hand().op("main", Kind.SET, FLAGS, False, sub=BIT).op("main", Kind.SET, FLAGS, True, sub=BIT)
    moments = _taken(hand.op("main", Kind.TEST_AND_CLEAR, FLAGS, True, sub=BIT))
    assert moments.throughout("page:0", BIT, False, since=3)
    assert not moments.throughout("page:0", BIT, False, since=2)
    assert moments.at_some_moment("page:0", BIT, True, since=2)
    assert not moments.at_some_moment("page:0", BIT, True, since=3)
    assert (moments.bit("page:0", BIT).before, moments.bit("page:0", BIT).by) == (0, 0)


def test_a_bit_that_nobody_touched_was_clear_always() -> None:
    moments = _taken(Hand())
    assert moments.throughout("page:0", BIT, False, since=0)


def test_of_a_word_that_is_stored_nothing_is_known_before_that() -> None:
    hand = Hand().op("main", Kind.SET, FLAGS, False, sub=BIT).op("main", Kind.STORE, FLAGS, 16, 0)
    moments = _taken(hand)
    for value in (False, True):
        assert not moments.throughout("page:0", BIT, value, since=1)
        assert moments.at_some_moment("page:0", BIT, value, since=1)
