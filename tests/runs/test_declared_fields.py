"""Fields that somebody names for `--promote`: what the program has is taken, wherever declared; the rest is refused."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.installed import MAKERS
from mmrace.runs import declared_fields
from mmrace.runs.declared_fields import check_promoted
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.runtime.errors import UsageError

SCENARIO = MAKERS.program(RunSpec("async-vs-commit", engine="fiber"))


class Till(rt.Struct):
    coins = rt.shared(0)
    lock = rt.mutex()


class Drawer(Till):
    notes = rt.words()


def hidden() -> None:
    class Hideout(rt.Struct):
        inside = rt.shared(0)

    Hideout("hideout").inside += 1


def program(function: object = hidden) -> Program:
    spec = RunSpec("a function", engine="fiber", maker="function", digest="of a user's own file")
    return FunctionMaker({spec.program: function}).program(spec)  # type: ignore[dict-item]


def refused(program: Program, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_promoted(program, text)
    return str(caught.value)


@pytest.mark.parametrize("text", ["all", "racing", "none", "Page.words", "Page.words,BufferHead.b_page"])
def test_a_scenario_is_taken_at_its_word_without_a_run(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared_fields, "RUNS", 0)
    check_promoted(SCENARIO, text)


def test_an_unknown_field_of_a_known_struct_lists_those_that_there_are() -> None:
    said = refused(SCENARIO, "Page.words,Page.nope")
    assert "got 'Page.nope'" in said and "Page.mapping" in said and "Page.words" in said and "did you mean" in said


def test_a_field_of_an_unknown_struct_lists_the_structs() -> None:
    said = refused(SCENARIO, "Nope.x")
    assert "got 'Nope.x'" in said and "BufferHead" in said and "Page" in said


@pytest.mark.parametrize("text", ["Till.coins", "Till.notes"])  # a subclass goes by the name of its base
def test_a_field_of_ones_own_struct_is_known_when_it_is_declared(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declared_fields, "RUNS", 0)
    check_promoted(program(), text)


def test_a_struct_inside_a_function_is_known_by_a_run() -> None:
    check_promoted(program(), "Hideout.inside,Till.coins")
    assert "did you mean Hideout.inside?" in refused(program(), "Hideout.insde")


def test_a_lock_is_no_plain_field_and_the_kernel_s_are_none_of_a_function() -> None:
    assert "out of Till.coins, Till.notes, got 'Till.lock'" in refused(program(), "Till.lock")
    assert "got 'Page.words'" in refused(program(), "Page.words")
