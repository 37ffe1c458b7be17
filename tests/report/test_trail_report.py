"""The life of an object as text, against a golden file; `MMRACE_GOLDEN=write` writes it, to be read in the diff."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from mmrace.report import trail as report
from mmrace.report.trail import show_trail
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from mmrace.runtime.selection import Selection
from mmrace.story.trail import trail_of
from tests.report.test_campaign_report import compare, text
from tests.story.test_trail import recorded


def shown(record: Record, name: str, selection: Selection | None = None, width: int = 110) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    show_trail(record, trail_of(record, name), selection or Selection(), console)
    return text(console)


def test_a_life_is_shown_with_holders_and_owners() -> None:
    compare("trail.txt", shown(recorded(), "box"))


def test_where_the_line_is_short_the_site_stands_below_the_op() -> None:
    narrow = shown(recorded(), "box", width=50)
    assert "where" not in narrow and "at program >" in narrow


def test_events_of_a_life_are_chosen_as_those_of_a_record() -> None:
    some = shown(recorded(), "box", Selection(kinds=["write"], last=2))
    assert "write x = 5" in some and "acquire" not in some.partition("held")[2]
    assert some.splitlines()[-1].startswith("2 of its ")
    with pytest.raises(UsageError, match="did you mean main"):
        shown(recorded(), "box", Selection(tasks=["mian"]))
    with pytest.raises(UsageError, match="expected events of the record"):
        shown(recorded(), "other", Selection(kinds=["write"]))


def test_of_a_long_life_the_beginning_and_the_end_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ROWS_MAX", 4)
    cut = shown(recorded(), "box")
    assert "more events, by --from or --last" in cut and "-- made box" in cut and cut.count("-- gone box") == 3
    whole = shown(recorded(), "box", Selection(last=100))
    assert "more events" not in whole
