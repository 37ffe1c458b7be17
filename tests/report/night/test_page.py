"""The page: what it says, what it must not let in, and that it is one file that needs nothing."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from importlib import resources

import matplotlib as mpl
import pytest

from mmrace.report.night import charts, inline, page, shown
from mmrace.report.night.facts import Canary, Marks, Night, StoryOf, Worker
from mmrace.report.night.page import page_of
from tests.report.night import nights

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "</code><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> {{ 7*7 }} \x1b[31m \u202e"


class Reader(HTMLParser):
    """Reads a page: its tags with their attributes, its text, and whether all that opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{tag} was never opened"
        assert self.open[-1] == tag, f"{tag} closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def read(night: Night) -> Reader:
    return Reader(page_of(night, {}))


def test_the_first_screen_has_the_verdict_and_what_it_rests_on() -> None:
    words = read(nights.night()).words
    first = words[: words.index("Faults that are written down")]
    assert "PASS" in first
    assert "No finding in 120,000 runs of 1 program, in 8 h 00 min." in first
    assert "120,000 runs with 108,000,000 ops were judged against what must hold: 119,988 passed, 0 failed, 12" in first
    assert "the judges were awake: 3 of 3 planted bugs found" in first


def test_a_night_with_nothing_checked_does_not_look_like_a_pass() -> None:
    for empty in (
        Night(store="x", chosen="no campaign"),
        nights.night(total=nights.counted(0), programs=(), campaigns=(nights.campaign("UNKNOWN"),)),
    ):
        text = page_of(empty, {})
        assert "Nothing was checked" in text
        assert ">PASS<" not in text
        assert 'class="banner UNKNOWN"' in text
        assert 'class="tile good"><div class="name">findings' not in text


def test_each_finding_has_its_life_its_rate_its_commands_its_story_and_its_picture() -> None:
    found = nights.finding("came-back")
    page = read(nights.night(findings=(found,)))
    for said in (
        "came back",
        "3 of 4,000",
        "0.05 % (0.02 % to 0.13 %)",
        "Other unlocks what one holds.",
        "mmrace replay .mmrace/findings/bc0eb156440c/record.jsonl",
        "first seen 2026-11-28 19:00 (revision 0.1.0-aaaa)",
        "unlock box.lock: never came",
    ):
        assert said in page.words, said
    assert ("svg", "img") in [(tag, given.get("role")) for tag, given in page.tags]


def test_why_a_finding_has_no_story_is_said() -> None:
    found = replace(nights.finding(), story=StoryOf(missing="there is no story: its folder is gone"))
    assert "there is no story: its folder is gone" in read(nights.night(findings=(found,))).words


def test_hostile_text_is_shown_and_never_obeyed() -> None:
    story = StoryOf(HOSTILE, HOSTILE, HOSTILE, (HOSTILE,), HOSTILE, nights.picture(HOSTILE))
    found = replace(nights.finding(title=HOSTILE), story=story, commands=(HOSTILE,), folder=HOSTILE, program=HOSTILE)
    hostile = nights.night(
        store=HOSTILE,
        findings=(found,),
        campaigns=(replace(nights.campaign("", command=HOSTILE), troubles=(HOSTILE,), losses={HOSTILE: 1}),),
        canaries=(Canary(HOSTILE, HOSTILE, (nights.trial(),)),),
        marks=Marks({HOSTILE: 1}, (HOSTILE,)),
        damage=(HOSTILE,),
    )
    text = page_of(hostile, charts.charts_of(hostile))
    page = Reader(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "link", "iframe", "object"})
    assert not [name for _, given in page.tags for name in given if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.words, "it is text"
    assert "{{ 7*7 }}" in page.words
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


@cache
def drawn() -> tuple[Night, dict[str, str]]:
    night = nights.night(findings=(nights.finding(),))
    return night, charts.charts_of(night)


def test_a_page_needs_nothing_from_elsewhere() -> None:
    text = page_of(*drawn())
    page = Reader(text)
    assert not re.search(r"https?://|url\((?!#)|@import|<script", text)
    for tag, given in page.tags:
        for name in ("href", "xlink:href", "src"):
            assert (given.get(name) or "#").startswith("#"), (tag, given)


def test_every_link_within_the_page_leads_somewhere() -> None:
    page = Reader(page_of(*drawn()))
    named = {given["id"] for _, given in page.tags if "id" in given}
    wanted = {given[name] for _, given in page.tags for name in ("href", "xlink:href") if name in given}
    assert {str(link).removeprefix("#") for link in wanted} <= named


def test_the_same_facts_give_the_same_bytes() -> None:
    night, charts_of_before = drawn()
    assert page_of(night) == page_of(night, charts_of_before)


def test_a_chart_does_not_depend_on_the_settings_of_whoever_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    night = nights.night(moments=(), workers=())
    before = charts.charts_of(night)
    monkeypatch.setitem(mpl.rcParams, "axes.linewidth", 9.0)
    monkeypatch.setitem(mpl.rcParams, "xtick.labelsize", 20.0)
    assert charts.charts_of(night) == before


def test_a_worker_that_leaks_has_more_and_more_living_objects() -> None:
    leaks = nights.worker("free.0", growth=1_000_000)
    first, last, more = shown.growth(leaks)
    assert (first.rss, last.rss, more) == (68_000_000, 92_000_000, 40_000.0)
    assert '<td class="n">+40.0 thousand</td>' in page_of(nights.night(workers=(leaks,)))
    steps = Worker("gate.0", "one", tuple(felt._replace(living=400_000) for felt in leaks.samples))
    assert shown.growth(steps)[2] == 0.0
    of_before = Worker("gate.0", "one", tuple(felt._replace(living=0) for felt in leaks.samples))
    assert shown.growth(of_before)[2] is None


def test_charts_have_the_colours_of_the_page() -> None:
    _, shown = drawn()
    assert set(shown) == {"runs", "classes", "findings", "canaries", "workers"}
    for name, chart in shown.items():
        assert chart.startswith("<svg"), name
        assert "var(--ink)" in chart, name
        assert not [colour for colour in inline.COLOURS if colour in chart], name


def test_without_matplotlib_there_are_tables_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert not charts.available()
    words = Reader(page_of(nights.night(findings=(nights.finding(),)))).words
    assert "There are no charts on this page, since matplotlib is not installed" in words
    assert "pip install 'mmrace[plot]'" in words
    assert "18,847" in words, "what they show stands in the tables"


def test_what_was_never_reached_stands_before_what_was() -> None:
    words = read(nights.night(marks=Marks({"ring walked": 7}, ("async back-out",)))).words
    assert words.index("Never reached: 1 that were expected") < words.index("ring walked")
    unsaid = read(nights.night(marks=Marks({"ring walked": 7}))).words
    assert "which ones were to be expected, no campaign of this night says" in unsaid


def test_the_templates_are_data_of_the_package() -> None:
    folder = resources.files("mmrace.report.night") / page.TEMPLATES
    assert (folder / page.PAGE).is_file()
    for name in re.findall(r'{% (?:include|from) "(\S+)"', (folder / page.PAGE).read_text(encoding="utf-8")):
        assert (folder / name).is_file(), name
