"""The content oracle on histories of one or two blocks."""

from __future__ import annotations

import pytest

from mmrace.installed import run_one
from mmrace.oracles.protocol import content, names
from mmrace.runs.spec import RunSpec
from tests.oracles.hand import Hand, at_rest, buffer, page, rest, slot
from tests.oracles.verdicts import caught, passed, unknown


def _written(*versions: int) -> Hand:
    """Writes of block 0 of inode 5, one after the other, all acknowledged."""
    hand = Hand("writer", "other", "reader")
    for version in versions:
        hand.note("writer", "write-begin", 5, 0, version).note("writer", "write-end", 5, 0, version)
    return hand


def _read(hand: Hand, *values: int) -> Hand:
    return hand.note("reader", "read-begin", 5, 0).note("reader", "read-end", 5, 0, values)


def _end(hand: Hand, *words: int) -> Hand:
    """End with block 0 as `words` on the disk and block 1 untouched; no page in the cache."""
    return at_rest(hand, rest([], disk={"0": list(words), "1": [0, 0]}))


def test_content_oracle_passes_on_the_last_write() -> None:
    passed(content.judge(_end(_read(_written(1, 2), 2, 2), 2, 2).record()))


def test_content_oracle_passes_on_a_block_that_nobody_wrote() -> None:
    passed(content.judge(_end(_read(_written(), 0, 0), 0, 0).record()))


def test_content_oracle_catches_a_version_that_nobody_wrote() -> None:
    finding = caught(content.judge(_end(_read(_written(1), 9, 9), 1, 1).record()), "never written")
    assert finding.facts["shown"] == [9, 9]
    assert finding.facts["newest"] == [1]


def _formatted() -> Hand:
    """Blocks 0 and 1 of inode 5 are blocks 4 and 5 of the disk; block n of it holds (n + 1) * 1000 at first."""
    hand = Hand("writer", "other", "reader")
    return hand.note("main", "layout", ("inodes", 0, 4), (5, 4, 2)).note("main", "formatted", 1000, 1000)


def test_content_oracle_passes_on_what_a_block_held_at_first() -> None:
    snap = rest([], disk={"0": [5000, 5000], "1": [6000, 6000]})
    passed(content.judge(at_rest(_read(_formatted(), 5000, 5000), snap).record()))


def test_content_oracle_catches_what_another_block_held_at_first() -> None:
    snap = rest([], disk={"0": [5000, 5000], "1": [5000, 5000]})
    finding = caught(content.judge(at_rest(_formatted(), snap).record()), "never written after sync")
    assert (finding.facts["block"], finding.facts["newest"]) == (1, [6000])


def test_content_oracle_catches_a_first_version_after_a_write() -> None:
    hand = _formatted().note("writer", "write-begin", 5, 0, 1).note("writer", "write-end", 5, 0, 1)
    caught(content.judge(at_rest(hand, rest([])).record()), "stale after sync")


def test_content_oracle_names_garbage() -> None:
    hand = _end(_read(_written(1), 1, -77), 1, 1)
    hand.marks[names.WRITE_ERROR] = 1
    finding = caught(content.judge(hand.record()), "garbage")
    assert "version -77 (what a frame held when it was allocated)" in finding.title


def test_content_oracle_catches_a_version_from_the_future() -> None:
    hand = _read(_written(1), 2, 2)
    hand.note("writer", "write-begin", 5, 0, 2).note("writer", "write-end", 5, 0, 2)
    caught(content.judge(_end(hand, 2, 2).record()), "never written")


def test_content_oracle_catches_a_stale_read() -> None:
    finding = caught(content.judge(_end(_read(_written(1, 2), 1, 1), 2, 2).record()), "stale")
    assert finding.facts["seen_by"] == "reader"


def test_content_oracle_catches_one_stale_word() -> None:
    caught(content.judge(_end(_read(_written(1, 2), 2, 1), 2, 2).record()), "stale")


def test_content_oracle_catches_the_initial_content_after_a_write() -> None:
    caught(content.judge(_end(_read(_written(1), 0, 0), 1, 1).record()), "stale")


def test_content_oracle_passes_on_a_mixed_read_during_a_write() -> None:
    hand = _written(1)
    hand.note("reader", "read-begin", 5, 0).note("writer", "write-begin", 5, 0, 2)
    hand.note("reader", "read-end", 5, 0, (2, 1)).note("writer", "write-end", 5, 0, 2)
    passed(content.judge(_end(hand, 2, 2).record()))


