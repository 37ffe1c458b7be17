"""The table: spread, what it says of the order, its text, its picture, and a small one made for real."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mmrace.measure import load, order
from mmrace.measure.blocked import PLACES, WRITEBACK, WRITEPAGE
from mmrace.measure.counting import ALLOC, BLOCKED, ELAPSED, FALLBACK
from mmrace.measure.driver import TableRun
from mmrace.measure.load import CHANGES, ERAS, ROWS
from mmrace.measure.one import count_one, spec_of
from mmrace.measure.published import PUBLISHED
from mmrace.measure.result import Spread, TableResult
from mmrace.report import compaction, picture
from mmrace.runtime.errors import EXIT_PASS, EXIT_UNKNOWN, UsageError

ROW = "raw device to VFAT"


def counts(alloc: int, writeback: int, elapsed: int) -> dict[str, int]:
    """Return a run's counts."""
    places = {f"{BLOCKED}: {place}": 0 for place in PLACES}
    return {
        ALLOC: alloc, FALLBACK: 10 - alloc, **places, f"{BLOCKED}: {WRITEBACK}": writeback, BLOCKED: writeback,
        ELAPSED: elapsed,
    }  # fmt: skip


def made(**eras: list[dict[str, int]]) -> TableResult:
    """Make a table of one row.  Args: eras: the runs of an era, dots and signs of its name as underscores."""
    result = TableResult((ROW,), ERAS, seeds=max(map(len, eras.values())), seed=1)
    for name, runs in eras.items():
        era = {"e3_2": "3.2", "trylock": "3.2+trylock", "light": "3.2+sync-light"}[name]
        for index, run in enumerate(runs):
            result.cell(ROW, era).add(index, run)
            result.runs += 1
    return result


AS_SAID = {
    "e3_2": [counts(2, 1000 + i, 5000) for i in range(8)],
    "trylock": [counts(3, 900 + i, 5200) for i in range(8)],
    "light": [counts(5, 0, 1000) for i in range(8)],
}


def test_a_spread_has_median_and_quartiles_and_none_without_values() -> None:
    assert Spread.of([]) is None
    assert Spread.of([7]) == Spread(7, 7, 7, 1)
    assert Spread.of([1, 2, 3, 4, 5]) == Spread(3, 2, 4, 5)


def test_a_table_that_goes_as_the_series_said_is_told_so_with_its_chance() -> None:
    found = order.answers(made(**AS_SAID), ROW)
    assert [answer.came_out for answer in found] == [True] * 4
    assert all(answer.chance < 0.01 for answer in found)


def test_a_table_that_goes_the_other_way_is_told_so() -> None:
    reverse = {"e3_2": AS_SAID["light"], "trylock": AS_SAID["e3_2"], "light": AS_SAID["trylock"]}
    found = {answer.says: answer.came_out for answer in order.answers(made(**reverse), ROW)}
    assert list(found.values()) == [False, False, False, False]


def test_a_stall_that_was_never_there_neither_stays_nor_ends() -> None:
    none = {name: [counts(4, 0, 100)] for name in AS_SAID}
    found = order.answers(made(**none), ROW)
    assert [answer.came_out for answer in found] == [False, False, False, False]
    assert {answer.chance for answer in found} == {1.0}


def test_a_table_without_runs_cannot_tell() -> None:
    found = order.answers(TableResult((ROW,), ERAS, seeds=1, seed=1), ROW)
    assert {answer.came_out for answer in found} == {None}


def test_a_stall_is_what_is_waited_for_under_writeback_and_in_writepage() -> None:
    run = {**counts(1, 30, 100), f"{BLOCKED}: {WRITEPAGE}": 12}
    assert order.stall_of(made(e3_2=[run]).cell(ROW, "3.2")) == {0: 42}


def test_a_table_with_a_run_missing_is_unknown() -> None:
    result = made(**AS_SAID)
    assert (result.complete, result.exit_code) == (False, EXIT_UNKNOWN)
    whole = replace(result, eras=("3.2", "3.2+trylock", "3.2+sync-light"))
    assert (whole.complete, whole.exit_code) == (True, EXIT_PASS)


