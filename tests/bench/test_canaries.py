"""The benchmark of canaries puts what it measured into the rates, and leaves alone what it did not measure."""

from __future__ import annotations

from typing import Any

from mmrace.history.canaries import canaries
from mmrace.history.rates import Rate
from stress.bench.canaries import with_measured

NAME = "async-backout"
OTHER = "double-put"


def figures(**columns: tuple[int, int]) -> dict[str, Any]:
    return {NAME: {"rates": {column: {"hits": hits, "runs": runs} for column, (hits, runs) in columns.items()}}}


def test_the_rate_under_its_own_noise_and_the_controlled_one_are_kept() -> None:
    assert canaries()[NAME].noise == "stutter"
    kept = with_measured({}, figures(gentle=(1, 9), stutter=(5, 9), fiber=(7, 9), twin=(0, 9)))
    assert kept == {NAME: {"free": (5, 9), "controlled": (7, 9)}}


def test_other_canaries_and_places_that_were_left_out_stay() -> None:
    before = {NAME: {"free": Rate(1, 2), "controlled": Rate(1, 3)}, OTHER: {"free": Rate(2, 2)}}
    after = with_measured(before, figures(fiber=(7, 9), twin=(0, 9)))
    assert after == {NAME: {"free": Rate(1, 2), "controlled": Rate(7, 9)}, OTHER: {"free": Rate(2, 2)}}
    assert before[NAME]["controlled"] == Rate(1, 3)
