"""The judges of a file, of the second file too: one on a disk of its own, empty at first, without a journal."""

from __future__ import annotations

import pytest

from mmrace.oracles.protocol import back_out, content, dirty, durability, errno, names
from mmrace.runtime.kinds import Kind
from mmrace.scenarios import crash
from tests.oracles.hand import Hand, at_rest, page, rest, slot
from tests.oracles.verdicts import caught, passed, unknown

LAYOUT = (("inodes", 0, 4), ("log", 4, 40), (1, 44, 2), (2, 46, 2))
DATA = 46
"""The copy's first block: the second disk's, which are numbered on from the first disk's last."""


def _run(**params: object) -> Hand:
    hand = Hand("copier", "writer", "reader", "migrator", "io", "io-2")
    hand.params = {"data": "ordered", **params}
    return hand.note("main", "layout", *LAYOUT).note("main", "formatted", 1000, 1000).note("main", "stick", "vfat", 2)


def _written(hand: Hand, version: int = 7) -> Hand:
    """Write both blocks of the copy by one write(2)."""
    for kind in ("write-begin", "write-end"):
        for block in range(2):
            hand.note("copier", kind, 2, block, version)
    return hand


def _io(hand: Hand, *words: int, error: int = 0, ended: bool = True) -> Hand:
    """Write page:0, both blocks of the copy, as a whole."""
    hand.note("copier", "io-begin", "write", DATA, 2, "page:0")
    for i, word in enumerate(words):
        hand.op("io", Kind.WRITE, f"disk:{DATA + i // 2}.words", 1000 * (DATA + i // 2 + 1), word, sub=f"[{i % 2}]")
    return hand.note("io", "io-end", "write", DATA, error, 2) if ended else hand


def _fsync(hand: Hand, rc: int = 0) -> Hand:
    return hand.note("copier", "fsync-begin", 2).note("copier", "fsync-end", 2, rc)


# -- content ----------


def _ends(hand: Hand, *blocks: tuple[int, int]) -> Hand:
    snap = rest([], disk={}, mappings=[{"name": "mapping:2", "ino": 2, "slots": [], "nrpages": 0}])
    return at_rest(hand, snap | {"disk": {"2": {str(i): list(words) for i, words in enumerate(blocks)}}})


def _read(hand: Hand, *values: int) -> Hand:
    return hand.note("reader", "read-begin", 2, 0).note("reader", "read-end", 2, 0, values)


def test_content_oracle_lets_the_copy_end_before_its_first_block_until_that_is_written() -> None:
    passed(content.judge(_ends(_read(_run()), (47000, 47000), (48000, 48000)).record()))
    passed(content.judge(_ends(_read(_written(_run()), 7, 7), (7, 7), (7, 7)).record()))
    caught(content.judge(_ends(_read(_written(_run())), (7, 7), (7, 7)).record()), "stale")
    caught(content.judge(_ends(_read(_run(), 47000, 47000)).record()), "never written")


def test_content_oracle_wants_the_copy_on_its_disk_after_sync() -> None:
    caught(content.judge(_ends(_written(_run()), (7, 7), (48000, 48000)).record()), "never written after sync")
    old = _written(_written(_run(), 6))
    caught(content.judge(_ends(old, (7, 7), (6, 6)).record()), "stale after sync")


@pytest.mark.parametrize("mark", [names.WRITE_ERROR, names.PAGE_WRITE_ERROR])
def test_content_oracle_excuses_what_a_failed_write_lost(mark: str) -> None:
    hand = _ends(_written(_run()), (7, 7), (48000, 48000))
    hand.marks[mark] = 1
    passed(content.judge(hand.record()))


def test_content_oracle_excuses_a_new_block_that_shows_what_was_there_before_once_a_write_failed() -> None:
    hand = _ends(_read(_written(_run()), 47000, 47000), (7, 7), (7, 7))
    caught(content.judge(hand.record()), "never written")
    hand.marks[names.PAGE_WRITE_ERROR] = 1
    passed(content.judge(hand.record()))
    other = _ends(_read(_written(_run()), 48000, 48000), (7, 7), (7, 7))
    other.marks[names.PAGE_WRITE_ERROR] = 1
    caught(content.judge(other.record()), "never written")


def test_content_oracle_has_no_excuse_for_the_copy_in_an_aborted_journal() -> None:
    hand = _ends(_written(_written(_run(), 6)), (6, 6), (7, 7))
    hand.marks[names.NO_HANDLE] = 1
    caught(content.judge(hand.record()), "stale after sync")


# -- durability, crash ----------


def test_durability_oracle_holds_fsync_of_the_copy_to_its_promise() -> None:
    passed(durability.judge(_fsync(_io(_written(_run()), 7, 7, 7, 7)).record()))
    caught(durability.judge(_fsync(_io(_written(_run()), 7, 7, 7)).record()), "fsync before the medium")
    unknown(durability.judge(_fsync(_io(_written(_run()), error=-5), rc=-5).record()))


def test_durability_oracle_asks_only_files_with_a_journal_to_file_data_and_to_change_inodes() -> None:
    passed(durability.judge(_fsync(_io(_written(_run(metadata=1)), 7, 7, 7, 7)).record()))
    hand = _run().note("writer", "write-begin", 1, 0, 7).note("writer", "write-end", 1, 0, 7)
    caught(durability.judge(hand.record()), "ordered data not filed")


def test_crash_oracle_finds_what_fsync_of_the_copy_promised() -> None:
    passed(crash.judge(_fsync(_io(_written(_run()), 7, 7, 7, 7)).record()))
    hand = _fsync(_io(_written(_run()), 7, 7, 7, 7, ended=False))
    finding = caught(
        crash.judge(hand.note("io", "io-end", "write", DATA, 0, 2).record()), "promised by fsync, and lost"
    )
    assert "inode 2" in finding.title


def test_crash_oracle_may_lose_either_block_of_a_page_that_is_written_as_a_whole() -> None:
    """Nothing was promised of the write that is in flight; of the one before either block may be what is there."""
    hand = _fsync(_io(_written(_run(), 6), 6, 6, 6, 6))
    passed(crash.judge(_io(_written(hand), 7, 7, 7, 7).record()))


# -- what a migration leaves, calls, dirt ----------


def _refused(reason: str, rc: str) -> Hand:
    hand = _run().write("copier", "page:0.mapping", "mapping:2")
    hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC").lock("migrator", "page:0")
    hand.op("migrator", Kind.TEST_AND_CLEAR, "page:0.flags", True, sub="PG_error").unlock("migrator", "page:0")
    return hand.note("migrator", "migrate-end", "page:0", "page:1", "MIGRATE_SYNC", rc, reason)


def test_back_out_oracle_wants_a_dirty_page_of_the_copy_left_alone_unless_it_was_written() -> None:
    caught(back_out.judge(_refused("dirty", "-EBUSY").record()), "refused page changed")
    assert not back_out.judge(_refused("writeout", "-EAGAIN").record()).findings


def test_errno_oracle_lets_the_copy_go_on_in_an_aborted_journal() -> None:
    for ino, judged in ((2, True), (1, False)):
        hand = _run().note("io", "io-end", "write", 5, -5).note("writer", "journal-abort", -5)
        hand.note("copier", "fsync-begin", ino).note("copier", "fsync-end", ino, 0)
        if judged:
            passed(errno.judge(hand.record()))
        else:
            caught(errno.judge(hand.record()), "success in an aborted journal")


def test_errno_oracle_catches_a_failure_of_a_whole_page_out_of_nothing() -> None:
    hand = _fsync(_run())
    hand.marks[names.PAGE_WRITE_ERROR] = 1
    caught(errno.judge(hand.record()), "failure out of nothing")


def test_dirty_oracle_wants_the_copy_clean_after_sync_though_the_journal_was_aborted() -> None:
    for ino in (2, 5):
        dirtied = page("page:0", mapping=f"mapping:{ino}", flags=["PG_uptodate", "PG_dirty"])
        mapping = {"name": f"mapping:{ino}", "ino": ino, "slots": [slot(0, "page:0", "DIRTY")], "nrpages": 1}
        counters = {"NR_FILE_DIRTY": 1, "NR_WRITEBACK": 0, "NR_ISOLATED": 0}
        hand = at_rest(_run(), rest([dirtied], mappings=[mapping], counters=counters))
        hand.marks[names.NO_HANDLE] = 1
        if ino == 2:
            caught(dirty.judge(hand.record()), "dirty after sync")
        else:
            passed(dirty.judge(hand.record()))
