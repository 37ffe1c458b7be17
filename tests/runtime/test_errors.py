"""Errors say what was expected, what came, where, and what to try; one wording for a name that nobody knows."""

from __future__ import annotations

import pickle

import pytest

from mmrace.runtime.errors import (
    LISTED_MAX,
    SHOWN_MAX,
    MmraceError,
    NondeterminismError,
    NotAsRecorded,
    UsageError,
    Violation,
    unknown,
)
from mmrace.runtime.noise import Noise

MANY = [f"name-{i}" for i in range(LISTED_MAX + 1)]


def test_a_usage_error_says_what_was_expected_what_came_where_and_what_to_try() -> None:
    error = UsageError(expected="a number", got="x", where="--seed", try_="--seed 1")
    assert str(error) == "--seed: expected a number, got 'x'; try: --seed 1"
    assert str(UsageError(expected="a number", got="x")) == "expected a number, got 'x'"


def test_a_value_without_end_is_told_in_a_message_that_has_one() -> None:
    error = UsageError(expected="a number", got="x" * 10**6, where="y" * 10**6)
    assert len(str(error)) < 3 * SHOWN_MAX
    assert "(1,000,002 characters)" in str(error)
    assert (error.got, error.where) == ("x" * 10**6, "y" * 10**6)
    assert len(str(NondeterminismError(1, "x" * 10**6, "y" * 10**6))) < 3 * SHOWN_MAX


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("gentel", ["off", "gentle"], "expected a profile out of off, gentle, got 'gentel'; try: did you mean gentle?"),
        ("poss", ["pos", "pct"], "expected a profile out of pos, pct, got 'poss'; try: did you mean pos?"),
        ("zz", ["off", "gentle"], "expected a profile out of off, gentle, got 'zz'"),
        ("zz", [], "expected the name of a profile, got 'zz'"),
        ("name-12x", MANY, "expected the name of a profile, got 'name-12x'; try: did you mean name-12 or name-"),
    ],
)
def test_an_unknown_name_is_told_beside_close_ones(name: str, known: list[str], text: str) -> None:
    assert str(unknown("a profile", name, known)).startswith(text)


def test_an_unknown_name_is_told_where_and_what_else_to_try() -> None:
    error = unknown("a thing", "onn", ["one"], where="--thing", try_="`mmrace list` shows all")
    assert str(error) == (
        "--thing: expected a thing out of one, got 'onn'; try: did you mean one? `mmrace list` shows all"
    )


def test_an_unknown_noise_profile_is_told_so() -> None:
    with pytest.raises(UsageError, match=r"a noise profile out of off.*did you mean gentle"):
        Noise("gentel", 0)


@pytest.mark.parametrize(
    "error",
    [
        UsageError(expected="one", got=object, where="--thing", try_="two"),
        Violation("locks", "left locked", object="box:0", step=3),
        NondeterminismError(3, "this", "that"),
        NotAsRecorded(["one", "two"]),
    ],
)
def test_an_error_of_a_worker_reaches_who_asked(error: MmraceError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again).keys() == vars(error).keys()
