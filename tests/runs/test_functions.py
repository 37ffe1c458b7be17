"""The parameters of a function that is a program: its arguments, declared by their defaults."""

from __future__ import annotations

import pytest

from mmrace.runs.functions import FunctionMaker, declared
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError


def main(items: int = 2, mode: str = "fair", *rest: object, **more: object) -> None:
    """Do nothing."""


MAKER = FunctionMaker({"here:main": main})


def test_arguments_are_parameters_with_their_defaults() -> None:
    assert declared("here:main", main).defaults == {"items": 2, "mode": "fair"}
    assert MAKER.program(RunSpec("here:main", (("items", 3),))).params == {"items": 3, "mode": "fair"}


@pytest.mark.parametrize(
    ("name", "value", "needle"),
    [("item", 3, "did you mean items?"), ("items", "3", "a whole number"), ("mode", 3, "a text")],
)
def test_what_is_no_argument_or_of_another_type_is_refused(name: str, value: int | str, needle: str) -> None:
    with pytest.raises(UsageError, match=needle.replace("?", r"\?")):
        MAKER.program(RunSpec("here:main", ((name, value),)))


def test_texts_are_typed_as_the_defaults_are() -> None:
    assert declared("here:main", main).typed({"items": "7", "mode": "7"}) == {"items": 7, "mode": "7"}


def test_an_argument_without_a_default_is_refused() -> None:
    def needs(items: int) -> None: ...

    with pytest.raises(UsageError, match="have defaults"):
        declared("here:needs", needs)
