"""The crash oracle on blocks that a file gets: none shows what was there before, none that was promised is a hole."""

from __future__ import annotations

import copy

import pytest

from mmrace.kernel.fs import buffer_page, ext3
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace, Inode
from mmrace.kernel.jbd.jbd import Handle, JList, Journal, Transaction
from mmrace.kernel.mm import filemap
from mmrace.kernel.mm.mm_types import Page
from mmrace.oracles.protocol import crash, durability
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from mmrace.scenarios.crash import judge as crash_judge
from tests.oracles.protocol.planted import findings, rules, unfile_all
from tests.oracles.protocol.test_crash import DATA, HOME, Disk
from tests.oracles.verdicts import caught, passed, unknown

HAS_BLOCK = 1 << ext3._MAP_SHIFT  # in the inode's block: the hole has become a block
OLD = 66
EXPOSED = "reachable, and what was there before"


def _disk() -> Disk:
    """Of a file whose first block is a hole, and that has its inode in block HOME."""
    disk = Disk()
    disk.note("main", "holes", 1, HOME, 0, 1)
    return disk


def _data(disk: Disk, version: int) -> Disk:
    """Write the block over what the disk has there."""
    disk.begin(DATA)
    for i in range(2):
        disk.op("io-8", Kind.WRITE, f"disk:{DATA}.words", OLD, version, sub=f"[{i}]")
    disk.note("io-8", "io-end", "write", DATA, 0)
    return disk


def _allocates(disk: Disk) -> Disk:
    disk.change(1, HAS_BLOCK + 1)
    return disk


def _commits(disk: Disk) -> Disk:
    return disk.logs(4, 1, HAS_BLOCK + 1).commits(6, 1)


def _mode(record: Record, data: str) -> Record:
    record.header["params"] = {"data": data}
    return record


def test_crash_oracle_passes_on_a_block_whose_data_are_there_before_the_inode_is() -> None:
    passed(_commits(_data(_allocates(_disk()), 7)).judged())


def test_crash_oracle_catches_an_inode_that_is_there_before_the_data_of_its_new_block() -> None:
    finding = caught(_data(_commits(_allocates(_disk())), 7).judged(), EXPOSED)
    assert f"block 0 of inode 1 is reachable, and shows {OLD}" in finding.title


def test_crash_oracle_asks_for_no_data_before_the_inode_with_data_writeback() -> None:
    passed(crash_judge(_mode(_data(_commits(_allocates(_disk())), 7).record(), "writeback")))
    caught(crash_judge(_mode(_data(_commits(_allocates(_disk())), 7).record(), "ordered")), EXPOSED)


def test_crash_oracle_asks_nothing_of_a_new_block_whose_write_failed() -> None:
    disk = _allocates(_disk())
    disk.io(DATA, error=-5)
    passed(_commits(disk).judged())


def test_crash_oracle_asks_nothing_of_a_new_block_whose_data_the_next_transaction_took_over() -> None:
    """As in 3.3 (R16), where a writepage files a buffer anew that the commit is writing."""
    disk = _allocates(_disk())
    disk.write("writer", "bh:2.b_blocknr", DATA, -1).write("writer", "jh:2.b_bh", "bh:2")
    disk.write("writer", "jh:2.b_transaction", "transaction:1").write("writer", "jh:2.b_jlist", "BJ_Locked")
    disk.write("writer", "jh:2.b_jlist", "BJ_None")
    kept, taken = copy.deepcopy(disk), disk
    taken.write("writer", "jh:2.b_transaction", "transaction:2")
    assert not _data(_commits(taken), 7).judged().findings
    caught(_data(_commits(kept), 7).judged(), EXPOSED)


def test_crash_oracle_asks_nothing_of_a_new_block_beyond_the_end_that_the_inode_has_for_a_while_yet() -> None:
    """The file is shorter from this transaction on, and the block is freed in the next."""
    disk = _allocates(_disk())
    disk.note("writer", "truncate-size", 1, 0, 1)
    passed(_commits(disk).judged())


def test_crash_oracle_asks_for_the_data_of_a_new_block_if_the_file_is_shorter_in_a_later_transaction() -> None:
    disk = _allocates(_disk())
    disk.note("writer", "truncate-size", 1, 0, 2)
    caught(_data(_commits(disk), 7).judged(), EXPOSED)