def test_content_oracle_passes_on_an_old_read_of_a_write_that_is_not_acknowledged() -> None:
    hand = _written(1)
    hand.note("writer", "write-begin", 5, 0, 2)
    _read(hand, 1, 1).note("writer", "write-end", 5, 0, 2)
    passed(content.judge(_end(hand, 2, 2).record()))


def test_content_oracle_catches_a_torn_read() -> None:
    """Two writes overlapped each other, then a quiet read shows a piece of each."""
    hand = _written()
    hand.note("writer", "write-begin", 5, 0, 1).note("other", "write-begin", 5, 0, 2)
    hand.note("writer", "write-end", 5, 0, 1).note("other", "write-end", 5, 0, 2)
    caught(content.judge(_end(_read(hand, 1, 2), 2, 2).record()), "torn")


def test_content_oracle_passes_on_either_order_of_overlapping_writes() -> None:
    for last in (1, 2):
        hand = _written()
        hand.note("writer", "write-begin", 5, 0, 1).note("other", "write-begin", 5, 0, 2)
        hand.note("writer", "write-end", 5, 0, 1).note("other", "write-end", 5, 0, 2)
        passed(content.judge(_end(_read(hand, last, last), last, last).record()))


def test_content_oracle_keeps_blocks_and_inodes_apart() -> None:
    hand = _written(1)
    hand.note("writer", "write-begin", 6, 0, 2).note("writer", "write-end", 6, 0, 2)
    hand.note("writer", "write-begin", 5, 1, 3).note("writer", "write-end", 5, 1, 3)
    disk = {"5": {"0": [1, 1], "1": [3, 3]}, "6": {"0": [2, 2]}}
    at_rest(_read(hand, 1, 1), rest([]) | {"disk": disk})
    passed(content.judge(hand.record()))


def test_content_oracle_ignores_a_read_that_failed() -> None:
    hand = _written(1).note("reader", "read-begin", 5, 0)
    passed(content.judge(_end(_read(hand, 1, 1), 1, 1).record()))


def test_content_oracle_catches_a_lost_write_on_the_disk() -> None:
    finding = caught(content.judge(_end(_written(1, 2), 1, 1).record()), "stale after sync")
    assert finding.facts["seen_by"] == "disk"


def test_content_oracle_catches_a_write_that_never_reached_the_disk() -> None:
    """A block that no transfer touched is not listed; it holds version 0."""
    finding = caught(content.judge(at_rest(_written(1), rest([])).record()), "stale after sync")
    assert finding.facts["shown"] == [0]


def test_content_oracle_judges_the_page_cache_of_a_disk_that_nothing_was_written_to() -> None:
    rings = [buffer("bh:1", next="bh:2"), buffer("bh:2", next="bh:1")]
    snap = rest([page("page:0", words=[0, 0, 0, 9])], buffers=rings) | {"disk": {}}
    finding = caught(content.judge(at_rest(_written(), snap).record()), "never written after sync")
    assert finding.facts["block"] == 1


def test_content_oracle_catches_a_torn_block_on_the_disk() -> None:
    hand = _written()
    hand.note("writer", "write-begin", 5, 0, 1).note("other", "write-begin", 5, 0, 2)
    hand.note("writer", "write-end", 5, 0, 1).note("other", "write-end", 5, 0, 2)
    caught(content.judge(_end(hand, 1, 2).record()), "torn after sync")


def test_content_oracle_catches_a_stale_page_after_sync() -> None:
    """The second block of the page at index 1 is block 3 of the file."""
    hand = Hand("writer")
    hand.note("writer", "write-begin", 5, 3, 1).note("writer", "write-end", 5, 3, 1)
    disk = {"0": [0, 0], "1": [0, 0], "2": [0, 0], "3": [1, 1]}
    snap = rest([page("page:0", index=1, words=[0, 0, 0, 1])], [slot(0, None), slot(1, "page:0")], disk=disk)
    finding = caught(content.judge(at_rest(hand, snap).record()), "stale after sync")
    assert (finding.facts["seen_by"], finding.facts["block"]) == ("page cache", 3)


def test_content_oracle_does_not_judge_a_page_that_is_not_uptodate() -> None:
    snap = rest([page("page:0", flags=[], words=[8, 9])], disk={"0": [1, 1]})
    passed(content.judge(at_rest(_written(1), snap).record()))


