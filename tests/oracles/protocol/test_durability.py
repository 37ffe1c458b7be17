"""The durability oracle: fsync, and the commit block of a transaction, against what the disk holds."""

from __future__ import annotations

import pytest

from mmrace.kernel.jbd import commit
from mmrace.kernel.jbd.jbd import JList, Journal, Transaction
from mmrace.oracles.protocol import crash, durability, names
from mmrace.runtime.kinds import Kind
from stress import planted
from tests.oracles.hand import Hand
from tests.oracles.protocol.planted import OFTEN, findings, rules, unfile_all
from tests.oracles.verdicts import caught, passed, unknown

LAYOUT = (("inodes", 0, 4), ("log", 4, 40), (1, 44, 2))
DATA, DESCRIPTOR, COPY, RECORD = 44, 4, 5, 6


def _run() -> Hand:
    return Hand("writer", "fsync", "committer", "io").note("main", "layout", *LAYOUT)


def _written(hand: Hand, version: int = 7) -> Hand:
    return hand.note("writer", "write-begin", 1, 0, version).note("writer", "write-end", 1, 0, version)


def _io(hand: Hand, blocknr: int, *words: int, by: str = "fsync", error: int = 0) -> Hand:
    """Write a block, from its submission to its end."""
    hand.note(by, "io-begin", "write", blocknr)
    for i, word in enumerate(() if error else words):
        hand.op("io", Kind.WRITE, f"disk:{blocknr}.words", 0, word, sub=f"[{i}]")
    return hand.note("io", "io-end", "write", blocknr, error)


def _fsync_around(hand: Hand, *words: int, rc: int = 0, error: int = 0) -> Hand:
    hand.note("fsync", "fsync-begin", 1)
    if words or error:
        _io(hand, DATA, *words, error=error)
    return hand.note("fsync", "fsync-end", 1, rc)


def test_durability_oracle_passes_on_an_fsync_that_waited() -> None:
    passed(durability.judge(_fsync_around(_written(_run()), 7, 7).record()))


def test_durability_oracle_catches_an_fsync_that_did_not_wait() -> None:
    hand = _written(_run()).note("fsync", "fsync-begin", 1).note("fsync", "io-begin", "write", DATA)
    finding = caught(durability.judge(hand.note("fsync", "fsync-end", 1, 0).record()), "fsync before the medium")
    assert "shows 0 on the medium, not 7" in finding.title


def test_durability_oracle_catches_a_block_that_is_on_the_medium_in_part() -> None:
    hand = _fsync_around(_written(_fsync_around(_written(_run(), 6), 6, 6)), 7)
    caught(durability.judge(hand.record()), "fsync before the medium")


def test_durability_oracle_asks_nothing_of_an_fsync_that_failed_or_of_what_came_after_it_began() -> None:
    passed(durability.judge(_fsync_around(_written(_fsync_around(_written(_run()), 7, 7), 8), rc=-5).record()))
    hand = _fsync_around(_written(_run()), 7, 7).note("fsync", "fsync-begin", 1)
    passed(durability.judge(_written(hand, 8).note("fsync", "fsync-end", 1, 0).record()))


def test_durability_oracle_asks_nothing_of_a_block_whose_write_failed_until_it_is_written_anew() -> None:
    hand = _fsync_around(_fsync_around(_written(_run()), rc=-5, error=-5))
    passed(durability.judge(hand.record()))
    caught(durability.judge(_fsync_around(_written(hand, 8)).record()), "fsync before the medium")


def _truncated(hand: Hand) -> Hand:
    return hand.note("writer", "truncate-begin", 1, 0).note("writer", "truncate-end", 1, 0, 0)


def test_durability_oracle_asks_of_a_truncated_block_only_what_was_written_after() -> None:
    passed(durability.judge(_fsync_around(_truncated(_written(_run()))).record()))
    meanwhile = _truncated(_written(_run()).note("fsync", "fsync-begin", 1)).note("fsync", "fsync-end", 1, 0)
    passed(durability.judge(meanwhile.record()))
    again = _written(_truncated(_written(_run())), 8)
    passed(durability.judge(_fsync_around(again, 8, 8).record()))


@pytest.mark.parametrize("shown", [(), (7, 7)], ids=["nothing", "what was truncated"])
def test_durability_oracle_catches_an_fsync_that_loses_a_write_after_a_truncation(shown: tuple[int, ...]) -> None:
    again = _written(_truncated(_written(_run())), 8)
    caught(durability.judge(_fsync_around(again, *shown).record()), "fsync before the medium")


