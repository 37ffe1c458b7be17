"""Variants: bound for the length of a block, one at a time, and gone after it whatever happened."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import history
from mmrace.history.canary import Canary
from mmrace.history.variant import CORRECT, Variant, applied, over
from mmrace.installed import run_one
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import migrate
from mmrace.runtime.errors import UsageError
from tests.scenarios.staged import gate_spec

PLACE = "mm.migrate:migrate_page_copy"
OTHER = "fs.buffer:unlock_buffer"


def stand_in(*_: Any) -> Any:
    """Do nothing, instead of what stands there."""


def one(place: str = PLACE) -> Variant:
    return Variant("one", "a test's", {place: stand_in})


def test_every_name_is_bound_and_restored() -> None:
    before = migrate.migrate_page_copy, buffer.unlock_buffer
    with applied(Variant("two places", "", {PLACE: stand_in, OTHER: stand_in})):
        assert (migrate.migrate_page_copy, buffer.unlock_buffer) == (stand_in, stand_in)
    assert (migrate.migrate_page_copy, buffer.unlock_buffer) == before


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_names_are_restored_after_an_exception(error: type[BaseException]) -> None:
    before = migrate.migrate_page_copy
    with pytest.raises(error), applied(one()):
        raise error
    assert migrate.migrate_page_copy is before
    with applied(one()):
        assert migrate.migrate_page_copy is stand_in


def test_what_the_block_itself_rebound_is_restored_too() -> None:
    before = migrate.migrate_page_copy
    with applied(one()):
        migrate.migrate_page_copy = lambda newpage, page: None
    assert migrate.migrate_page_copy is before


@pytest.mark.parametrize("place", ["mm.migrate:no_such_name", "mm.migrate:", "mm.migrate"])
def test_a_name_that_is_not_in_the_model_is_refused_and_nothing_is_bound(place: str) -> None:
    before = migrate.migrate_page_copy
    with pytest.raises(UsageError) as caught, applied(Variant("strange", "", {PLACE: stand_in, place: stand_in})):
        raise AssertionError("not reached")
    assert "strange" in caught.value.where
    assert migrate.migrate_page_copy is before
    assert not hasattr(migrate, "no_such_name")
    with applied(one()):
        pass


@pytest.mark.parametrize(
    ("place", "close"), [("mm.migrate:migrate_pagecopy", "migrate_page_copy"), ("mm.migrat:migrate_page", "mm.migrate")]
)
def test_a_name_that_is_misspelt_is_told_the_close_ones(place: str, close: str) -> None:
    with pytest.raises(UsageError) as caught, applied(one(place)):
        raise AssertionError("not reached")
    assert f"did you mean {close}" in caught.value.try_ and "spelt" in caught.value.try_


def test_two_at_once_are_refused_and_the_first_stays() -> None:
    before, other = migrate.migrate_page_copy, buffer.unlock_buffer
    with applied(one()):
        with pytest.raises(UsageError) as caught, applied(Variant("second", "", {OTHER: stand_in})):
            raise AssertionError("not reached")
        assert caught.value.got == "one"
        assert (migrate.migrate_page_copy, buffer.unlock_buffer) == (stand_in, other)
    assert migrate.migrate_page_copy is before


def test_a_later_one_gets_what_stood_below_it() -> None:
    def outer(below: Any, *given: Any) -> Any:
        return ["outer", *below(*given)]

    lower, upper = (
        Variant("lower", "", {PLACE: lambda *given: ["lower", *given]}),
        Variant("up", "", {PLACE: over(outer)}),
    )
    before = migrate.migrate_page_copy
    with applied(lower, upper) as replaced:
        assert migrate.migrate_page_copy(1, 2) == ["outer", "lower", 1, 2]  # type: ignore[arg-type]
        assert replaced == {PLACE: before}
    with applied(upper, lower):
        assert migrate.migrate_page_copy(1, 2) == ["lower", 1, 2]  # type: ignore[arg-type]
    assert migrate.migrate_page_copy is before


def test_a_stack_in_which_one_is_wrong_binds_nothing() -> None:
    before = migrate.migrate_page_copy
    wrong = Variant("strange", "", {"mm.migrate:no_such_name": stand_in})
    with pytest.raises(UsageError) as caught, applied(one(), wrong):
        raise AssertionError("not reached")
    assert "strange" in caught.value.where and migrate.migrate_page_copy is before


def test_the_correct_protocol_counts_as_one() -> None:
    with applied(CORRECT), pytest.raises(UsageError), applied(one()):
        raise AssertionError("not reached")


def test_the_correct_protocol_binds_nothing() -> None:
    assert CORRECT.bind == {} and CORRECT.name == ""


def test_a_bound_function_is_what_the_model_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = migrate.migrate_page_copy

    def watched(newpage: object, page: object) -> None:
        seen.append(page)
        original(newpage, page)  # type: ignore[arg-type]

    canary = Canary(Variant("watch", "", {PLACE: watched}), "async-vs-commit", "content")
    monkeypatch.setattr(history, "CANARIES", (canary,))
    result = run_one(gate_spec("async-vs-commit", 1, "watch", migrations=6))
    assert result.verdict == "PASS"
    assert len(seen) == result.counters["migrations.moved"] > 0
