"""data=journal: what a write does with a buffer that is dirty, truncated, or only half of its page."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState
from mmrace.kernel.jbd import transaction
from mmrace.kernel.jbd.jbd import Handle, JList
from mmrace.kernel.mm import filemap, page_flags, swap
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.jbd.bench import Bench, assert_at_rest, list_of, run


def begin(bench: Bench, block: int) -> tuple[Page, Handle, int, int]:
    """Begin a write of one block: (its page, locked; the handle that is left open; position; length)."""
    words = bench.machine.words_per_buffer
    error, page = ext3.ext3_write_begin(bench.inode.i_mapping, block * words, words)
    assert error == 0 and page is not None
    handle = transaction.journal_current_handle()
    assert handle is not None
    return page, handle, block * words, words


def end(bench: Bench, page: Page, pos: int, words: int, copied: int | None = None) -> int:
    """End a write."""
    copied = words if copied is None else copied
    return ext3.ext3_journalled_write_end(bench.inode.i_mapping, pos, words, copied, page)


def bits_of(bh: BufferHead) -> set[str]:
    """Name the dirty bits of a buffer."""
    return {bit.name for bit in (BufferState.BH_Dirty, BufferState.BH_JBDDirty) if bh.b_state.peek(bit)}


def test_dirty_buffer_is_cleaned_and_its_dirtiness_taken_over_by_the_transaction() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        bench.commit()
        bh = bench.bh(0)
        assert bits_of(bh) == {"BH_Dirty"}  # it waits for its checkpoint
        page, _, pos, words = begin(bench, 0)
        assert bits_of(bh) == {"BH_JBDDirty"}
        assert list_of(bench.running(), JList.BJ_Metadata) == [bh]
        assert list_of(bench.running(), JList.BJ_Reserved) == []
        assert end(bench, page, pos, words) == words
        bench.commit()
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        bench.commit()
        assert_at_rest(bench)

    assert "get_write_access: buffer dirty" not in run(body, data="journal").marks


def test_truncated_buffer_that_a_commit_still_needs_is_not_journalled_again() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        bench.commit()
        bh = bench.bh(0)
        page = filemap.find_lock_page(bench.inode.i_mapping, 0)
        assert page is not None
        handle = transaction.journal_start(bench.journal, 4)
        rt.set_bit(bh.b_state, BufferState.BH_Freed)
        assert ext3.do_journal_get_write_access(handle, bh) == 0
        assert ext3.write_end_fn(handle, bh) == 0
        transaction.journal_stop(handle)
        filemap.unlock_page(page)
        swap.put_page(page, "lookup")
        running = bench.running()
        assert list_of(running, JList.BJ_Reserved) == list_of(running, JList.BJ_Metadata) == []

    run(body, data="journal")


def test_page_is_uptodate_once_all_its_buffers_are() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        page = bench.page(0)
        assert not page.flags.peek(page_flags.PG_uptodate)
        bench.write(1, 2)
        assert page.flags.peek(page_flags.PG_uptodate)

    run(body, data="journal")


def test_short_copy_into_a_page_that_is_not_uptodate_counts_as_nothing() -> None:
    def body(bench: Bench) -> None:
        page, _, pos, words = begin(bench, 0)
        assert end(bench, page, pos, words, copied=1) == 0
        assert list_of(bench.running(), JList.BJ_Metadata) == []
        assert not bench.bh(0).b_state.peek(BufferState.BH_Uptodate)
        bench.commit()
        assert_at_rest(bench)

    run(body, data="journal")


def test_short_copy_into_an_uptodate_page_journals_what_was_copied() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(1, 1)
        bench.commit()
        page, _, pos, words = begin(bench, 0)
        assert end(bench, page, pos, words, copied=1) == 1
        assert buffer.page_buffers(page) in list_of(bench.running(), JList.BJ_Metadata)

    run(body, data="journal")


def test_writepage_journals_a_page_that_was_dirtied_through_a_mapping() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 1)
        bench.write(1, 1)
        bench.commit()
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        bench.commit()
        page = bench.page(0)
        ext3.ext3_journalled_set_page_dirty(page)  # a pte was dirty: only PG_checked tells
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        assert not page.flags.peek(page_flags.PG_checked)
        assert list_of(bench.running(), JList.BJ_Metadata) == [bench.bh(0), bench.bh(1)]

    run(body, data="journal")
