"""Recovery on logs made by hand, and on what the device holds after real runs, whole or cut off at any write."""

from __future__ import annotations

import pytest

from mmrace.kernel.jbd import jbd, recovery, transaction
from mmrace.kernel.jbd.recovery import LogArea
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from tests.kernel.jbd.bench import Bench, Outcome, run
from tests.kernel.jbd.test_commit import change

LOG = LogArea(10, 20)
DESCRIPTOR, COMMIT, REVOKE = jbd.JFS_DESCRIPTOR_BLOCK, jbd.JFS_COMMIT_BLOCK, jbd.JFS_REVOKE_BLOCK
Words = tuple[int, ...]


def own(blocktype: int, tid: int, *homes: int, flags: int = 0) -> Words:
    """Return a block that the journal writes for itself."""
    return jbd.JFS_MAGIC_NUMBER, jbd.log_header(blocktype, tid, tuple((home, flags) for home in homes))


def logged(*blocks: Words, at: int = 10) -> dict[int, Words]:
    """Return a device whose log holds these blocks from `at` on, round its end."""
    return {LOG.first + (at - LOG.first + i) % (LOG.last - LOG.first): words for i, words in enumerate(blocks)}


def one(tid: int, home: int, value: int) -> tuple[Words, Words, Words]:
    """Return the log of a transaction with one block."""
    return own(DESCRIPTOR, tid, home), (value, value), own(COMMIT, tid)


def test_empty_log_changes_nothing() -> None:
    image = {0: (3, 3)}
    blocks, info = recovery.journal_recover(image, LOG)
    assert blocks == image
    assert (info.start_transaction, info.end_transaction, info.nr_replays) == (1, 1, 0)


def test_newest_committed_copy_of_a_block_goes_home_and_the_device_is_left_as_it_was() -> None:
    image = logged(*one(1, 0, 7), *one(2, 0, 8), *one(3, 1, 9))
    before = dict(image)
    blocks, info = recovery.journal_recover(image, LOG)
    assert (blocks[0], blocks[1]) == ((8, 8), (9, 9))
    assert info.homes == {0: 2, 1: 3}
    assert info.end_transaction == 4
    assert image == before


@pytest.mark.parametrize("kept", range(6))
def test_transaction_without_its_commit_block_is_not_replayed(kept: int) -> None:
    image = logged(*(*one(1, 0, 7), *one(2, 0, 8))[:kept])
    blocks, info = recovery.journal_recover({**image, 0: (1, 1)}, LOG)
    assert blocks[0] == ((7, 7) if kept >= 3 else (1, 1))
    assert info.end_transaction == (2 if kept >= 3 else 1)


def test_log_ends_at_a_block_of_another_round() -> None:
    blocks, _ = recovery.journal_recover(logged(*one(1, 0, 7), *one(9, 0, 8)), LOG)
    assert blocks[0] == (7, 7)


def test_several_descriptors_of_one_transaction_are_replayed() -> None:
    image = logged(own(DESCRIPTOR, 1, 0, 1), (5, 5), (6, 6), own(DESCRIPTOR, 1, 2), (7, 7), own(COMMIT, 1))
    blocks, info = recovery.journal_recover(image, LOG)
    assert [blocks[home] for home in range(3)] == [(5, 5), (6, 6), (7, 7)]
    assert info.nr_replays == 3


def test_escaped_copy_gets_its_magic_back() -> None:
    image = logged(own(DESCRIPTOR, 1, 0, flags=jbd.JFS_FLAG_ESCAPE), (0, 5), own(COMMIT, 1))
    blocks, _ = recovery.journal_recover(image, LOG)
    assert blocks[0] == (jbd.JFS_MAGIC_NUMBER, 5)


@pytest.mark.parametrize(
    ("revoked_by", "shown"), [(0, (7, 7)), (1, (3, 3)), (2, (3, 3))], ids=["never", "the same", "a later one"]
)
def test_block_that_was_revoked_at_its_sequence_or_a_later_one_is_not_replayed(revoked_by: int, shown: Words) -> None:
    revoke = [own(REVOKE, tid, 0) if tid == revoked_by else own(REVOKE, tid) for tid in (1, 2)]
    image = logged(revoke[0], *one(1, 0, 7), revoke[1], *one(2, 1, 8))
    blocks, info = recovery.journal_recover({**image, 0: (3, 3)}, LOG)
    assert (blocks[0], blocks[1]) == (shown, (8, 8))
    assert info.nr_revoke_hits == (revoked_by > 0)


def test_block_that_is_used_again_after_its_revocation_is_replayed() -> None:
    image = logged(*one(1, 0, 7), own(REVOKE, 2, 0), own(COMMIT, 2), *one(3, 0, 9))
    blocks, info = recovery.journal_recover(image, LOG)
    assert blocks[0] == (9, 9)
    assert info.nr_revoke_hits == 1


def test_revocation_by_a_transaction_without_commit_block_counts_for_nothing() -> None:
    blocks, _ = recovery.journal_recover(logged(*one(1, 0, 7), own(REVOKE, 2, 0)), LOG)
    assert blocks[0] == (7, 7)


