"""Declarations of parameters: which values they allow, and how they say so."""

from __future__ import annotations

import pytest

from mmrace.actors.param import AnyParam, Choice, Number, Text
from mmrace.runtime.errors import UsageError
from mmrace.scenarios.casts import SCENARIOS

EVERY: dict[str, AnyParam] = {name: param for scenario in SCENARIOS for name, param in scenario.params.items()}
NUMBERS = [param for param in EVERY.values() if isinstance(param, Number)]
CHOICES = [param for param in EVERY.values() if isinstance(param, Choice)]


def refused(param: AnyParam, value: object) -> UsageError:
    """Return the error of a value that a declaration does not allow."""
    with pytest.raises(UsageError) as caught:
        param.check(value)
    assert caught.value.where == f"--param {param.name}" and caught.value.got == value
    return caught.value


@pytest.mark.parametrize("param", NUMBERS, ids=lambda param: param.name)
def test_limits_are_kept_at_both_ends(param: Number) -> None:
    assert param.check(param.low) == param.read(str(param.low)) == param.low
    assert param.check(param.high) == param.read(str(param.high)) == param.high
    for beyond in (param.low - 1, param.high + 1):
        assert refused(param, beyond).expected == f"a number in {param.low}..{param.high}"
        with pytest.raises(UsageError):
            param.read(str(beyond))


@pytest.mark.parametrize("text", ["", "many", "3.5", "MIGRATE_ASYNC"])
def test_a_text_that_is_no_number_is_refused(text: str) -> None:
    assert refused(EVERY["pages"], text).expected == "a number in 1..64"
    with pytest.raises(UsageError) as caught:
        EVERY["pages"].read(text)
    assert (caught.value.got, caught.value.try_) == (text, "--param pages=12")


def test_a_number_as_text_is_read_and_never_checked_in() -> None:
    assert EVERY["pages"].read("3") == 3
    refused(EVERY["pages"], "3")


@pytest.mark.parametrize("param", CHOICES, ids=lambda param: param.name)
def test_texts_are_taken_out_of_their_choices(param: Choice) -> None:
    assert [param.read(choice) for choice in param.choices] == list(param.choices)
    error = refused(param, "else")
    assert all(choice in error.expected for choice in param.choices)


def test_a_text_may_be_any_but_no_number() -> None:
    param = Text("without", "", says="who stays away")
    assert param.read("reader,writer") == "reader,writer"
    assert refused(param, 3).expected == "any text"


def test_another_default_keeps_the_rest_and_must_be_allowed() -> None:
    param = Number("depth", 2, 1, 5, says="how deep")
    assert param.with_default(4) == Number("depth", 4, 1, 5, says="how deep")
    with pytest.raises(UsageError):
        param.with_default(6)


@pytest.mark.parametrize("param", EVERY.values(), ids=lambda param: param.name)
def test_every_declaration_says_what_its_value_means(param: AnyParam) -> None:
    assert param.says and not param.says.endswith(".")
    assert param.check(param.default) == param.default
