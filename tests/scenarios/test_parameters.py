"""The parameters of one scenario: collected without a second declaration, complete, and refused with what there is."""

from __future__ import annotations

import pytest

from mmrace.actors.param import Number, Text
from mmrace.runtime.errors import InternalError, UsageError
from mmrace.scenarios.parameters import Parameters

DEPTH = Number("depth", 2, 1, 5, says="how deep")
NAMES = Text("names", "", says="who")
MADE = Parameters("mine", (DEPTH, NAMES, DEPTH), {"depth": 3})


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
        ("zzz", "`mmrace list params` tells which scenarios have which"),
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
