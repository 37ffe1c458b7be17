"""The shrinkers, by lists alone: what they come to is known, and how much they ask for it is bounded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from mmrace.search.minimise import shrinking

Numbers = tuple[int, ...]


class Counted:
    """A test of lists that counts how often it is asked."""

    def __init__(self, test: Callable[[Numbers], bool]) -> None:
        self.test, self.asked = test, 0

    def __call__(self, items: Numbers) -> bool:
        self.asked += 1
        return self.test(items)


def needs(*wanted: int) -> Counted:
    """Return a test that fails with all of these items, in order."""
    return Counted(lambda items: [item for item in items if item in wanted] == list(wanted))


@pytest.mark.parametrize("wanted", [(), (0,), (99,), (3, 4), (0, 50, 99), (10, 20, 30, 40, 50)])
def test_fewer_leaves_what_is_needed_and_nothing_else(wanted: Numbers) -> None:
    assert shrinking.fewer(tuple(range(100)), needs(*wanted)) == wanted


def test_fewer_asks_little_for_few_out_of_many() -> None:
    fails = needs(100, 500, 700)
    assert shrinking.fewer(tuple(range(760)), fails) == (100, 500, 700)
    assert fails.asked <= 100


def test_fewer_asks_once_if_nothing_is_needed() -> None:
    fails = needs()
    assert shrinking.fewer(tuple(range(1000)), fails) == ()
    assert fails.asked == 1


def test_fewer_of_nothing_asks_nothing() -> None:
    fails = needs()
    assert shrinking.fewer((), fails) == ()
    assert fails.asked == 0


def test_fewer_ends_where_no_single_item_can_be_left_out() -> None:
    rng = random.Random(3)
    for _ in range(50):
        limit = rng.randrange(1, 60)

        def fails(items: Numbers, limit: int = limit) -> bool:
            return sum(items) >= limit and len(items) > 1

        kept = shrinking.fewer(tuple(range(60)), fails)
        assert sum(kept) >= limit
        assert all(sum(kept) - item < limit or len(kept) == 2 for item in kept)


def test_what_comes_back_was_seen_to_fail() -> None:
    rng = random.Random(4)
    for _ in range(50):
        failed: set[Numbers] = {tuple(range(20))}

        def fails(items: Numbers, failed: set[Numbers] = failed) -> bool:
            if rng.random() < 0.3:
                failed.add(items)
            return items in failed

        assert shrinking.fewer(tuple(range(20)), fails) in failed


def test_pairs_that_only_make_sense_together_are_left_out() -> None:
    def fails(items: Numbers) -> bool:
        return 7 in items and (2 in items) == (5 in items)

    assert shrinking.fewer((2, 5, 7), fails) == (2, 5, 7)
    assert shrinking.without_groups((2, 5, 7), fails) == (7,)


def test_two_become_one_where_that_fails() -> None:
    def sums(one: int, other: int) -> Iterator[int]:
        yield one + other

    assert shrinking.merged((1, 2, 3, 4), sums, lambda items: sum(items) == 10) == (10,)
    assert shrinking.merged((1, 2, 3, 4), sums, lambda items: len(items) >= 3) == (3, 3, 4)


def test_items_are_replaced_by_the_first_that_fails() -> None:
    assert shrinking.replaced((5, 9), range, lambda items: all(i > 2 for i in items)) == (3, 3)


@pytest.mark.parametrize("limit", [0, 1, 2, 63, 64, 99, 100])
def test_lower_finds_the_lowest_that_fails(limit: int) -> None:
    fails = Counted(lambda items: items[0] >= limit)
    assert shrinking.lower(100, 0, lambda value: fails((value,))) == limit
    assert fails.asked <= 8


def test_lower_takes_the_lowest_at_once() -> None:
    fails = Counted(lambda items: True)
    assert shrinking.lower(10_000, 3, lambda value: fails((value,))) == 3
    assert fails.asked == 1
    assert shrinking.lower(3, 3, lambda value: fails((value,))) == 3