def _torn_on_disk() -> Hand:
    """Two writes that overlapped each other, and a piece of each on the disk."""
    hand = _written()
    hand.note("writer", "write-begin", 5, 0, 1).note("other", "write-begin", 5, 0, 2)
    hand.note("writer", "write-end", 5, 0, 1).note("other", "write-end", 5, 0, 2)
    return _end(hand, 1, 2)


def test_content_oracle_excuses_a_torn_block_after_a_failed_write() -> None:
    hand = _torn_on_disk()
    hand.marks[names.WRITE_ERROR] = 1
    passed(content.judge(hand.record()))
    caught(content.judge(_torn_on_disk().record()), "torn after sync")


def test_content_oracle_excuses_a_torn_read_after_a_failed_write() -> None:
    """The page was read again from a block whose last transfer failed."""
    hand = _read(_torn_on_disk(), 1, 2)
    assert [finding.rule for finding in content.judge(hand.record()).findings] == ["torn", "torn after sync"]
    hand.marks[names.WRITE_ERROR] = 1
    passed(content.judge(hand.record()))


def test_content_oracle_catches_what_nobody_wrote_in_spite_of_a_failed_write() -> None:
    hand = _end(_read(_written(1), 9, 1), 1, 1)
    hand.marks[names.WRITE_ERROR] = 1
    caught(content.judge(hand.record()), "never written")


def test_a_block_whose_last_transfer_failed_may_stay_torn_in_a_run() -> None:
    """A commit wrote the block while a write(2) changed it; the write that should have mended that was made to fail."""
    spec = RunSpec(
        "async-vs-commit",
        (("errors", 1), ("idle", 10), ("without", "migrator")),
        engine="fiber",
        strategy="surw",
        seed=9,
    )
    result = run_one(spec, keep_record=True)
    assert result.record is not None and result.record.marks[names.WRITE_ERROR]
    assert (result.verdict, result.findings) == ("PASS", [])
    blocks = [words for blocks in result.record.final["synced"]["disk"].values() for words in blocks.values()]
    assert any(len(set(words)) > 1 for words in blocks)


def test_a_content_finding_names_step_task_and_both_sides() -> None:
    finding = caught(content.judge(_end(_read(_written(1, 2), 1, 1), 2, 2).record()), "stale")
    assert finding.title == (
        "reader's read of block 0 of inode 5 shows version 1 (writer, steps 0 to 1) in word 0, at step 5: stale; "
        "expected version 2 (writer, steps 2 to 3)"
    )
    assert (finding.facts["step"], finding.facts["task"]) == (5, "reader")
    assert finding.facts["shown_from"] == ["version 1 (writer, steps 0 to 1)"]
    assert finding.facts["newest_from"] == ["version 2 (writer, steps 2 to 3)"]


def test_a_content_finding_at_rest_names_the_step_of_the_snapshot() -> None:
    hand = _torn_on_disk()
    hand.note("main", "snapshot", "synced")
    finding = caught(content.judge(hand.record()), "torn after sync")
    assert finding.title == (
        "disk after sync: block 0 of inode 5 shows version 1 (writer, steps 0 to 2) and version 2 (other, steps 1 to "
        "3), at step 4: torn; expected version 1 (writer, steps 0 to 2) or version 2 (other, steps 1 to 3), in every "
        "word"
    )
    assert (finding.facts["step"], finding.facts["task"]) == (4, "main")


def test_content_oracle_excuses_old_data_after_a_failed_write() -> None:
    hand = _end(_read(_written(1, 2), 1, 1), 1, 1)
    hand.marks[names.WRITE_ERROR] = 1
    passed(content.judge(hand.record()))


def test_content_oracle_does_not_know_of_a_record_without_reads_and_disk() -> None:
    unknown(content.judge(at_rest(_written(), rest([])).record()))


def test_content_oracle_does_not_know_of_a_run_that_was_cut() -> None:
    hand = _read(_written(1), 1, 1)
    hand.end = {"how": "deadlock", "detail": {}}
    assert "deadlock" in unknown(content.judge(hand.record()))


# -- truncation --------------------------------------------------------------------------------------------------


def _truncated(hand: Hand, end: int = 0) -> Hand:
    return hand.note("other", "truncate-begin", 5, end).note("other", "truncate-end", 5, end, 0)


def _write(hand: Hand, version: int) -> Hand:
    return hand.note("writer", "write-begin", 5, 0, version).note("writer", "write-end", 5, 0, version)