# -- the block of an inode -------------------------------------------------------------------------------------------


def _changed(hand: Hand, number: int, version: int) -> Hand:
    hand.note("writer", "change-begin", number, version - 1, version)
    return hand.note("writer", "change-end", number, version)


def _written_with_its_inode(changes: bool = True) -> Hand:
    hand = _run().note("main", "formatted", 0, 1)
    hand.params = {"metadata": 1}
    hand = _changed(hand, 1, 1).note("writer", "write-begin", 1, 0, 7)
    return (_changed(hand, 1, 2) if changes else hand).note("writer", "write-end", 1, 0, 7)


def test_durability_oracle_catches_a_write_that_left_its_inode_alone() -> None:
    """A change of before does not count."""
    finding = caught(durability.judge(_written_with_its_inode(False).record()), "inode not changed")
    assert finding.facts["inode"] == "1"
    passed(durability.judge(_written_with_its_inode().record()))


def test_durability_oracle_asks_for_no_change_of_an_inode_that_could_not_be_read_or_without_metadata() -> None:
    hand = _written_with_its_inode(False)
    hand.marks = {names.UNREADABLE: 1}
    unknown(durability.judge(hand.record()))
    unknown(durability.judge(_written(_run()).record()))


@pytest.mark.parametrize("home", [(2, 2), (1, 1)], ids=["on the medium", "older"])
def test_durability_oracle_takes_the_block_of_the_inode_for_a_part_of_what_fsync_promises(
    home: tuple[int, int],
) -> None:
    hand = _io(_written_with_its_inode().note("fsync", "fsync-begin", 1), DATA, 7, 7)
    judgement = durability.judge(_io(hand, 1, *home).note("fsync", "fsync-end", 1, 0).record())
    if home == (2, 2):
        passed(judgement)
        return
    assert "block 1 of inodes shows 1 on the medium, not 2" in caught(judgement, "fsync before the medium").title


# -- the log ---------------------------------------------------------------------------------------------------------


def _filed(hand: Hand, jh: str, jlist: str, blocknr: int) -> Hand:
    hand.write("writer", f"bh:{blocknr}.b_blocknr", blocknr, -1).write("writer", f"{jh}.b_bh", f"bh:{blocknr}")
    return hand.write("writer", f"{jh}.b_transaction", "transaction:1").write("writer", f"{jh}.b_jlist", jlist)


def _closed() -> Hand:
    """A data block and a metadata block, both of transaction 1, which has closed."""
    hand = _filed(_filed(_written(_run()), "jh:1", "BJ_SyncData", DATA), "jh:2", "BJ_Metadata", 1)
    return hand.write("committer", "transaction:1.t_state", "T_FLUSH", "T_LOCKED")


def _descriptor(hand: Hand, *homes: int) -> Hand:
    return hand.note("committer", "log-block", DESCRIPTOR, "descriptor", 1, homes)


def _record(hand: Hand) -> Hand:
    hand.note("committer", "log-block", RECORD, "commit", 1, ())
    return _io(hand, RECORD, 1, 1, by="committer")


def test_durability_oracle_passes_on_a_commit_in_order() -> None:
    hand = _io(_descriptor(_io(_closed(), DATA, 7, 7), 1), DESCRIPTOR, 1, 1)
    passed(durability.judge(_record(_io(hand, COPY, 3, 3)).record()))


def test_durability_oracle_catches_a_commit_block_before_ordered_data() -> None:
    hand = _io(_descriptor(_closed(), 1), DESCRIPTOR, 1, 1)
    caught(durability.judge(_record(_io(hand, COPY, 3, 3)).record()), "commit block before its data")


def test_durability_oracle_asks_nothing_of_data_that_were_truncated() -> None:
    hand = _closed().op("writer", Kind.CLEAR, f"bh:{DATA}.b_state", True, sub="BH_Mapped")
    hand = _io(_descriptor(hand, 1), DESCRIPTOR, 1, 1)
    passed(durability.judge(_record(_io(hand, COPY, 3, 3)).record()))


def test_durability_oracle_asks_nothing_of_data_that_the_next_transaction_took_over() -> None:
    """As in 3.3, where writepage files a buffer anew that the commit is writing, and the commit then waits no more."""
    hand = _closed().write("writer", "jh:1.b_jlist", "BJ_None").write("writer", "jh:1.b_transaction", "transaction:2")
    hand = _io(_descriptor(hand, 1), DESCRIPTOR, 1, 1)
    passed(durability.judge(_record(_io(hand, COPY, 3, 3)).record()))


