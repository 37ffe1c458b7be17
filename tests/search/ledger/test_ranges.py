"""Ranges: pieces cover exactly, two of them are nested or apart, and a set of turns is what was added."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from mmrace.search.ledger.ranges import Covered, is_piece, piece_from, pieces


@pytest.mark.parametrize(("first", "stop"), [(0, 0), (0, 1), (0, 8), (1, 9), (3, 1000), (5 << 40, (5 << 40) + 7)])
def test_pieces_cover_a_range_exactly_and_each_is_one(first: int, stop: int) -> None:
    cut = pieces(first, stop)

    assert all(is_piece(*piece) for piece in cut)
    assert [turn for piece in cut for turn in piece] == sorted([first, stop] * bool(cut) + [
        place for piece in cut[1:] for place in (piece[0], piece[0])
    ])  # fmt: skip


def test_a_range_is_cut_into_the_fewest_pieces() -> None:
    assert pieces(0, 8) == [(0, 8)]
    assert pieces(1, 8) == [(1, 2), (2, 4), (4, 8)]
    assert pieces(4, 7) == [(4, 6), (6, 7)]


def test_two_pieces_are_nested_or_apart() -> None:
    small = [(first, stop) for first in range(32) for stop in range(first + 1, 33) if is_piece(first, stop)]

    for one in small:
        for other in small:
            low, high = max(one[0], other[0]), min(one[1], other[1])
            assert low >= high or (low, high) in (one, other)


def test_pieces_grow_from_turn_zero_on_up_to_what_is_asked() -> None:
    turn, lengths = 0, []
    for _ in range(7):
        lengths.append(piece_from(turn, 12))
        turn += lengths[-1]

    assert lengths == [1, 1, 2, 4, 8, 8, 8]
    assert piece_from(1 << 40, 5) == 4


@pytest.mark.parametrize("bad", [(0, 3), (1, 3), (2, 6), (-1, 0), (4, 4), (8, 4)])
def test_what_is_no_piece_is_none(bad: tuple[int, int]) -> None:
    assert not is_piece(*bad)


def test_a_set_of_turns_has_what_was_added_in_any_order() -> None:
    draw = random.Random(7)
    for _ in range(40):
        covered, turns = Covered(), set[int]()
        for _ in range(draw.randrange(1, 12)):
            first = draw.randrange(60)
            stop = first + draw.randrange(9)
            covered.add(first, stop)
            turns.update(range(first, stop))
        assert {turn for turn in range(80) if turn in covered} == turns
        assert covered.count == len(turns)
        for start in range(80):
            assert covered.next_gap(start) == next(turn for turn in range(start, 200) if turn not in turns)
        bounds = list(covered)
        assert all(one[1] < two[0] for one, two in pairwise(bounds))


def test_a_set_of_turns_tells_where_the_next_range_begins() -> None:
    covered = Covered()
    covered.add(4, 6)

    assert covered.next_start(0) == 4
    assert covered.next_start(4) is None
