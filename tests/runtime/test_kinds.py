"""Op codes: the numbers are in every record ever written, and say which ops of two tasks depend on each other."""

from __future__ import annotations

from itertools import product

from mmrace import runtime as rt
from mmrace.runtime import kinds
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind, dependent

NUMBERS = {
    "READ": 0, "WRITE": 1, "TEST": 2, "SET": 3, "LOAD": 4, "CLEAR": 5, "JOIN": 6, "TEST_AND_SET": 7, "YIELD": 8,
    "TEST_AND_CLEAR": 9, "CHOOSE": 10, "STORE": 11, "RETRY": 12, "ACQUIRE": 13, "COUNT": 14, "TRY": 15, "RELEASE": 17,
    "GET": 19, "PUT": 21, "GET_UNLESS_ZERO": 23, "FREEZE": 25, "UNFREEZE": 27, "QUEUE": 29, "SLEEP": 31, "WAKE": 33,
    "DEQUEUE": 35, "SPAWN": 37, "BEGIN": 39, "EXIT": 41, "IRQ": 43, "PREEMPT": 45, "ADD": 47,
}  # fmt: skip
READS = {"READ", "TEST", "LOAD", "JOIN", "YIELD", "CHOOSE", "RETRY", "COUNT"}


def test_the_numbers_of_kinds_never_change() -> None:
    assert {kind.name: kind.value for kind in Kind} == NUMBERS
    assert (SHIFT, KIND_MASK, rt.NOTE) == (6, 63, -1)


def test_every_kind_fits_below_the_lane() -> None:
    assert all(kind <= KIND_MASK for kind in Kind)


def test_even_kinds_are_the_ones_that_change_nothing() -> None:
    assert {kind.name for kind in Kind if not kind & 1} == READS


def test_ops_depend_exactly_if_they_meet_on_a_lane_and_one_writes() -> None:
    for (lane_a, a), (lane_b, b) in product(product((0, 1, 2, 77), Kind), repeat=2):
        ops = lane_a << SHIFT | a, lane_b << SHIFT | b
        expected = lane_a == lane_b and not (a.name in READS and b.name in READS)
        assert dependent(*ops) == dependent(*reversed(ops)) == expected, (lane_a, a, lane_b, b)


def test_every_kind_has_a_plain_int_of_its_name() -> None:
    for kind in Kind:
        plain = getattr(kinds, kind.name)
        assert type(plain) is int and plain == kind