@pytest.mark.parametrize("read", [(), (0, 0)], ids=["end of file", "hole"])
def test_content_oracle_passes_on_a_truncated_block_that_is_gone_though_the_disk_keeps_it(
    read: tuple[int, ...],
) -> None:
    snap = rest([], disk={"0": [1, 1], "1": [6000, 6000]})
    passed(content.judge(at_rest(_read(_truncated(_write(_formatted(), 1)), *read), snap).record()))


def test_content_oracle_catches_a_truncated_block_that_comes_back() -> None:
    hand = _read(_truncated(_write(_formatted(), 1)), 1, 1)
    finding = caught(content.judge(at_rest(hand, rest([])).record()), "stale")
    assert finding.facts["newest"] == [0] and "version 0 (other, steps" in finding.title


def test_content_oracle_passes_on_what_a_read_that_overlaps_a_truncation_may_show() -> None:
    for shown in ((), (1, 1), (0, 0), (1, 0)):
        hand = _write(_formatted(), 1).note("reader", "read-begin", 5, 0)
        hand = _truncated(hand).note("reader", "read-end", 5, 0, shown)
        passed(content.judge(at_rest(hand, rest([])).record()))


@pytest.mark.parametrize("read", [(), (1, 1), (0, 0)], ids=["end of file", "older", "hole"])
def test_content_oracle_catches_a_write_after_a_truncation_that_is_lost(read: tuple[int, ...]) -> None:
    hand = _read(_write(_truncated(_write(_formatted(), 1)), 2), *read)
    snap = rest([], disk={"0": [2, 2], "1": [6000, 6000]})
    caught(content.judge(at_rest(hand, snap).record()), "stale")


def test_content_oracle_catches_a_write_after_a_truncation_that_never_came_to_the_disk() -> None:
    snap = rest([], disk={"0": [1, 1], "1": [6000, 6000]})
    caught(content.judge(at_rest(_write(_truncated(_write(_formatted(), 1)), 2), snap).record()), "stale after sync")


def test_content_oracle_catches_a_file_that_ends_though_nobody_truncated_it() -> None:
    snap = rest([], disk={"0": [5000, 5000], "1": [6000, 6000]})
    caught(content.judge(at_rest(_read(_formatted()), snap).record()), "never written")


def test_content_oracle_asks_of_a_truncation_only_what_lies_beyond_its_end() -> None:
    snap = rest([], disk={"0": [1, 1], "1": [9, 9]})
    passed(content.judge(at_rest(_read(_truncated(_write(_formatted(), 1), 1), 1, 1), snap).record()))


# -- a journal that was aborted -----------------------------------------------------------------------------------


def test_content_oracle_loses_nothing_by_a_failed_write_of_the_log() -> None:
    lost = rest([], disk={"0": [5000, 5000], "1": [6000, 6000]})
    for blocknr, seen in ((2, True), (4, False)):
        hand = Hand("writer", "other", "reader").note("main", "layout", ("log", 0, 4), (5, 4, 2))
        hand = _write(hand.note("main", "formatted", 1000, 1000), 1).note("other", "io-end", "write", blocknr, -5)
        hand.marks[names.WRITE_ERROR] = 1
        judgement = content.judge(at_rest(hand, lost).record())
        if seen:
            caught(judgement, "stale after sync")
        else:
            passed(judgement)


def test_content_oracle_wants_no_more_on_the_disk_than_an_aborted_journal_lets_through() -> None:
    lost = rest([], disk={"0": [5000, 5000], "1": [6000, 6000]})
    hand = _write(_formatted(), 1)
    hand.marks[names.NO_HANDLE] = 1
    passed(content.judge(at_rest(hand, lost).record()))
    hand = _read(_write(_formatted(), 1), 5000, 5000)
    hand.marks[names.NO_HANDLE] = 1
    caught(content.judge(at_rest(hand, lost).record()), "stale")


@pytest.mark.parametrize("shown", [5000, 5001], ids=["what it held at first", "what it never held"])
def test_content_oracle_lets_a_block_that_a_hole_was_given_stay_as_it_was_in_an_aborted_journal(shown: int) -> None:
    hand = _write(_formatted().note("main", "holes", 5, 0, 0, 1), 1)
    hand.marks[names.NO_HANDLE] = 1
    judgement = content.judge(at_rest(hand, rest([], disk={"0": [shown, shown], "1": [6000, 6000]})).record())
    if shown == 5000:
        passed(judgement)
    else:
        caught(judgement, "never written after sync")
