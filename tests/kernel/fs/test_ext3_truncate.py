"""Truncation in ext3: the size first, then the pages, then the blocks, which are used again once that is committed."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import ext3, ext3_truncate
from mmrace.kernel.jbd import journal as journal_
from mmrace.kernel.mm import filemap
from mmrace.oracles.protocol import liveness
from tests.kernel.jbd.bench import FILE_BLOCKS, Bench, assert_at_rest, run
from tests.oracles.verdicts import passed

MODES = [mode.value for mode in ext3.DataMode]


def resize(bench: Bench, blocks: int) -> None:
    """Make the file end before a block."""
    rt.mutex_lock(bench.inode.i_mutex)
    assert ext3_truncate.ext3_setattr_size(bench.inode, blocks * bench.machine.words_per_buffer) == 0
    rt.mutex_unlock(bench.inode.i_mutex)


def read(bench: Bench, block: int) -> list[int]:
    """Read one block of the file."""
    words = bench.machine.words_per_buffer
    values = filemap.do_generic_file_read(bench.inode.i_mapping, block * words, words)
    assert not isinstance(values, int)
    return values


@pytest.mark.parametrize("data", MODES)
def test_what_was_truncated_reads_as_the_end_of_the_file_and_then_as_zeros(data: str) -> None:
    def body(bench: Bench) -> None:
        for block in range(4):
            bench.write(block, 7)
        resize(bench, 2)
        assert read(bench, 1) == [7, 7] and read(bench, 2) == []
        resize(bench, FILE_BLOCKS)
        assert [read(bench, block) for block in range(1, 5)] == [[7, 7], [0, 0], [0, 0], [0, 0]]
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        bench.commit()
        assert_at_rest(bench)

    marks = run(body, data=data).marks
    assert marks["ext3: truncated"] == marks["ext3: extended by truncate"] == marks["ext3: blocks freed"] == 1
    assert marks["ext3: hole"]


def test_the_rest_of_a_page_in_which_the_file_ends_is_zeroed() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        bench.write(1, 8)
        resize(bench, 1)
        assert list(rt.peek(bench.page(0), "words").values) == [7, 7, 0, 0]
        bh = bench.bh(1)
        assert rt.peek(bh, "b_bdev") is None and bench.bh(0) is not bh

    assert run(body, buffers_per_page=2).marks["truncate: part of a page"] == 1


def test_a_freed_block_is_not_used_again_before_that_is_committed() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, 7)
        resize(bench, 0)
        words = bench.machine.words_per_buffer
        assert ext3._write_begin(bench.inode.i_mapping, 0, words) == (-Errno.ENOSPC, None)
        assert bench.inode.i_mapping.nrpages == 0, "what the failed write had made is gone"
        bench.commit()
        bench.write(0, 8)
        filemap.filemap_write_and_wait(bench.inode.i_mapping)
        bench.commit()
        assert bench.on_disk(0) == read(bench, 0) == [8, 8]
        assert_at_rest(bench)

    marks = run(body).marks
    assert marks["ext3: freed block not committed yet"] == marks["ext3: block allocated again"] == 1
    assert marks["ext3: failed write trimmed"] == marks["ext3: write_begin failed"] == 1


@pytest.mark.parametrize("data", MODES)
def test_a_write_that_finds_no_block_forces_the_commit_and_tries_again(data: str) -> None:
    def body(bench: Bench) -> None:
        journal_.journal_start_thread(bench.journal, 1)
        bench.write(0, 7)
        resize(bench, 0)
        bench.write(0, 8)
        assert read(bench, 0) == [8, 8]

    assert run(body, data=data).marks["ext3: write waited for the commit of a truncation"] == 1


def test_a_page_of_as_many_holes_as_there_can_be_is_no_busy_wait() -> None:
    """Each block is asked about alike; so are those that a truncation frees, but they are looked up at once."""

    def body(bench: Bench) -> None:
        resize(bench, 0)
        resize(bench, FILE_BLOCKS)
        assert read(bench, 0) == [0, 0]

    passed(liveness.judge(run(body, buffers_per_page=FILE_BLOCKS).record))
