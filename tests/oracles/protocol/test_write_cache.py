"""Durability and crashes on a disk with a volatile cache: what no flush has brought to the medium does not last."""

from __future__ import annotations

import pytest

from mmrace.kernel.block import device
from mmrace.kernel.jbd import jbd
from mmrace.oracles.general.judgement import Judgement
from mmrace.oracles.protocol import crash, durability
from mmrace.oracles.protocol.cache import WriteCache
from tests.oracles.protocol.planted import findings, rules
from tests.oracles.protocol.test_crash import DATA, HOME, SUPERBLOCK, Disk
from tests.oracles.verdicts import caught, passed


def _disk(*regions: tuple[str, int, int]) -> Disk:
    disk = Disk(*regions)
    disk.note("main", "write-cache")
    return disk


def _flush(disk: Disk, task: str = "fsync") -> Disk:
    disk.note(task, "disk-flush").note(task, "disk-flushed")
    return disk


def _written(disk: Disk) -> Disk:
    disk.note("writer", "write-begin", 1, 0, 7).note("writer", "write-end", 1, 0, 7)
    disk.note("fsync", "fsync-begin", 1)
    return disk.io(DATA, 7, 7)


def _returns(disk: Disk) -> Disk:
    disk.note("fsync", "fsync-end", 1, 0)
    return disk


def _commits(disk: Disk, *, flushes: bool) -> Disk:
    words = disk.own(6, jbd.JFS_COMMIT_BLOCK, 1)
    disk.note("committer", "io-begin", "write", 6, *(["flush-fua"] if flushes else []))
    return disk.land(6, *words)


def _judged(disk: Disk) -> tuple[Judgement, Judgement]:
    return durability.judge(disk.record()), disk.judged()


def test_a_flush_covers_what_had_ended_when_it_began() -> None:
    cache: WriteCache[str] = WriteCache()
    assert cache.ended("before") == ["before"]  # there is none
    cache.volatile = True
    assert not cache.ended("one")
    assert cache.flush_began("flusher") == ["one"]
    assert not cache.ended("two")
    assert cache.flush_ended("flusher") == ["one"]
    assert cache.flush_began("commit block") == ["two"]
    assert not cache.ended("three")
    assert cache.ended("commit block", "commit block") == ["two", "commit block"]
    assert cache.held == ["three"]


def test_an_fsync_that_flushes_passes() -> None:
    for judgement in _judged(_returns(_flush(_written(_disk())))):
        passed(judgement)


def test_an_fsync_that_leaves_its_data_in_the_cache_is_caught() -> None:
    by_durability, by_crash = _judged(_returns(_written(_disk())))
    caught(by_durability, "fsync before the medium")
    caught(by_crash, crash.PROMISED)


def test_a_flush_that_began_before_the_data_had_ended_is_not_enough() -> None:
    disk = _disk()
    disk.note("writer", "write-begin", 1, 0, 7).note("writer", "write-end", 1, 0, 7)
    disk.note("fsync", "fsync-begin", 1).note("fsync", "io-begin", "write", DATA).note("fsync", "disk-flush")
    disk.land(DATA, 7, 7).note("fsync", "disk-flushed")
    by_durability, by_crash = _judged(_returns(disk))
    caught(by_durability, "fsync before the medium")
    caught(by_crash, crash.PROMISED)


def test_a_commit_block_that_flushes_first_passes() -> None:
    for judgement in _judged(_commits(_disk().change(1, 7).logs(4, 1, 7), flushes=True)):
        passed(judgement)


def test_a_commit_block_that_the_cache_may_write_before_the_log_is_caught() -> None:
    by_durability, by_crash = _judged(_commits(_disk().change(1, 7).logs(4, 1, 7), flushes=False))
    caught(by_durability, "commit block before its log")
    finding = caught(by_crash, "committed, and lost")
    assert finding.facts["landed"] == [4, 6] or finding.facts["landed"] == [6]


def test_a_tail_that_moves_while_the_home_write_is_in_the_cache_is_caught() -> None:
    disk = _commits(_disk(("superblock", SUPERBLOCK, 1)).change(1, 7).logs(4, 1, 7), flushes=True).io(HOME, 7, 7)
    tail = jbd.JFS_MAGIC_NUMBER, jbd.log_header(jbd.JFS_SUPERBLOCK_V2, 2, ((7, 0),))
    flushed = _flush(
        _commits(_disk(("superblock", SUPERBLOCK, 1)).change(1, 7).logs(4, 1, 7), flushes=True).io(HOME, 7, 7)
    )
    passed(flushed.io(SUPERBLOCK, *tail).judged())
    caught(disk.io(SUPERBLOCK, *tail).judged(), crash.GIVEN_UP)


# -- planted bugs ----------------------------------------------------------------------------------------------------

CACHE = {"cache": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bind", "rule"),
    [
        ("fsync-commits", {"block.device:WRITE_FLUSH_FUA": device.WRITE_SYNC}, "committed, and lost"),
        ("migrate-vs-writeback", {"block.device:blkdev_issue_flush": lambda bdev: 0}, crash.PROMISED),
        (
            "migrate-vs-writeback",
            {"jbd.journal:journal_trans_will_send_data_barrier": lambda journal, tid: True},
            crash.PROMISED,
        ),
    ],
    ids=["commit block without a flush", "fsync without a flush", "fsync trusts a commit that is over"],
)
def test_a_flush_that_is_left_out_is_caught_by_both_judges(scenario: str, bind: dict[str, object], rule: str) -> None:
    assert not findings(scenario, {}, CACHE, seeds=12)
    assert not findings(scenario, bind, {}, seeds=4)  # type: ignore[arg-type]  # without a cache it is nothing
    found = rules(findings(scenario, bind, CACHE, seeds=12))  # type: ignore[arg-type]
    assert {oracle for oracle, _ in found} == {crash.NAME, durability.NAME}
    assert found[crash.NAME, rule] >= 3
