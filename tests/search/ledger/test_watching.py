"""Where a campaign stands is said by its end, its lock, its process and its last sign of life, in this order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from mmrace.search.ledger.entry import Batch, Beat, Begun, Ended, Resumed
from mmrace.search.ledger.index import Campaign, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.watching import QUIET_SECONDS, State, Watcher, counted, is_alive, state_of
from tests.report.stores import FIRST, HOST, NIGHT, PID, ended, named, night, nights

BEGUN = Begun("c", FIRST, HOST, PID)
LONG = QUIET_SECONDS + 1


def row(*, end: int | None = None, running: bool = False, code: int = 0, troubles: Iterable[str] = ()) -> Campaign:
    ended_ = None if end is None else Ended("c", FIRST, "PASS", code, end, troubles=[*troubles])
    return Campaign("c", BEGUN, [], ended_, running)


@pytest.mark.parametrize(
    ("campaign", "quiet", "host", "alive", "state"),
    [
        (row(end=0), 0.0, HOST, True, "ended"),
        (row(end=15), 0.0, HOST, True, "interrupted"),
        (row(end=0, code=5, troubles=["no worker"]), 0.0, HOST, True, "interrupted"),
        (row(end=0, code=2, troubles=["no such program"]), 0.0, HOST, True, "ended"),
        (row(running=True), LONG, "elsewhere", False, "running"),
        (row(), 0.0, HOST, False, "interrupted"),
        (row(), 0.0, HOST, True, "running"),
        (row(), LONG, HOST, True, "interrupted"),
        (row(), 0.0, "elsewhere", False, "running"),
        (row(), LONG, "elsewhere", True, "silent"),
    ],
    ids=[
        "ended", "ended by a signal", "ended by its pool", "a wrong call",
        "its segment is held", "process gone", "no lock, process there",
        "its number is another's now", "another host, young sign", "another host, old sign",
    ],
)  # fmt: skip
def test_each_state(campaign: Campaign, quiet: float, host: str, alive: bool, state: State) -> None:
    assert state_of(campaign, quiet, host, lambda pid: alive) == state


def test_a_campaign_whose_beginning_is_damaged_is_silent_once_it_is_quiet() -> None:
    nameless = Campaign("c", None, [], None, False)
    assert [state_of(nameless, quiet, HOST, is_alive) for quiet in (0.0, LONG)] == ["running", "silent"]


@pytest.mark.parametrize(
    ("resumed", "end", "seconds"),
    [
        ([], None, 100.0),
        ([], Ended("c", FIRST + 90, seconds=70.0), 70.0),
        ([], Ended("c", FIRST + 100), 100.0),
        ([Resumed("c", FIRST + 80, seconds=30.0)], None, 50.0),
        ([Resumed("c", FIRST + 80, seconds=30.0)], Ended("c", FIRST + 100), 50.0),
    ],
    ids=["no end", "an end", "an end without seconds", "gone on with", "gone on with, an end without seconds"],
)
def test_how_long_it_lasted_is_what_its_end_says_or_else_the_time_of_its_processes(
    resumed: list[Resumed], end: Ended | None, seconds: float
) -> None:
    assert Campaign("c", BEGUN, resumed, end, False).lasted(FIRST + 100) == seconds


def test_this_process_lives_and_none_has_an_impossible_number() -> None:
    assert is_alive(os.getpid()) and not is_alive(1 << 40) and not is_alive(0)


def test_progress_counts_the_runs_that_should_pass_and_knows_the_last_sign(tmp_path: Path) -> None:
    index = Index.read_only(nights(tmp_path))
    watcher = Watcher(index, FIRST + 3 * 86400 + 1000, host=HOST, alive=lambda pid: False)
    each = [watcher.progress(row) for row in index.campaigns()]
    assert [found.state for found in each] == ["ended", "interrupted", "ended", "interrupted"]
    last = each[-1]
    assert (last.sums.runs, last.began, last.last_sign) == (8192, FIRST + 3 * 86400, FIRST + 3 * 86400 + 800)
    assert (last.seconds, last.rate, each[0].seconds) == (800.0, 10.24, NIGHT)
    assert last.beat is not None and [trial.canary for trial in last.trials] == ["lost-copy", "no-freeze"]
    assert counted(index, campaign=named(0)).runs == 8192, "not those of the planted bug"


def test_one_that_goes_on_lasts_as_long_as_its_processes_did_and_is_of_the_last_of_them(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        night(ledger, 0, end=None)
        ledger._writer.add(Resumed(named(0), FIRST + 5000, "laptop", 12, 810.0))
        ledger.beat(Beat(named(0), FIRST + 5060))
    index = Index.read_only(tmp_path)
    found = Watcher(index, FIRST + 5100, host="laptop", alive=lambda pid: pid == 12).progress(index.campaigns()[0])
    assert (found.state, found.process, found.seconds) == ("running", ("laptop", 12), 870.0)
    index.close()


@pytest.mark.parametrize(("anew", "runs"), [(True, 8192), (False, 0)])
def test_one_that_began_anew_has_made_what_counts_for_an_earlier_one(anew: bool, runs: int, tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        night(ledger, 0, end=ended(0))
        campaign = ledger.begin(request={"anew": anew}, when=FIRST + 9000)
        for of, one in [(of, one) for of, one in ledger.index().batches() if of is not None]:
            ledger.add(Batch(of.key, one.first, one.stop, FIRST + 9001, campaign, one.sums), of)
    index = Index.read_only(tmp_path)
    progress = Watcher(index, FIRST + 9002).progress(index.campaigns()[-1])
    assert (progress.sums.runs, counted(index).runs) == (runs, 8192)
    index.close()


def test_a_campaign_that_runs_shows_how_fast_it_is_of_late(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        night(ledger, 0, end=ended(0))
        night(ledger, 1, end=None)
        ledger.flush()
        index = Index.read_only(tmp_path)
        now = FIRST + 86400 + 900
        found = Watcher(index, now, host=HOST).progress(index.campaigns()[-1])
        assert (found.state, found.last_sign) == ("running", now), "this process has its segment"
        assert found.lately == pytest.approx(8192 / (now - index.series(1.0, campaign=named(1))[1][0]))
        index.close()
