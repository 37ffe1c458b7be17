"""The ends of I/O: what each handler insists on, and whose handler a buffer's I/O ends with."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.fs import buffer, buffer_page
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.mm import filemap, page_writeback
from mmrace.oracles.general import data_race
from mmrace.runtime.record import Record
from tests.kernel.mm.bench import Bench, Outcome, run

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
        buffer_page.mark_buffer_async_write_endio(bh, buffer_page.end_buffer_async_write)
        page.mapping = None
        buffer_page.end_buffer_async_write(bh, False)

    assert run(body, ends="violation").detail["rule"] == "NULL mapping followed in end_buffer_async_write"


def written_by(lock: bool) -> Outcome:
    """Two tasks say how the buffer's I/O ends: with the buffer lock, as must be, or the second one without."""

    def submit(bh: BufferHead) -> None:
        buffer.lock_buffer(bh)
        buffer.get_bh(bh, "io")
        bh.b_end_io = buffer.end_buffer_write_sync
        buffer.submit_bh(device.WRITE, bh)

    def meddle(bh: BufferHead) -> None:
        if lock:
            buffer.lock_buffer(bh)
        bh.b_end_io = buffer.end_buffer_read_sync
        if lock:
            buffer.unlock_buffer(bh)

    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bh = bench.ring()[0]
        rt.spawn(submit, bh, name="submitter", cpu=0)
        rt.spawn(meddle, bh, name="meddler", cpu=1)

    return run(body, seed=3)


def races_on_b_end_io(outcome: Outcome) -> list[str]:
    """Return the fields that race."""
    judgement = data_race.judge(Record.of_run(outcome.gate, {}, {}))
    return [str(finding.facts["object"]) for finding in judgement.findings]


def test_who_sets_the_end_of_anothers_io_races_with_it() -> None:
    """BUGGY: one of the two writes b_end_io without the buffer lock."""
    assert any(name.endswith("b_end_io") for name in races_on_b_end_io(written_by(lock=False)))


def test_the_end_of_an_io_is_safe_under_the_buffer_lock() -> None:
    assert races_on_b_end_io(written_by(lock=True)) == []


def test_a_record_names_the_handler() -> None:
    outcome = written_by(lock=True)
    record = Record.of_run(outcome.gate, {}, {})
    lanes = record.lanes("BufferHead", "b_end_io")
    written = [row[4] for row in record.plain() if row[1] == "WRITE" and row[2] in lanes]
    assert "end_buffer_write_sync" in written and "end_buffer_read_sync" in written