def test_superblock_says_where_the_log_begins_and_its_end_is_no_end() -> None:
    log = LogArea(10, 20, superblock=9)
    tail = own(jbd.JFS_SUPERBLOCK_V2, 5, 18)
    image = logged(*one(4, 0, 6), at=15) | logged(*one(5, 0, 7), *one(6, 0, 8), at=18) | {9: tail}
    blocks, info = recovery.journal_recover(image, log)
    assert blocks[0] == (8, 8)
    assert (info.start_transaction, info.end_transaction) == (5, 7)


@pytest.mark.parametrize("superblock", [own(jbd.JFS_SUPERBLOCK_V2, 5, 0), (0, 0)], ids=["clean", "none"])
def test_clean_log_is_not_replayed(superblock: Words) -> None:
    blocks, info = recovery.journal_recover(logged(*one(1, 0, 7)) | {9: superblock}, LogArea(10, 20, superblock=9))
    assert 0 not in blocks
    assert info.nr_replays == 0


def test_log_that_is_full_of_descriptors_ends() -> None:
    image = logged(*[own(DESCRIPTOR, 1)] * 10)
    assert recovery.journal_recover(image, LOG)[1].end_transaction == 1


def test_copy_that_replaces_what_the_log_says_further_on_is_reported() -> None:
    image = logged(own(DESCRIPTOR, 1, 12), (7, 7), own(COMMIT, 1))
    with pytest.raises(ValueError, match="before transaction 2"):
        recovery.journal_recover(image, LOG)


# -- real runs -------------------------------------------------------------------------------------------------------


def disk_of(outcome: Outcome, writes: int | None = None) -> dict[int, Words]:
    """Return the device after so many of its words were written, default all."""
    record = outcome.record
    lanes = record.word_lanes("DiskBlock", "words")
    words: dict[int, list[int]] = {}
    done = 0
    for _, op, _, new in record.events:
        if op >= 0 and op & KIND_MASK == Kind.WRITE and op >> SHIFT in lanes and done != writes:
            name, i = lanes[op >> SHIFT]
            words.setdefault(int(name.partition(":")[2]), [0, 0])[i] = new
            done += 1
    return {blocknr: tuple(values) for blocknr, values in words.items()}


def log_of(bench: Bench) -> LogArea:
    return LogArea(bench.journal.j_first, bench.journal.j_last)


def two_transactions(bench: Bench) -> None:
    """Blocks 0 to 4 hold 7, then 0 and 5 hold 8 and 9, one of them the magic."""
    for blocks in (dict.fromkeys(range(5), 7), {0: 8, 5: jbd.JFS_MAGIC_NUMBER}):
        handle = transaction.journal_start(bench.journal, len(blocks))
        for block, value in blocks.items():
            change(bench, handle, block, value)
        transaction.journal_stop(handle)
        bench.commit()


@pytest.mark.parametrize("seed", range(5))
def test_recovery_of_a_real_log_shows_what_was_committed(seed: int) -> None:
    outcome = run(two_transactions, seed=seed, inodes=8)
    image = disk_of(outcome)
    assert not set(range(8)) & image.keys()  # nothing was written home
    blocks, info = recovery.journal_recover(image, log_of(outcome.bench))
    magic = jbd.JFS_MAGIC_NUMBER
    assert [blocks[home] for home in range(6)] == [(8, 8), (7, 7), (7, 7), (7, 7), (7, 7), (magic, magic)]
    assert info.end_transaction == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_real_log_cut_off_at_any_write_shows_each_transaction_whole_or_not_at_all(seed: int) -> None:
    outcome = run(two_transactions, seed=seed, inodes=8)
    magic = jbd.JFS_MAGIC_NUMBER
    seen: list[list[int]] = []
    total = 2 * len(disk_of(outcome))  # each log block is written once
    for writes in range(total + 1):
        blocks, _ = recovery.journal_recover(disk_of(outcome, writes), log_of(outcome.bench))
        shown = [blocks.get(home, (0, 0))[1] for home in range(6)]
        if not seen or seen[-1] != shown:
            seen.append(shown)
    assert seen == [[0] * 6, [7, 7, 7, 7, 7, 0], [8, 7, 7, 7, 7, magic]]


@pytest.mark.parametrize("seed", range(5))
def test_log_that_was_used_again_is_recovered_from_its_tail(seed: int) -> None:
    def body(bench: Bench) -> None:
        for i in range(12):
            handle = transaction.journal_start(bench.journal, 1)
            change(bench, handle, i % 2, i + 1)
            transaction.journal_stop(handle)
            bench.commit()

    outcome = run(body, seed=seed, inodes=8, j_max_transaction_buffers=3, log_blocks=16)
    journal = outcome.bench.journal
    log = LogArea(journal.j_first, journal.j_last, journal.j_sb_block)
    blocks, info = recovery.journal_recover(disk_of(outcome), log)
    assert [blocks[home] for home in range(2)] == [(11, 11), (12, 12)]
    assert 1 < info.start_transaction <= 12
    assert info.end_transaction == 13