def test_durability_oracle_catches_a_commit_block_before_a_block_of_the_log() -> None:
    hand = _io(_descriptor(_io(_closed(), DATA, 7, 7), 1), DESCRIPTOR, 1, 1)
    hand.note("committer", "io-begin", "write", COPY)
    caught(durability.judge(_record(hand).record()), "commit block before its log")


@pytest.mark.parametrize("closed", [False, True], ids=["before it closed", "after it closed"])
def test_durability_oracle_wants_metadata_in_the_log_unless_it_was_truncated_before_the_transaction_closed(
    closed: bool,
) -> None:
    hand = _filed(_run(), "jh:2", "BJ_Metadata", DATA)
    for step in (0, 1):
        if closed == bool(step):
            hand.op("writer", Kind.CLEAR, f"bh:{DATA}.b_state", True, sub="BH_Mapped")
        else:
            hand.write("committer", "transaction:1.t_state", "T_FLUSH", "T_LOCKED")
    judgement = durability.judge(_record(hand).record())
    if closed:
        caught(judgement, "transaction not in the log")
    else:
        passed(judgement)


@pytest.mark.parametrize("truncates", [False, True], ids=["for nothing", "for a truncation"])
def test_durability_oracle_asks_no_copy_of_what_an_open_transaction_let_go_for_a_truncation(truncates: bool) -> None:
    """journal_unmap_buffer lets go of the journal head, and unmaps the buffer when the commit may be over."""
    hand = _filed(_written(_run()), "jh:2", "BJ_Metadata", DATA)
    if truncates:
        hand.note("writer", "truncate-begin", 1, 0)
    hand.write("writer", "jh:2.b_jlist", "BJ_None").write("writer", "jh:2.b_transaction", None, "transaction:1")
    hand.write("committer", "transaction:1.t_state", "T_FLUSH", "T_LOCKED")
    judgement = durability.judge(_record(hand).record())
    if truncates:
        passed(judgement)
    else:
        caught(judgement, "transaction not in the log")


@pytest.mark.parametrize("homes", [(), (1,)], ids=["no tag", "no copy"])
def test_durability_oracle_catches_metadata_that_is_not_in_the_log(homes: tuple[int, ...]) -> None:
    hand = _io(_descriptor(_io(_closed(), DATA, 7, 7), *homes), DESCRIPTOR, 1, 1)
    caught(durability.judge(_record(hand).record()), "transaction not in the log")


def test_durability_oracle_takes_a_committed_copy_in_the_log_for_the_block() -> None:
    """With data=journal that is where fsync puts it."""
    hand = _filed(_written(_run()), "jh:1", "BJ_Metadata", DATA)
    hand.write("committer", "transaction:1.t_state", "T_FLUSH", "T_LOCKED").note("fsync", "fsync-begin", 1)
    hand = _record(_io(_io(_descriptor(hand, DATA), DESCRIPTOR, 1, 1), COPY, 7, 7))
    passed(durability.judge(hand.note("fsync", "fsync-end", 1, 0).record()))


@pytest.mark.parametrize("error", [None, -5], ids=["on its way", "failed"])
def test_durability_oracle_asks_for_the_commit_block_before_it_takes_a_copy_in_the_log(error: int | None) -> None:
    """A copy whose commit block is not on the medium is none that recovery would use."""
    hand = _filed(_written(_run()), "jh:1", "BJ_Metadata", DATA)
    hand.write("committer", "transaction:1.t_state", "T_FLUSH", "T_LOCKED").note("fsync", "fsync-begin", 1)
    hand = _io(_io(_descriptor(hand, DATA), DESCRIPTOR, 1, 1), COPY, 7, 7)
    hand.note("committer", "log-block", RECORD, "commit", 1, ()).note("committer", "io-begin", "write", RECORD)
    if error is not None:
        hand.note("io", "io-end", "write", RECORD, error)
    caught(durability.judge(hand.note("fsync", "fsync-end", 1, 0).record()), "fsync before the medium")


def test_durability_oracle_finds_data_filed_whose_buffer_was_mapped_but_did_not_say_where_yet() -> None:
    """As where a writer maps a buffer and a writepage files it in between."""
    hand = _run().write("writer", "jh:1.b_bh", "bh:1")
    hand.note("writer", "write-begin", 1, 0, 7).write("fsync", "jh:1.b_transaction", "transaction:1")
    hand.write("fsync", "jh:1.b_jlist", "BJ_SyncData").write("writer", "bh:1.b_blocknr", DATA, -1)
    record = hand.note("writer", "write-end", 1, 0, 7).record()
    record.header["params"] = {"data": "ordered"}
    passed(durability.judge(record))


