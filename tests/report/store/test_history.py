"""What a store remembers: campaigns, lives of findings, health of canaries, marks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmrace.report.campaign_data import legal
from mmrace.report.store import canaries, findings, history, marks
from mmrace.report.store.findings import POINTS_MAX, SPANS, OverTime, Point, span_of
from mmrace.report.store.marks import Marks
from mmrace.search.ledger.entry import Batch, Sequence
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.life import Life
from mmrace.search.ledger.sums import Sums
from mmrace.search.ledger.watching import Progress, Watcher, first_met_in
from tests.report.stores import BACK, DAY, EXPECTED, FIRST, GONE, HOST, SEEN, ended, nights
from tests.report.test_campaign_report import compare, console, text


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """What a store of four nights says."""
    made = Index.read_only(nights(tmp_path, last=ended(3)))
    yield made
    made.close()


def rows(index: Index) -> list[Progress]:
    watcher = Watcher(index, FIRST + 4 * DAY, host=HOST, alive=lambda pid: False)
    return [watcher.progress(row) for row in index.campaigns()]


def life(index: Index, signature: str) -> Life:
    return next(life for life in index.lives() if life.signature == signature)


def test_campaigns_are_as_recorded(index: Index) -> None:
    shown, lives = console(), index.lives()
    known = {life.signature for life in lives if life.met.known}
    history.show(rows(index), known, first_met_in(life.met for life in lives), shown, before=7)
    compare("store_history.txt", text(shown))


def test_lives_of_findings_are_as_recorded(index: Index) -> None:
    shown = console()
    findings.show(index.lives(), {SEEN, GONE}, shown)
    findings.show_one(life(index, GONE), OverTime(index).points(life(index, GONE)), {GONE}, shown)
    compare("store_findings.txt", text(shown))


def test_each_life_has_its_state(index: Index) -> None:
    states = {signature: life(index, signature).state for signature in (SEEN, GONE, BACK, EXPECTED, "e" * 12)}
    assert states == {SEEN: "known", GONE: "unseen", BACK: "came-back", EXPECTED: "unseen", "e" * 12: "new"}


def test_the_rate_over_time_is_of_the_runs_of_its_program_night_by_night(index: Index) -> None:
    over_time = OverTime(index).points(life(index, GONE))
    assert [(point.hits, point.runs) for point in over_time] == [(400, 4096), (390, 4096), (0, 4096), (0, 4096)]
    low, high = over_time[0].interval
    assert low < 400 / 4096 < high


@pytest.mark.parametrize("seconds", [1.0, 59.0, 3600.0, 8 * 3600.0, 30 * DAY, 5000 * DAY])
def test_a_rate_over_time_has_few_points_however_long_it_is(seconds: float) -> None:
    span = span_of(seconds)
    assert seconds / span <= POINTS_MAX and (span == SPANS[0] or seconds / span > 1)


def test_a_run_that_takes_several_workers_with_it_has_a_rate_over_time(tmp_path: Path) -> None:
    made = Sequence("r1", "writers", 1, "gate")
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(when=FIRST)
        for turn, sums in enumerate((Sums(0, given_up=1, hits={SEEN: 1}), Sums(1, hits={SEEN: 1}), Sums(1))):
            ledger.add(Batch(made.key, turn, turn + 1, FIRST + DAY * turn, campaign, sums), made)
    there = Index.read_only(tmp_path)
    over_time = OverTime(there).points(life(there, SEEN))
    assert [(point.hits, point.runs, point.rate) for point in over_time] == [(1, 1, 1.0), (1, 1, 1.0), (0, 1, 0.0)]
    assert all(0.0 <= low <= point.rate <= high <= 1.0 for point in over_time for low, high in [point.interval])
    assert Point(FIRST, 2, 1).rate == 1.0 and Point(FIRST, 2, 1).interval == Point(FIRST, 1, 1).interval
    there.close()


def test_canaries_are_as_recorded(index: Index) -> None:
    shown = console()
    canaries.show(rows(index), index.trials(), shown)
    compare("store_canaries.txt", text(shown))


def test_marks_tell_what_was_never_reached_and_what_is_not_any_more() -> None:
    shown = console()
    told = Marks(900, {"seen": 12, "seldom": 2}, frozenset({"seen", "never"}), "r2", 300, frozenset({"seen"}))
    marks.show(told, shown)
    assert text(shown).splitlines()[:3] == [
        "marks reached: 2, in 900 runs; of 2 expected ones 1 never",
        "  never hit: never",
        "  not hit by the newest revision, in 300 runs: seldom",
    ]
    assert marks.data(told)["not_reached_by_newest"] == ["seldom"]


def test_an_empty_store_says_so_everywhere(tmp_path: Path) -> None:
    shown = console()
    history.show([], (), {}, shown)
    findings.show([], (), shown)
    canaries.show([], [], shown)
    marks.show(Marks(0, {}, frozenset()), shown)
    assert text(shown).splitlines() == [
        "no campaign yet", "no finding yet", "no canary was planted yet",
        "marks reached: 0, in 0 runs; of 0 expected ones 0 never",
    ]  # fmt: skip


def test_as_data_each_finding_has_its_rate_over_time(index: Index) -> None:
    told = [findings.data(life, OverTime(index).points(life)) for life in index.lives()]
    made = json.loads(json.dumps(legal(history.data("nights", rows(index), findings=told)), allow_nan=False))
    (gone,) = (finding for finding in made["findings"] if finding["signature"] == GONE)
    assert (gone["state"], gone["unseen_runs"], len(gone["over_time"])) == ("unseen", 8192, 4)
    assert gone["rate_95"][0] < gone["rate"] < gone["rate_95"][1] and len(made["campaigns"]) == 4