def text_of(result: TableResult, changed: compaction.Changed = ()) -> str:
    out = io.StringIO()
    compaction.show(result, Console(file=out, width=200), changed)
    return out.getvalue()


def test_the_text_has_spread_published_shares_and_the_order() -> None:
    shown = text_of(made(**AS_SAID))
    assert "50 [50-50]" in shown and "1.0k" in shown
    assert "published: success %" in shown and "14.2 %" in shown
    assert "trylock alone leaves the stall" in shown and "sync-light ends the stall" in shown
    assert "INCOMPLETE" in shown


def test_where_a_changed_load_turns_an_answer_it_stands_in_capitals() -> None:
    reverse = {"e3_2": AS_SAID["light"], "trylock": AS_SAID["e3_2"], "light": AS_SAID["trylock"]}
    shown = text_of(made(**AS_SAID), [("zone halved", made(**reverse)), ("zone doubled", made(**AS_SAID))])
    line = next(line for line in shown.splitlines() if "sync-light ends the stall" in line and "NO" in line)
    assert line.split()[-3:] == ["yes", "NO", "yes"]


def test_what_was_published_is_compared_by_shares_and_ratios_only() -> None:
    assert set(PUBLISHED) >= {row.name for row in ROWS}
    known = PUBLISHED[ROW]
    assert known.ratio("3.2") == 100 and known.ratio("3.1") is None
    ratio = known.ratio("3.2+sync-light")
    assert ratio is not None and 3 < ratio < 4


def test_every_row_is_a_program_and_each_change_alters_what_it_names() -> None:
    for row in ROWS:
        for change in CHANGES:
            other = change.applied(row)
            differing = {name for name in row.params if row.params[name] != other.params[name]}
            assert differing == {name for name in change.params if name in row.params}
    halved, doubled = (change.applied(ROWS[0]).params["frames"] for change in CHANGES[-2:])
    assert (halved, doubled) == (load.FRAMES // 2, load.FRAMES * 2)


def test_a_run_has_the_same_seed_in_each_era_and_another_one_in_each_row() -> None:
    specs = [spec_of(row, era, 1, 3) for row in ROWS for era in ERAS]
    assert len({spec.seed for spec in specs}) == len(ROWS)
    assert {spec.strategy for spec in specs} == {"timed"}


SHORT = replace(ROWS[0], params={**ROWS[0].params, "faults": 2, "held": 1, "raw": 8, "streamed": 4, "idle": 20})


def test_a_run_counts_what_its_process_was_given_and_repeats() -> None:
    first, second = (count_one(spec_of(SHORT, "3.3", 1, 0)) for _ in range(2))
    assert first.verdict == "PASS" and first.counters == second.counters
    assert first.counters[ALLOC] + first.counters[FALLBACK] == 2


@pytest.mark.slow
def test_a_table_is_made_by_processes_and_is_the_same_with_any_number(tmp_path: Path) -> None:
    results = [
        TableRun([SHORT], ("3.2", "3.3"), seeds=2, seed=1, folder=tmp_path, jobs=jobs).run().plain() for jobs in (1, 2)
    ]
    for result in results:
        del result["seconds"]
    assert results[0] == results[1]
    assert json.dumps(results[0])
    assert [len(cell["runs"]) for cell in results[0]["cells"]] == [2, 2]  # type: ignore[attr-defined]


def test_a_table_that_is_given_no_time_has_no_runs_and_is_unknown(tmp_path: Path) -> None:
    result = TableRun([SHORT], ("3.3",), seeds=2, seed=1, folder=tmp_path, jobs=1, seconds=0).run()
    assert (result.runs, result.exit_code) == (0, EXIT_UNKNOWN)


def test_a_picture_without_matplotlib_is_an_error_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"mmrace\[plot\]"):
        picture.check()


def test_a_picture_is_the_same_file_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one.svg", "two.svg"):
        picture.draw(made(**AS_SAID), tmp_path / name)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.svg", "two.svg"))
    assert one == two and one.startswith(b"<?xml")
    assert b"raw device to VFAT" in one
