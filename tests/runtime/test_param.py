"""Parameters: which values a declaration allows, how it says so, and what a program makes of its declarations."""

from __future__ import annotations

import pytest

from mmrace.runtime.errors import InternalError, UsageError
from mmrace.runtime.param import AnyParam, Choice, Flag, Number, Parameters, Text, smaller

DEPTH = Number("depth", 2, 1, 5, says="how deep")
MODE = Choice("mode", "slow", ("slow", "fast"), says="how it moves")
FAIR = Flag("fair", True, says="whether")
NAMES = Text("names", "", says="who")
MADE = Parameters("mine", (DEPTH, NAMES, DEPTH), {"depth": 3})


def refused(param: AnyParam, value: object) -> UsageError:
    """Return the error of a value that a declaration does not allow."""
    with pytest.raises(UsageError) as caught:
        param.check(value)
    assert caught.value.where == f"--param {param.name}" and caught.value.got == value
    return caught.value


# -- one declaration ---------------------------------------------------------------------------------------------


def test_limits_are_kept_at_both_ends() -> None:
    for value in (1, 5):
        assert DEPTH.check(value) == DEPTH.read(str(value)) == value
    for beyond in (0, 6):
        assert refused(DEPTH, beyond).expected == "a number in 1..5"
        with pytest.raises(UsageError):
            DEPTH.read(str(beyond))


def test_a_bound_may_be_missing() -> None:
    assert Number("n", 0, says="").check(-(10**9)) == -(10**9)
    assert Number("n", 0, 0, says="").check(10**9) == 10**9
    assert refused(Number("n", 0, 0, says=""), -1).expected == "a number in 0.."
    assert refused(Number("n", 0, says=""), "many").expected == "a whole number"


@pytest.mark.parametrize("text", ["", "many", "3.5", "slow"])
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    assert refused(DEPTH, text).expected == "a number in 1..5"
    with pytest.raises(UsageError) as caught:
        DEPTH.read(text)
    assert (caught.value.got, caught.value.try_) == (text, "--param depth=2")


def test_a_number_as_text_is_read_and_not_checked_in() -> None:
    assert DEPTH.read("3") == 3
    refused(DEPTH, "3")


def test_texts_are_taken_out_of_their_choices() -> None:
    assert [MODE.read(choice) for choice in MODE.choices] == ["slow", "fast"]
    assert refused(MODE, "else").expected == "one of slow, fast"


def test_a_text_may_be_any_but_no_number() -> None:
    assert NAMES.read("reader,writer") == "reader,writer"
    assert refused(NAMES, 3).expected == "a text"


def test_a_truth_value_is_read_in_words_or_numbers() -> None:
    for text, value in {"true": True, "False": False, "yes": True, "NO": False, "1": True, "0": False}.items():
        assert FAIR.read(text) is value
    assert (FAIR.check(0), FAIR.check(True)) == (False, True)
    assert refused(FAIR, "perhaps").expected == "true or false"
    assert refused(FAIR, "true").got == "true", "a text is read, and only where it is one"
    assert refused(FAIR, 2).got == 2


def test_another_default_keeps_the_rest_and_must_be_allowed() -> None:
    assert DEPTH.with_default(4) == Number("depth", 4, 1, 5, says="how deep")
    with pytest.raises(UsageError):
        DEPTH.with_default(6)


def test_its_value_among_others_is_the_default_if_it_is_not_there() -> None:
    assert DEPTH.value_in({"depth": 4, "mode": "fast"}) == 4
    assert DEPTH.value_in({"mode": "fast"}) == 2


# -- those of a program ------------------------------------------------------------------------------------------


def test_each_parameter_is_there_once_with_the_scenarios_own_default() -> None:
    assert list(MADE) == ["depth", "names"]
    assert MADE.defaults == {"depth": 3, "names": ""}
    assert DEPTH.default == 2


def test_a_second_declaration_of_a_name_is_a_bug() -> None:
    with pytest.raises(InternalError, match="depth of mine is declared twice"):
        Parameters("mine", (DEPTH, Number("depth", 2, 1, 6, says="how deep")))


@pytest.mark.parametrize("defaults", [{"width": 1}, {"depth": 9}, {"depth": "two"}])
def test_a_default_of_its_own_must_be_one_of_a_parameter_that_it_has(defaults: dict[str, int | str]) -> None:
    with pytest.raises(UsageError):
        Parameters("mine", (DEPTH,), defaults)


def test_what_is_told_replaces_the_default() -> None:
    assert MADE.merged({"names": "a"}) == {"depth": 3, "names": "a"}
    assert MADE.typed({"depth": "4"}) == {"depth": 4}


def test_an_unknown_parameter_is_refused_with_those_that_there_are_and_a_close_one() -> None:
    for close, hint in (
        ("dept", "did you mean depth?"),
        ("zzz", ""),
    ):
        with pytest.raises(UsageError) as caught:
            MADE.merged({close: 2})
        assert (caught.value.expected, caught.value.got) == ("a parameter of mine: depth, names", close)
        assert caught.value.try_ == hint
    with pytest.raises(UsageError):
        MADE.typed({"zzz": "2"})


def test_a_value_that_is_not_allowed_is_refused() -> None:
    for values in ({"depth": 6}, {"depth": "3"}, {"names": 3}):
        with pytest.raises(UsageError):
            MADE.merged(values)
    with pytest.raises(UsageError):
        MADE.typed({"depth": "six"})


def test_smaller_programs_have_all_numbers_at_their_lowest_first_then_one_lower_at_a_time() -> None:
    declared = Parameters(
        "p", [Number("rounds", 2, 1, 9, says="s"), Number("idle", 0, 0, says="s"), Flag("on", False, says="s")]
    )
    values: dict[str, int | str] = {"rounds": 9, "idle": 1, "on": True}
    made = list(smaller(declared, values))
    assert made[0] == {"rounds": 1, "idle": 0, "on": 0}
    assert [one["rounds"] for one in made if one["rounds"] not in (9, made[0]["rounds"])] == [5, 8]
    assert all(sum(one[key] != value for key, value in values.items()) == 1 for one in made[1:])
    assert all(declared.merged(one) == one for one in made)


def test_nothing_is_smaller_than_the_lowest_numbers_and_texts_stay() -> None:
    declared = Parameters("p", [Number("tasks", 3, says="s"), Text("name", "x", says="s")])
    assert not list(smaller(declared, {"tasks": 0, "name": "y"}))
    assert not list(smaller(declared, {"tasks": -2, "name": "y"}))
    assert list(smaller(declared, {"tasks": 1, "name": "y"})) == [{"tasks": 0, "name": "y"}]
