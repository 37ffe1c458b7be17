"""Pruning a store: what is counted stays the same, whenever it is stopped, and whoever has an old copy."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.search.ledger import prune as prune_
from mmrace.search.ledger.entry import Batch, Beat, Ended, Met, Trial
from mmrace.search.ledger.index import LEDGER, Index
from mmrace.search.ledger.ledger import Ledger
from mmrace.search.ledger.merging import FINDINGS, merge
from mmrace.search.ledger.prune import joined, prune
from mmrace.search.ledger.segment import segments_in
from tests.runs.test_taken import SPEC, keep
from tests.search.ledger.made import WHEN, batch, drawn, sequence, sums
from tests.search.ledger.test_index import said, write


def facts(store: Path) -> dict[str, object]:
    """Return what an index says, but for when within an hour."""
    index = Index.read_only(store)
    told = said(store, index)
    del told["series"], told["lives"]
    told["hours"] = index.series(3600)
    told["hits"] = [(life.signature, life.met.program, life.hits, life.runs, life.rate) for life in index.lives()]
    told["campaigns"] = index.campaigns()
    told["trials"] = index.trials()
    return told


def night(store: Path) -> None:
    """Write what a campaign leaves."""
    of = sequence()
    with Ledger.open(store) as ledger:
        campaign = ledger.begin(when=WHEN)
        for turn in range(100):
            when = WHEN + turn
            ledger.add(batch(of, turn, turn + 1, when=when, campaign=campaign, what=sums(1, classes=(turn % 60,))), of)
            ledger.beat(Beat(campaign, when + 0.5))
        ledger.met(Met("bad", program="writers", campaign=campaign, when=WHEN))
        ledger.trial(Trial(campaign, WHEN + 9, "leak", tried=4))
        ledger.ended(Ended(campaign, WHEN + 101, "PASS"))


def test_what_is_counted_stays_and_the_files_become_one(tmp_path: Path) -> None:
    night(tmp_path)
    for seed in range(3):
        write(tmp_path, drawn(seed))
    before = facts(tmp_path)
    size = sum(path.stat().st_size for path in segments_in(tmp_path / LEDGER))

    pruned = prune(tmp_path, keep=5)

    after = sum(path.stat().st_size for path in segments_in(tmp_path / LEDGER))
    assert facts(tmp_path) == before
    assert said(tmp_path, Index.open(tmp_path)) == said(tmp_path)
    assert (pruned.segments, pruned.left, pruned.freed, pruned.told) == (4, 1, size - after, [])
    assert after < size
    assert prune(tmp_path, keep=5).freed == 0


def test_a_night_takes_a_fraction_of_its_room_afterwards(tmp_path: Path) -> None:
    night(tmp_path)
    size = segments_in(tmp_path / LEDGER)[0].stat().st_size

    prune(tmp_path, keep=5)

    assert segments_in(tmp_path / LEDGER)[0].stat().st_size < size / 5


def test_what_a_campaign_made_itself_stays_though_it_does_not_count(tmp_path: Path) -> None:
    for seed in (1, 1, 2):
        write(tmp_path, drawn(seed))
    index = Index.read_only(tmp_path)
    names = [row.campaign for row in index.campaigns()]
    before = {
        name: {key: (list(covered), total) for key, (covered, total) in index.own(name).items()} for name in names
    }

    for _ in range(2):
        prune(tmp_path, keep=5)
        index = Index.read_only(tmp_path)
        for name in names:
            after = {key: (list(covered), total) for key, (covered, total) in index.own(name).items()}
            assert after == before[name]


def test_an_old_copy_of_what_was_pruned_counts_nothing_twice(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path / "here", drawn(seed))
    merge(tmp_path / "copy", [tmp_path / "here"])
    before = facts(tmp_path / "here")

    prune(tmp_path / "here", keep=5)
    merge(tmp_path / "here", [tmp_path / "copy"])
    assert facts(tmp_path / "here")["sums"] == before["sums"]
    merge(tmp_path / "copy", [tmp_path / "here"])
    assert facts(tmp_path / "copy")["sums"] == before["sums"]


def test_pruning_that_is_stopped_before_the_old_files_go_counts_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        write(tmp_path, drawn(seed))
    before = facts(tmp_path)

    def stopped(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".jsonl":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", stopped)
        with pytest.raises(KeyboardInterrupt):
            prune(tmp_path, keep=5)

    assert len(segments_in(tmp_path / LEDGER)) == 4
    assert facts(tmp_path)["sums"] == before["sums"]
    prune(tmp_path, keep=5)
    assert facts(tmp_path)["sums"] == before["sums"]


def test_a_segment_that_is_written_stays(tmp_path: Path) -> None:
    of = sequence()
    night(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        ledger.add(batch(of, 128, 256), of)
        ledger.flush()
        before = facts(tmp_path)

        pruned = prune(tmp_path, keep=5)

        assert (pruned.segments, pruned.left) == (2, 2)
        assert facts(tmp_path) == before
        ledger.add(batch(of, 256, 512), of)
    assert Index.read_only(tmp_path).sums().runs == 100 + 128 + 256


def test_a_damaged_segment_stays_as_it_is(tmp_path: Path) -> None:
    night(tmp_path)
    path = write(tmp_path, drawn(1))
    content = path.read_bytes().replace(b'"writers"', b'"readers"', 1)
    path.write_bytes(content)
    before = facts(tmp_path)

    pruned = prune(tmp_path, keep=5)

    assert path.read_bytes() == content
    assert path.name in pruned.told[0]
    assert facts(tmp_path)["sums"] == before["sums"]


def test_heartbeats_are_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_, "BEAT_SECONDS", 10.0)
    night(tmp_path)

    prune(tmp_path, keep=5)

    index = Index.read_only(tmp_path)
    assert len(index.beats(index.campaigns()[0].campaign)) == 10


def test_batches_are_joined_within_an_hour_and_a_campaign() -> None:
    of = sequence()
    hour = WHEN // 3600 * 3600

    def made(*rows: tuple[int, int, float, str]) -> list[Batch]:
        return [batch(of, first, stop, when=when, campaign=name) for first, stop, when, name in rows]

    one = made((0, 1, hour, "a"), (1, 2, hour + 1, "a"), (2, 4, hour + 2, "a"), (4, 5, hour + 3, "a"))
    assert list(joined(one)) == [batch(of, 0, 4, when=hour + 2, campaign="a"), one[-1]]
    for apart in (
        made((0, 1, hour, "a"), (1, 2, hour + 3600, "a")),
        made((0, 1, hour, "a"), (1, 2, hour, "b")),
        made((1, 2, hour, "a"), (2, 3, hour, "a")),
        made((0, 1, hour, "a"), (2, 3, hour, "a")),
    ):
        assert list(joined(apart)) == apart


def test_the_newest_findings_stay_and_those_of_a_campaign_that_runs(tmp_path: Path) -> None:
    folders = [keep(tmp_path / FINDINGS, replace(SPEC, program=f"p{number}")) for number in range(5)]
    for number, folder in enumerate(folders):
        for path in folder.iterdir():
            os.utime(path, (WHEN + number, WHEN + number))
    with Ledger.open(tmp_path) as ledger:
        ledger.begin(when=WHEN + 2.5)
        ledger.flush()
        pruned = prune(tmp_path, keep=1)
        assert (pruned.findings, pruned.kept) == (3, 2)
    assert [folder.exists() for folder in folders] == [False, False, False, True, True]

    pruned = prune(tmp_path, keep=1)

    assert (pruned.findings, pruned.kept) == (1, 1)
    assert [path.name for path in (tmp_path / FINDINGS).iterdir()] == [folders[-1].name]


def test_what_is_no_store_is_not_pruned(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--store"):
        prune(tmp_path, keep=1)


def test_the_first_time_that_a_finding_was_met_stays_whatever_its_segment_is_called(tmp_path: Path) -> None:
    for name, when, campaign in (("b", 100.0, "first"), ("a", 200.0, "second")):
        with Ledger.open(tmp_path) as ledger:
            ledger.met(Met("s", "content", "went back", campaign, program="writers", campaign=campaign, when=when))
        (fresh,) = (path for path in segments_in(tmp_path / LEDGER) if len(path.stem) > 1)
        fresh.rename(fresh.with_name(f"{name}.jsonl"))
    prune(tmp_path, 0)
    index = Index.read_only(tmp_path)
    (life,) = index.lives()
    assert (life.met.campaign, life.met.when) == ("first", 100.0)
    index.close()
