"""ext3 with holes: what they read as, who allocates a block, and where the inode says so."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.fs.fs import Inode
from mmrace.kernel.jbd.jbd import JList
from mmrace.kernel.mm import filemap
from tests.kernel.jbd.bench import Bench, assert_at_rest, list_of, run, until

HOLES = 4  # of the file's blocks, its last
FIRST = 4  # block that is a hole
OLD = 77


def holed(bench: Bench) -> None:
    """Give the bench a file whose last blocks are holes, where the disk has something old."""
    bench.inode = ext3.ext3_iget(bench.fs, 3, FIRST + HOLES, HOLES)
    for block in range(FIRST, FIRST + HOLES):
        bench.device.block(bench.inode.i_data + block).words.preset([OLD] * bench.machine.words_per_buffer)


def read(bench: Bench, block: int) -> list[int]:
    words = bench.machine.words_per_buffer
    values = filemap.do_generic_file_read(bench.inode.i_mapping, block * words, words)
    assert isinstance(values, list)
    return values


def mapped(bench: Bench) -> set[int]:
    """Return the blocks that the inode's block on the disk says were allocated."""
    return ext3._blocks_mapped(bench.disk_block(ext3._inode_block(bench.inode))[0])


def test_a_hole_reads_as_zeros_and_gets_no_block_by_that() -> None:
    def body(bench: Bench) -> None:
        holed(bench)
        assert read(bench, FIRST) == [0, 0]
        page = bench.page(FIRST // bench.machine.buffers_per_page)
        assert rt.peek(page, "private") is None, "a page that is all hole needs no buffers"
        assert rt.peek(bench.inode, "i_map") == 0 and bench.running() is None

    run(body)


@pytest.mark.parametrize("after_read", [False, True], ids=["not cached", "read before"])
@pytest.mark.parametrize("data", ["ordered", "writeback", "journal"])
def test_the_first_write_allocates_the_block_in_its_own_transaction(data: str, after_read: bool) -> None:
    def body(bench: Bench) -> None:
        holed(bench)
        if after_read:
            read(bench, FIRST)
        bench.write(FIRST + 1, 5)
        bench.write(FIRST + 1, 6)
        bh, inode_bh = bench.bh(FIRST + 1), ext3.ext3_get_inode_loc(bench.inode)
        assert inode_bh is not None
        assert bh.b_state.peek(BufferState.BH_Mapped) and not bh.b_state.peek(BufferState.BH_New)
        assert inode_bh in list_of(bench.running(), JList.BJ_Metadata)
        assert (bh in list_of(bench.running(), JList.BJ_SyncData)) == (data == "ordered")
        buffer.brelse(inode_bh, "ext3")
        assert bench.on_disk(FIRST + 1) == [OLD, OLD]
        assert read(bench, FIRST) == [0, 0]
        bench.commit()
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        bench.commit()
        if data != "journal":
            assert bench.on_disk(FIRST + 1) == [6, 6]
        assert bench.on_disk(FIRST) == [OLD, OLD]

    assert run(body, data=data).marks["ext3: block allocated"] == 1


def test_the_inode_on_the_disk_says_which_blocks_there_are() -> None:
    def body(bench: Bench) -> None:
        holed(bench)
        for block in (FIRST + 3, 0, FIRST + 1):
            bench.write(block, 5)
        bench.commit()
        bh = ext3.ext3_get_inode_loc(bench.inode)
        assert bh is not None
        buffer.sync_dirty_buffer(bh)
        buffer.brelse(bh, "ext3")
        assert mapped(bench) == {1, 3}
        assert_at_rest(bench)

    run(body)


def test_a_neighbour_in_the_block_of_inodes_leaves_the_blocks_alone() -> None:
    def body(bench: Bench) -> None:
        holed(bench)
        bench.write(FIRST + 1, 5)
        ext3.ext3_dirty_inode(bench.other)  # the bench has one block of inodes
        bench.commit()
        bh = ext3.ext3_get_inode_loc(bench.inode)
        assert bh is not None
        buffer.sync_dirty_buffer(bh)
        buffer.brelse(bh, "ext3")
        assert mapped(bench) == {1}

    run(body)


def test_two_who_come_to_one_hole_allocate_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lookup goes without the mutex; who waits for it finds the block that the other made."""
    is_allocated = ext3._is_allocated
    looked: list[bool] = []

    def counted(inode: Inode, iblock: int) -> bool:
        looked.append(is_allocated(inode, iblock))
        return looked[-1]

    monkeypatch.setattr(ext3, "_is_allocated", counted)

    def body(bench: Bench) -> None:
        holed(bench)
        bhs = [buffer.alloc_buffer_head(f"bh-{i}", bench.machine.words_per_buffer) for i in range(2)]

        def come(bh: BufferHead) -> None:
            handle = ext3.ext3_journal_start(bench.inode, 3)
            ext3.ext3_get_block(bench.inode, FIRST, bh, True)
            ext3.ext3_journal_stop(handle)

        rt.mutex_lock(bench.inode.truncate_mutex)
        tasks = [bench.spawn(come, bh, name=f"comer-{i}", cpu=i) for i, bh in enumerate(bhs)]
        until(lambda: looked == [False, False])
        rt.mutex_unlock(bench.inode.truncate_mutex)
        for task in tasks:
            rt.join(task)
        assert looked == [False, False, False, True]
        assert sorted(bh.b_state.peek(BufferState.BH_New) for bh in bhs) == [False, True]
        for bh in bhs:
            assert rt.peek(bh, "b_blocknr") == bench.inode.i_data + FIRST
            buffer.free_buffer_head(bh)

    assert run(body).marks["ext3: block allocated"] == 1


def test_a_block_is_allocated_within_a_handle_only() -> None:
    def body(bench: Bench) -> None:
        holed(bench)
        bh = buffer.alloc_buffer_head("stray", bench.machine.words_per_buffer)
        ext3.ext3_get_block(bench.inode, FIRST, bh, True)

    assert "block allocated without a handle" in str(run(body, ends="violation").detail)
