"""What all reports share: lines of progress, texts as they are, tables."""

from __future__ import annotations

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.report.terminal import STYLES, Lines, conclude, say, style, table
from mmrace.runs.spec import RunSpec
from mmrace.search.totals import Hit
from tests.report.test_campaign_report import console, text

HIT = Hit(Finding("content", "rule", "page:4 shows [an old] word", {}, "abc123"), RunSpec("alpha"), "main", 3)


@pytest.mark.parametrize(("quiet", "lines"), [(False, 2), (True, 0)])
def test_lines_come_no_more_often_than_every_few_seconds_and_not_at_all_when_quiet(quiet: bool, lines: int) -> None:
    now = [0.0]
    shown = console()
    progress = Lines(shown, str, quiet=quiet, clock=lambda: now[0])
    for second in range(11):
        now[0] = float(second)
        progress.progress(second)
    assert text(shown).split() == ["5", "10"][:lines]


@pytest.mark.parametrize("quiet", [False, True])
def test_a_finding_is_told_at_once_quiet_or_not(quiet: bool) -> None:
    shown = console()
    Lines(shown, str, quiet=quiet).found(HIT)
    assert text(shown) == "FINDING abc123  page:4 shows [an old] word\n"


def test_a_text_is_printed_as_it_is_and_on_one_line() -> None:
    shown = console()
    long = "[red]no markup[/] " + "word " * 60
    say(shown, long)
    assert text(shown) == long.rstrip() + "\n"


def test_a_report_ends_with_the_verdict_and_what_it_rests_on() -> None:
    shown = console()
    conclude(shown, "FAIL", "  1 run of [scenario]")
    assert text(shown) == "FAIL  1 run of [scenario]\n"


def test_every_verdict_has_its_style_and_other_words_have_one_too() -> None:
    assert style("PASS") == f"[{STYLES['PASS']}]PASS[/]"
    assert style("BROKEN", "BROKEN: [x]") == f"[{STYLES['BROKEN']}]BROKEN: \\[x][/]"
    assert style("not tested yet").endswith("]not tested yet[/]")


def test_a_table_of_numbers_has_them_on_the_right() -> None:
    assert [column.justify for column in table("t", "a", "b", numbers=True).columns] == ["left", "right"]
    assert [column.justify for column in table("t", "a", "b").columns] == ["left", "left"]
