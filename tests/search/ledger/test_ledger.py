"""A ledger: what was added is found again, by this process and by others, and counted once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.search.ledger.entry import Beat, Ended, Met, Trial, now
from mmrace.search.ledger.index import Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.prune import prune
from mmrace.search.ledger.segment import segments_in
from mmrace.search.ledger.writer import Writer
from tests.search.ledger.made import CAMPAIGN, WHEN, batch, sequence, sums


def test_what_was_added_is_covered_and_counted(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 0, 1), of)
        ledger.add(batch(of, 2, 4), of)
        assert list(ledger.covered(of)) == [(0, 1), (2, 4)]

    with Ledger.open(tmp_path) as ledger:
        assert list(ledger.covered(of)) == [(0, 1), (2, 4)]
        assert ledger.covered(of).next_gap(0) == 1
    assert Index.read_only(tmp_path).sums() == sums(3)


def test_a_sequence_that_differs_in_anything_is_another(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 0, 8), of)
        for other in (sequence(revision="r2"), sequence(params=(("a", 1),)), sequence(without=("deadlock",))):
            assert ledger.covered(other).count == 0


def test_a_batch_counts_once_whoever_made_it(tmp_path: Path) -> None:
    of = sequence()
    for _ in range(2):
        with Ledger.open(tmp_path) as ledger:
            ledger.add(batch(of, 0, 8), of)

    assert Index.read_only(tmp_path).sums().runs == 8


def test_of_nested_batches_the_larger_one_counts(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 2, 3, what=sums(1, hits={"bad": 1}, failed=1)), of)
        ledger.add(batch(of, 0, 8), of)
        ledger.add(batch(of, 4, 6), of)

    index = Index.read_only(tmp_path)
    assert index.sums() == sums(8)
    assert list(index.covered(of)) == [(0, 8)]


def test_what_is_asked_for_is_what_is_summed(tmp_path: Path) -> None:
    of, other, twin = sequence(), sequence("readers", engine="free"), sequence(role="twin", trial="leak")
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 0, 8), of)
        ledger.add(batch(other, 0, 4, when=WHEN + 3600), other)
        ledger.add(batch(twin, 0, 2, campaign="20231115T000000-0000000c"), twin)

    index = Index.read_only(tmp_path)
    assert index.sums(program="readers").runs == 4
    assert index.sums(engine="fiber", role="main").runs == 8
    assert index.sums(campaign=CAMPAIGN).runs == 12
    assert index.sums(since=WHEN + 1000, role="main").runs == 4
    assert index.sums(until=WHEN + 1000, campaign=CAMPAIGN).runs == 8
    assert [(when, sums.runs) for when, sums in index.series(1800, campaign=CAMPAIGN)] == [
        (WHEN // 1800 * 1800, 8),
        ((WHEN + 3600) // 1800 * 1800, 4),
    ]
    assert [(one.program, sums.runs) for one, sums in index.each(role="main")] == [("writers", 8), ("readers", 4)]


def test_what_a_campaign_says_of_itself_is_found_again(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(command="mmrace stress", request={"seed": 1})
        ledger.beat(Beat(campaign, WHEN, {"w1": [1000, 0, 7]}, 10**9))
        ledger.trial(Trial(campaign, WHEN, "leak", tried=3, cap=40))
        ledger.trial(Trial(campaign, WHEN + 1, "leak", found_after=5, tried=5, cap=40))
        ledger.met(Met("bad", "refcount", program="writers"))
        running = Index.read_only(tmp_path)
        ledger.flush()
        assert running.refresh()
        assert [row.running for row in running.campaigns()] == [True]
        ledger.ended(Ended(campaign, WHEN + 2, "PASS"))
    index = Index.read_only(tmp_path)

    (row,) = index.campaigns()
    assert row.begun is not None and row.begun.command == "mmrace stress" and row.begun.request == {"seed": 1}
    assert row.ended is not None and row.ended.verdict == "PASS" and not row.running
    assert index.beats(campaign)[0].workers == {"w1": [1000, 0, 7]}
    assert [trial.found_after for trial in index.trials()] == [5]
    assert [life.signature for life in index.lives()] == ["bad"]


def test_a_campaign_that_goes_on_has_not_ended(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(when=WHEN)
        ledger.add(batch(of, 0, 1, when=WHEN + 2, campaign=campaign), of)
        ledger.ended(Ended(campaign, WHEN + 3, "UNKNOWN", interrupted=2))
    assert Index.read_only(tmp_path).last(campaign) == WHEN + 3
    with Ledger.open(tmp_path) as ledger:
        ledger.resume(campaign, 3.0)
        ledger.flush()
        (row,) = Index.read_only(tmp_path).campaigns()
        assert (row.running, row.ended, [again.seconds for again in row.resumed]) == (True, None, [3.0])
        ledger.ended(Ended(campaign, now(), "PASS"))

    (row,) = Index.read_only(tmp_path).campaigns()
    assert row.ended is not None and (row.ended.verdict, row.running, len(row.resumed)) == ("PASS", False, 1)


@pytest.mark.parametrize("pruned", [False, True])
def test_a_campaign_that_goes_on_after_the_clock_went_back_has_not_ended(pruned: bool, tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(when=now() + 1000)
        ledger.ended(Ended(campaign, now() + 1010, "UNKNOWN", interrupted=2, seconds=10.0))
    with Ledger.open(tmp_path) as ledger:
        ledger.resume(campaign, 10.0)
        ledger.flush()
        (row,) = Index.read_only(tmp_path).campaigns()
        assert (row.running, row.ended) == (True, None)
    (row,) = Index.read_only(tmp_path).campaigns()
    assert (row.running, row.ended) == (False, None)
    with Ledger.open(tmp_path) as ledger:
        ledger.resume(campaign, 12.0)
        ledger.ended(Ended(campaign, now(), "PASS", seconds=20.0))
    if pruned:
        prune(tmp_path, keep=1)

    (row,) = Index.read_only(tmp_path).campaigns()

    assert row.ended is not None and (row.ended.verdict, row.running) == ("PASS", False)


def test_an_index_takes_in_what_others_write_later(tmp_path: Path) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as one, Ledger.open(tmp_path) as other:
        one.add(batch(of, 0, 1), of)
        assert other.covered(of).count == 0
        one.flush()
        assert other.covered(of).count == 1
        other.add(batch(of, 1, 2), of)
        other.flush()
        assert one.covered(of).count == 2
    assert len(segments_in(tmp_path / "ledger")) == 2


def test_a_ledger_of_a_newer_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    (tmp_path / "ledger" / "a.jsonl").write_text('00000000 {"is":"segment","schema":"mmrace-ledger/2"}\n')

    with pytest.raises(UsageError, match=r"mmrace-ledger/2.*a newer mmrace"):
        Ledger.open(tmp_path)
    with pytest.raises(UsageError, match=r"mmrace-ledger/2.*a newer mmrace"):
        Index.read_only(tmp_path)


def test_a_file_instead_of_a_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")

    with pytest.raises(UsageError, match="--store"):
        Ledger.open(tmp_path / "store")


def test_a_store_that_cannot_be_written_is_refused_with_what_to_do_and_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = sequence()
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 0, 8), of)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and access(path, mode))

    with pytest.raises(UsageError, match=r"a folder to write in.*Permission denied.*--store"):
        Ledger.open(tmp_path)
    assert Index.read_only(tmp_path).sums().runs == 8


def test_what_waits_is_written_after_a_second(tmp_path: Path) -> None:
    now_ = [100.0]
    of = sequence()
    ledger = Ledger(tmp_path, Writer(tmp_path / "ledger", clock=lambda: now_[0]), None)
    index = Index.read_only(tmp_path)
    ledger.add(batch(of, 0, 1), of)
    assert (ledger.unkept, index.refresh()) == (1, False)

    now_[0] += 1.0
    ledger.tick()

    assert (ledger.unkept, index.refresh()) == (0, True)
    ledger.close()


def test_a_ledger_without_an_index_knows_what_was_there_and_what_it_added(tmp_path: Path) -> None:
    of, other = sequence(), sequence("readers")
    with Ledger.open(tmp_path, index=False) as ledger:
        ledger.add(batch(of, 0, 8), of)
    with Ledger.open(tmp_path, index=False) as ledger:
        ledger.add(batch(of, 8, 16), of)
        ledger.add(batch(other, 0, 1), other)
        assert (list(ledger.covered(of)), list(ledger.covered(other))) == ([(0, 16)], [(0, 1)])
        assert ledger.index().sums().runs == 17

    assert not list((tmp_path / "ledger").glob("*.sqlite*"))


@pytest.mark.parametrize("index", [True, False])
def test_a_segment_that_cannot_be_read_stops_nobody(index: bool, tmp_path: Path) -> None:
    of = sequence()
    (tmp_path / "ledger" / "a.jsonl").mkdir(parents=True)
    with Ledger.open(tmp_path, index=index) as ledger:
        ledger.add(batch(of, 0, 8), of)
        assert list(ledger.covered(of)) == [(0, 8)]
        assert [damage.segment for damage in ledger.index().damage] == ["a.jsonl"]


def test_an_empty_store_has_nothing(tmp_path: Path) -> None:
    index = Index.read_only(tmp_path / "nowhere")

    assert (index.sums().runs, index.lives(), index.campaigns(), index.damage) == (0, [], [], [])
    assert not (tmp_path / "nowhere").exists()
