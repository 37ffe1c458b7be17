"""Tables that fit: no word is broken at 80 columns, in any table that there is, and nothing is left out."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from io import StringIO

import pytest
from rich.console import Console

from mmrace import installed
from mmrace.report import campaign as campaign_report
from mmrace.report import claims as claims_report
from mmrace.report.columns import print_table
from mmrace.report.events import show_record
from mmrace.report.lists import KINDS, show_lists
from mmrace.report.terminal import table
from mmrace.runs.follow import with_sites
from mmrace.runs.spec import RunSpec
from mmrace.runtime.selection import Selection
from tests.report.test_campaign_report import passed
from tests.report.test_claims_report import result as claims_result

WIDE = 2000
WIDTHS = (80, 120, 200)


def printed(show: Callable[[Console], object], width: int) -> str:
    shown = Console(file=StringIO(), width=width, color_system=None)
    show(shown)
    assert isinstance(shown.file, StringIO)
    return shown.file.getvalue()


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\s─]+", text))


def some_record(console: Console) -> None:
    spec = RunSpec("async-vs-commit", engine="fiber", seed=5, params=(("migrations", 2), ("idle", 0)))
    result = with_sites(installed.run_one(spec, True), installed.MAKERS)
    show_record(result, Selection(last=60), console)


def some_list(kind: str, console: Console) -> None:
    show_lists(installed.catalogue(), (kind,), console)


SHOWS: dict[str, Callable[[Console], object]] = {
    **{kind: partial(some_list, kind) for kind in KINDS},
    "campaign": lambda console: campaign_report.show(passed(), console),
    "claims": lambda console: claims_report.show(claims_result(), console),
    "events": some_record,
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("show", SHOWS.values(), ids=SHOWS)
def test_no_table_breaks_a_word(show: Callable[[Console], object], width: int) -> None:
    unbroken = words(printed(show, WIDE)) | {"continued", "at", "task", "op"}
    broken = {word for word in words(printed(show, width)) if word not in unbroken and word.rstrip(",") not in unbroken}
    assert not broken


@pytest.mark.parametrize("kind", KINDS)
def test_no_line_of_a_list_is_longer_than_the_console_is_wide_but_remarks(kind: str) -> None:
    lines = printed(partial(some_list, kind), 80).splitlines()
    assert [line for line in lines if len(line) > 80 and line.startswith(" ")] == []


@pytest.mark.parametrize("width", [24, 40, 80])
def test_what_does_not_fit_comes_below_beside_the_first_column_again(width: int) -> None:
    shown = table("numbers", "name", "first", "second", numbers=True)
    shown.add_row("alpha", "11111111", "22222222")
    shown.add_row("beta", "33333333", "44444444")
    text = printed(lambda console: print_table(console, shown), width)
    assert re.findall(r"\d{8}", text) in (
        ["11111111", "22222222", "33333333", "44444444"],
        ["11111111", "33333333", "22222222", "44444444"],
    )
    assert text.count("alpha") == 1 + ("numbers, continued" in text) == (2 if width == 24 else 1)


def test_a_word_that_is_longer_than_the_console_is_broken_and_printed() -> None:
    shown = table("t", "name", "text")
    shown.add_row("alpha", "x" * 70)
    text = printed(lambda console: print_table(console, shown), 40)
    assert text.count("x") == 70 + 1 and max(map(len, text.splitlines())) <= 40