def _synced(disk: Disk) -> Disk:
    disk.note("writer", "write-begin", 1, 0, 7).note("writer", "write-end", 1, 0, 7)
    disk.note("fsync", "fsync-begin", 1)
    return disk


def test_crash_oracle_catches_an_fsync_that_leaves_the_block_a_hole() -> None:
    """The data are on the disk, but the inode that says so is in no transaction that is committed."""
    disk = _data(_synced(_allocates(_disk())), 7)
    disk.note("fsync", "fsync-end", 1, 0)
    finding = caught(disk.judged(), crash.PROMISED)
    assert "is a hole" in finding.title


def test_crash_oracle_passes_on_an_fsync_that_commits_the_inode() -> None:
    disk = _commits(_data(_synced(_allocates(_disk())), 7))
    disk.note("fsync", "fsync-end", 1, 0)
    passed(disk.judged())


def test_crash_oracle_asks_for_a_block_that_a_lookup_unmapped_in_a_buffer_of_its_own() -> None:
    """Who reads a whole page asks for its blocks with one buffer that is in no page, and unmaps that each time."""
    disk = Disk().change(1, 7).logs(4, 1, 9).commits(6, 1)
    disk.write("writer", "bh:9.b_blocknr", HOME, -1).op("writer", Kind.CLEAR, "bh:9.b_state", True, sub="BH_Mapped")
    caught(disk.judged(), "shown, and of no transaction")


def test_crash_oracle_does_not_know_of_holes_alone() -> None:
    unknown(_data(_disk(), 7).judged())


# -- planted bugs ----------------------------------------------------------------------------------------------------

HOLES = {"holes": 1, "idle": 20}
_update_inode = ext3.ext3_do_update_inode


def _lets_go_of_data(journal: Journal, commit_transaction: Transaction) -> int:
    """BUGGY: the commit lets go of its ordered data, and submits none."""
    unfile_all(journal, commit_transaction, JList.BJ_SyncData)
    return 0


def _allocates_in_a_handle_of_its_own(mapping: AddressSpace, pos: int, length: int) -> tuple[int, Page | None]:
    """BUGGY: the handle is closed when the block is the file's, and another is opened for the data."""
    inode: Inode = mapping.host
    page = filemap.grab_cache_page_write_begin(mapping, pos // mapping.machine.words_per_page)
    assert page is not None
    handle = ext3.ext3_journal_start(inode, ext3.EXT3_TRANS_BLOCKS + 1)
    assert buffer_page.__block_write_begin(page, pos, length, ext3.ext3_get_block) == 0
    ext3.ext3_journal_stop(handle)
    ext3.ext3_journal_start(inode, ext3.EXT3_TRANS_BLOCKS + 1)
    return 0, page


def _does_not_tell_fsync(handle: Handle, inode: Inode, bh: BufferHead) -> None:
    """BUGGY: an inode that changed does not know in which transaction."""
    before = inode.i_sync_tid
    _update_inode(handle, inode, bh)
    inode.i_sync_tid = before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "bind", "params", "rule"),
    [
        (
            "async-vs-commit",
            {"jbd.commit:journal_submit_data_buffers": _lets_go_of_data},
            {**HOLES, "dirtied": 2},
            EXPOSED,
        ),
        (
            "async-vs-commit",
            {"fs.ext3:ext3_write_begin": _allocates_in_a_handle_of_its_own},
            {**HOLES, "pages": 2, "rounds": 6},
            EXPOSED,
        ),
        ("fsync-commits", {"fs.ext3:ext3_do_update_inode": _does_not_tell_fsync}, HOLES, crash.PROMISED),
    ],
    ids=["data not submitted", "allocated in a handle of its own", "fsync not told"],
)
def test_crash_oracle_catches_what_is_planted_in_allocation(
    scenario: str, bind: dict[str, object], params: dict[str, int], rule: str
) -> None:
    assert not findings(scenario, {}, params)
    found = rules(findings(scenario, bind, params))  # type: ignore[arg-type]
    # Data that the commit does not write miss its commit block, whether they are new or not.
    assert {oracle for oracle, _ in found} <= {crash.NAME, durability.NAME}
    assert found[crash.NAME, rule] >= 5