def test_durability_oracle_does_not_know_of_a_record_without_promises() -> None:
    unknown(durability.judge(_written(_run()).record()))


# -- the tail --------------------------------------------------------------------------------------------------------

SUPERBLOCK = 46


def _tail_moved(told: int | None, error: int = 0) -> Hand:
    """The log's tail moves to transaction 3, and the superblock, if one is written, names `told`."""
    hand = _run().write("writer", "journal:1.j_tail_sequence", 3, 1)
    if told is None:
        return hand
    hand.note("writer", "log-block", SUPERBLOCK, "superblock", told, (9,))
    return _io(hand, SUPERBLOCK, 1, 1, by="writer", error=error)


@pytest.mark.parametrize("told", [None, 2])
def test_durability_oracle_catches_a_tail_that_the_superblock_does_not_tell(told: int | None) -> None:
    finding = caught(durability.judge(_tail_moved(told).record()), "tail not told")
    assert (finding.facts["tid"], finding.facts["told"]) == (3, told)


def test_durability_oracle_passes_on_a_tail_that_is_told_and_excuses_a_write_that_failed() -> None:
    passed(durability.judge(_tail_moved(3).record()))
    passed(durability.judge(_tail_moved(2, error=-5).record()))


def test_durability_oracle_asks_for_no_superblock_in_a_run_that_was_cut() -> None:
    hand = _tail_moved(None)
    hand.end = {"how": "bound", "detail": {"kind": "cut"}}
    unknown(durability.judge(hand.record()))


# -- planted bugs ----------------------------------------------------------------------------------------------------

BUSY = {"idle": 20, "dirtied": 2}
METADATA = {**BUSY, "metadata": 1}
FSYNC = planted.of_model(durability.NAME)


def _unfiles_locked_data_without_waiting(journal: Journal, commit_transaction: Transaction) -> int:
    """BUGGY: the wait for each buffer is left out."""
    unfile_all(journal, commit_transaction, JList.BJ_Locked)
    return 0


_wait_for_iobuf, _write_commit_record = commit._wait_for_iobuf, commit.journal_write_commit_record


def _commits_before_the_copies(journal: Journal, commit_transaction: Transaction) -> int:
    """BUGGY: the commit block goes first."""
    _write_commit_record(journal, commit_transaction)
    return _wait_for_iobuf(journal, commit_transaction)


class _ForgetsATag(commit._Tags):
    """BUGGY: the descriptor lacks its first tag."""

    def close(self) -> None:
        self.tags = (*self.tags[1:], (0, 0)) if len(self.tags) == 1 else self.tags[1:]
        super().close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bind", "params", "rule"),
    [
        (FSYNC.twin.program, FSYNC.bind, FSYNC.params, FSYNC.rule),
        (
            "async-vs-commit",
            {"jbd.commit:_wait_locked_list": _unfiles_locked_data_without_waiting},
            BUSY,
            "commit block before its data",
        ),
        (
            "async-vs-commit",
            {
                "jbd.commit:_wait_for_iobuf": _commits_before_the_copies,
                "jbd.commit:journal_write_commit_record": lambda journal, commit_transaction: None,
            },
            METADATA,
            "commit block before its log",
        ),
        ("async-vs-commit", {"fs.ext3:journal_dirty_data_fn": lambda handle, bh: 0}, BUSY, "ordered data not filed"),
        (
            "fsync-commits",
            {"fs.ext3:ext3_mark_inode_dirty": lambda handle, inode: None},
            {"idle": 20},
            "inode not changed",
        ),
        ("log-fills", {"jbd.journal:journal_update_superblock": lambda journal: None}, {"idle": 20}, "tail not told"),
        ("async-vs-commit", {"jbd.commit:_Tags": _ForgetsATag}, METADATA, "transaction not in the log"),
    ],
    ids=[
        "fsync does not wait",
        "commit does not wait for data",
        "commit block too early",
        "data not filed",
        "the inode's block not changed",
        "the superblock is not written",
        "a tag is forgotten",
    ],
)
def test_durability_oracle_alone_catches_what_is_planted(
    scenario: str, bind: dict[str, object], params: dict[str, int], rule: str
) -> None:
    assert not findings(scenario, {}, params)
    caught_by = set(rules(findings(scenario, bind, params, *OFTEN)))  # type: ignore[arg-type]
    # What is not on the medium in time is lost in some crash, too: that judge may see the same damage, from its end.
    assert {found for found in caught_by if found[0] != crash.NAME} == {(durability.NAME, rule)}
