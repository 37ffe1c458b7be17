"""b_data is an address: who took it goes on there, whatever page the buffer belongs to by then."""

from __future__ import annotations

from mmrace import runtime as rt
from mmrace.kernel.fs import buffer, ext3
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd import commit, jbd, transaction
from mmrace.kernel.mm import page_alloc
from mmrace.kernel.mm.mm_types import Page
from tests.kernel.jbd.bench import Bench, run, until


def move(bench: Bench, bh: BufferHead) -> tuple[Page, Page]:
    """Point the buffer at another page with the same words, as a migration does: (from, to)."""
    old, offset = buffer._data_of(bh)
    new = page_alloc.alloc_page(bench.machine)
    assert new is not None
    for i in range(bench.machine.words_per_page):
        new.words.write(i, old.words.read(i))
    buffer.set_bh_page(bh, new, offset)
    return old, new


def test_an_inode_is_stored_where_it_was_when_the_writer_came_to_the_buffer_lock() -> None:
    def body(bench: Bench) -> None:
        bh = buffer.__bread(bench.device, 0)
        assert bh is not None

        def store() -> None:
            handle = transaction.journal_start(bench.journal, 1)
            transaction.journal_get_write_access(handle, bh)
            waiting.append(True)
            ext3.ext3_do_update_inode(handle, bench.inode, bh)
            transaction.journal_stop(handle)

        waiting: list[bool] = []
        task = bench.spawn(store, name="writer")
        until(lambda: bool(waiting))
        buffer.lock_buffer(bh)
        until(lambda: bool(bh.b_state.queue(2).entries))  # the writer sleeps for BH_Lock
        old, new = move(bench, bh)
        buffer.unlock_buffer(bh)
        rt.join(task)
        assert (old.words.values[0], new.words.values[0]) == (1, 0), "the change is lost with the old page"

    run(body, seed=0)


def test_a_descriptor_is_filled_through_the_address_of_its_first_tag() -> None:
    def body(bench: Bench) -> None:
        bh = buffer.__bread(bench.device, 1)
        assert bh is not None
        tags = commit._Tags(bh, 7)
        old, new = move(bench, bh)
        offset = rt.peek(bh, "b_data")
        tags.add(5, 0)
        tags.close()
        full = jbd.log_header(jbd.JFS_DESCRIPTOR_BLOCK, 7, ((5, jbd.JFS_FLAG_LAST_TAG),))
        assert old.words.values[offset + 1] == full
        assert new.words.values[offset + 1] == jbd.log_header(jbd.JFS_DESCRIPTOR_BLOCK, 7)

    run(body)
