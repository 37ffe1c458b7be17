"""The ends of I/O: what each handler insists on, and whose handler a buffer's I/O ends with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace.kernel.fs import buffer, buffer_page
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.mm import filemap, page_writeback
from tests.kernel.mm.bench import Bench, run

DATA = [11, 12, 13, 14]


@pytest.mark.parametrize(
    ("handler", "rule"),
    [
        (buffer_page.end_buffer_async_read, "end_buffer_async_read: buffer is not under an asynchronous read"),
        (buffer_page.end_buffer_async_write, "end_buffer_async_write: buffer is not under an asynchronous write"),
    ],
)
def test_end_of_an_asynchronous_io_that_was_never_begun_is_a_bug(
    handler: Callable[[BufferHead, bool], None], rule: str
) -> None:
    """BUGGY: a handler of whole pages is called for a buffer that is no part of a page's I/O."""

    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        buffer.lock_buffer(bench.ring()[0])
        handler(bench.ring()[0], True)

    assert run(body, ends="violation").detail["rule"] == rule


def test_failed_write_of_a_page_that_lost_its_mapping_follows_a_null_pointer() -> None:
    """BUGGY: the page is taken out of its mapping while it is under writeback."""

    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[0]
        filemap.lock_page(page)
        page_writeback.set_page_writeback(page)
        buffer.lock_buffer(bh)
        buffer_page.mark_buffer_async_write(bh)
        page.mapping = None
        buffer_page.end_buffer_async_write(bh, False)

    assert run(body, ends="violation").detail["rule"] == "NULL mapping followed in end_buffer_async_write"
