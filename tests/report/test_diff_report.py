"""Two records beside each other as text, against golden files; `MMRACE_GOLDEN=write` writes them."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from mmrace.report.diff import show_diff
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.selection import Selection
from mmrace.story.difference import compare
from tests.report.test_campaign_report import compare as golden
from tests.report.test_campaign_report import text
from tests.story.test_difference import ONE_FIRST, TWO_FIRST, both, draws, reads_x, recorded, writes_x, writes_y

RUN: dict[str, Any] = {"maker": "function", "program": "box.py:main", "given": {}, "strategy": "random", "seed": 1}


def shown(one: Record, other: Record, *selections: Selection) -> str:
    console = Console(file=StringIO(), width=120, color_system=None)
    first, second = selections or (Selection(), Selection())
    show_diff((one, other), ("a.jsonl", "b.jsonl"), compare(one, other), (first, second), console)
    return text(console)


def test_a_conflict_taken_the_other_way_round_is_shown() -> None:
    main = both(writes_x, reads_x)
    golden("diff-swap.txt", shown(recorded(main, *ONE_FIRST, **RUN), recorded(main, *TWO_FIRST, **{**RUN, "seed": 2})))


def test_one_class_is_said_to_be_one() -> None:
    main = both(writes_x, writes_y)
    golden("diff-same-class.txt", shown(recorded(main, *ONE_FIRST, **RUN), recorded(main, *TWO_FIRST, **RUN)))


def test_a_difference_of_the_program_is_explained_from_the_headers_or_not_at_all() -> None:
    one = recorded(both(writes_x, reads_x), *ONE_FIRST, **RUN)
    other = recorded(both(reads_x, reads_x), *ONE_FIRST, **{**RUN, "given": {"rounds": 2}})
    assert "what was run differs in given, see above" in shown(one, other)
    other.header["given"] = {}
    told = shown(one, other)
    assert "nondeterminism" in told and "headers differ" not in told


def test_two_programs_are_said_to_be_two_first() -> None:
    main = both(writes_x, reads_x)
    one = recorded(main, *ONE_FIRST, **RUN)
    for program, same in (("jar.py:main", False), ("box.py:other", False), ("deep/box.py:main", True)):
        first = shown(one, recorded(main, *TWO_FIRST, **{**RUN, "program": program})).splitlines()[0]
        said = f"not the same program: A is of the function box.py:main, B is of the function {program}"
        assert (first == said) is not same, first
    scenario = {"maker": "scenario", "program": "box.py:main"}
    assert shown(one, recorded(main, *TWO_FIRST, **{**RUN, **scenario})).startswith("not the same program")


def test_drawn_values_are_shown() -> None:
    main = both(draws, writes_y)
    told = shown(recorded(main, *ONE_FIRST, value=1), recorded(main, *ONE_FIRST, value=2))
    assert "by a drawn value" in told and "choose one 1 out of 3" in told and "choose one 2 out of 3" in told


def test_equal_records_are_said_to_be_the_same_without_events() -> None:
    record = recorded(both(writes_x, reads_x), *ONE_FIRST)
    told = shown(record, record)
    assert told.rstrip().endswith("the two records are the same, event by event") and "A event" not in told


def test_events_are_chosen_as_those_of_a_record() -> None:
    main = both(writes_x, reads_x)
    one, other = recorded(main, *ONE_FIRST), recorded(main, *TWO_FIRST)
    some = Selection(kinds=["write"])
    told = shown(one, other, some, some)
    assert "write box.x = 1" in told and "begin one" not in told.partition("A event  task")[2]
    wrong = Selection(tasks=["oen"])
    with pytest.raises(UsageError, match="did you mean one"):
        shown(one, other, wrong, wrong)
    assert "A event" in shown(one, other, some, wrong)
