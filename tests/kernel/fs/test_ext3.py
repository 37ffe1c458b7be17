"""ext3 on real runs: writes in the three data modes, writepage with and without a handle, the tables."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import transaction
from mmrace.kernel.jbd.jbd import Handle, JList
from mmrace.kernel.mm import filemap, migrate, page_flags, page_writeback, swap
from tests.kernel.jbd.bench import Bench, assert_at_rest, list_of, marked, run, until

SEEDS = range(25)


def read(bench: Bench, block: int) -> list[int]:
    """Read a block of the file through the page cache."""
    words = bench.machine.words_per_buffer
    values = filemap.do_generic_file_read(bench.inode.i_mapping, block * words, words)
    assert isinstance(values, list)
    return values


def sync(bench: Bench) -> None:
    """Write out the file and commit."""
    filemap.filemap_write_and_wait(bench.inode.i_mapping)
    bench.commit()


@pytest.mark.parametrize("data", ["ordered", "writeback"])
@pytest.mark.parametrize("metadata", [False, True])
def test_what_was_written_is_read_and_reaches_the_disk(data: str, metadata: bool) -> None:
    def body(bench: Bench) -> None:
        for block in range(4):
            bench.write(block, 20 + block)
        assert [read(bench, block) for block in range(5)] == [[20, 20], [21, 21], [22, 22], [23, 23], [0, 0]]
        sync(bench)
        assert [bench.on_disk(block)[0] for block in range(4)] == [20, 21, 22, 23]
        assert_at_rest(bench)

    run(body, data=data, metadata=metadata)


def test_ordered_write_files_its_buffers_and_writeback_does_not() -> None:
    def body(bench: Bench) -> int:
        bench.write(0, 1)
        filed = len(list_of(bench.running(), JList.BJ_SyncData))
        assert bench.bh(0).b_state.peek(BufferState.BH_Dirty)
        sync(bench)
        assert_at_rest(bench)
        return filed

    assert run(body, data="ordered").value == 1
    assert run(body, data="writeback").value == 0


def test_journalled_write_goes_to_the_log_first_and_home_from_the_checkpoint_list() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        assert not bench.bh(0).b_state.peek(BufferState.BH_Dirty)
        bench.commit()
        assert bench.log_block(1) == [7, 7]
        assert bench.on_disk(0) == [0, 0]
        assert bench.bh(0).b_state.peek(BufferState.BH_Dirty)
        sync(bench)
        assert bench.on_disk(0) == [7, 7]
        assert_at_rest(bench)

    run(body, data="journal")


def test_write_of_part_of_a_block_reads_the_rest_first() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 3)
        sync(bench)
        page = filemap.find_lock_page(bench.inode.i_mapping, 0)
        assert page is not None
        ext3.ext3_releasepage(page)
        filemap.delete_from_page_cache(page)
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        assert filemap.generic_perform_write(bench.inode.i_mapping, 1, [9]) == 1
        assert read(bench, 0) == [3, 9]
        sync(bench)
        assert bench.on_disk(0) == [3, 9]
        assert_at_rest(bench)

    assert run(body).marks["write_begin: partial block read"] == 1


def test_write_whose_read_fails_closes_its_handle_and_releases_the_page() -> None:
    def body(bench: Bench) -> None:
        assert filemap.generic_perform_write(bench.inode.i_mapping, 1, [9]) < 0
        assert transaction.journal_current_handle() is None
        page = bench.page(0)
        assert not page.flags.peek(page_flags.PG_locked)
        bench.commit()
        assert_at_rest(bench)

    assert run(body, errors=True, values=[1]).marks["ext3: write_begin failed"] == 1


def test_writepage_inside_a_handle_dirties_the_page_again() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        handle = transaction.journal_start(bench.journal, 1)
        page = filemap.find_lock_page(bench.inode.i_mapping, 0)
        assert page is not None
        assert page_writeback.clear_page_dirty_for_io(page)
        assert ext3.ext3_ordered_writepage(page, page_writeback.WritebackControl()) == 0
        assert page.flags.peek(page_flags.PG_dirty)
        assert not page.flags.peek(page_flags.PG_locked)
        swap.put_page(page, "lookup")
        transaction.journal_stop(handle)
        sync(bench)
        assert_at_rest(bench)

    assert run(body).marks["ext3: writepage inside a handle"] == 1


@pytest.mark.parametrize("data", ["ordered", "writeback"])
@pytest.mark.parametrize("seed", SEEDS)
def test_writepage_of_a_page_with_an_unmapped_buffer_opens_a_handle(data: str, seed: int) -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)  # block 1 of the same page was never looked up
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        assert bench.on_disk(0) == [1, 1]
        bench.commit()
        assert_at_rest(bench)

    marks = run(body, data=data, seed=seed).marks
    assert marks["ext3: writepage with a handle"] == 1
    assert marks.get("ext3: writepage filed data without the page lock", 0) == (data == "ordered")


def test_writepage_with_all_buffers_mapped_needs_no_handle() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(1, 2)
        handles = rt.peek(bench.running() or bench.journal, "t_handle_count")
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        assert rt.peek(bench.running() or bench.journal, "t_handle_count") == handles == 2
        bench.commit()
        assert_at_rest(bench)

    assert "ext3: writepage with a handle" not in run(body).marks


def test_writepage_with_a_handle_waits_for_a_closing_transaction_under_the_page_lock() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        handle = transaction.journal_start(bench.journal, 1)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: marked("commit: waited for T_LOCKED updates"))
        flusher = bench.spawn(filemap.filemap_write_and_wait, bench.inode.i_mapping, name="flusher", cpu=0)
        until(lambda: marked("journal_start: waited for T_LOCKED"))
        assert bench.page(0).flags.peek(page_flags.PG_locked)
        transaction.journal_stop(handle)
        rt.join(flusher)
        rt.join(committer)
        bench.commit()
        assert_at_rest(bench)

    run(body)


def test_journalled_pages_have_no_migratepage_and_the_others_have() -> None:
    def body(bench: Bench) -> None:
        for made in (ext3.ext3_ordered_aops(), ext3.ext3_writeback_aops()):
            assert made.migratepage is migrate.buffer_migrate_page
        assert ext3.ext3_journalled_aops().migratepage is None

    run(body)


def test_a_rebound_migratepage_is_heard_by_inodes_made_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*_: object) -> int:
        return 0

    monkeypatch.setattr(migrate, "buffer_migrate_page", other)

    def body(bench: Bench) -> None:
        assert bench.inode.i_mapping.a_ops.migratepage is other

    run(body)


def test_inodes_share_an_inode_block_when_there_are_fewer_blocks() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(0, 1, bench.other)
        bh = ext3.ext3_get_inode_loc(bench.inode)
        other = ext3.ext3_get_inode_loc(bench.other)
        assert bh is not None and other is bh
        assert rt.peek(bh, "b_page").words.values[:2] == [2, 2]
        buffer.__brelse(bh, "ext3")
        buffer.__brelse(bh, "ext3")
        bench.commit()
        assert_at_rest(bench)

    run(body, metadata=True, inodes=1)


def test_a_walk_over_buffers_reads_each_link_before_it_lets_the_buffer_go() -> None:
    """As a writepage does that has let go of its page: when it drops its last count, truncation may free the ring."""

    def body(bench: Bench) -> None:
        bench.write(0, 1)
        seen: list[BufferHead] = []

        def gone(handle: Handle | None, bh: BufferHead) -> int:
            seen.append(bh)
            bh.b_this_page = None
            return 0

        head = bench.bh(0)
        ring = list(buffer.ring(head))
        assert ext3.walk_page_buffers(None, head, 0, bench.machine.words_per_page, gone) == 0
        assert seen == ring
        for bh, following in zip(ring, (*ring[1:], head), strict=True):
            bh.b_this_page = following

    run(body)
