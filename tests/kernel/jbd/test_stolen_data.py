"""What 3.3 itself gets wrong in ordered mode: a writepage takes over a buffer that the commit is just writing."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.block import device
from mmrace.kernel.block.device import Bio
from mmrace.kernel.jbd import commit
from mmrace.kernel.jbd.jbd import JList
from mmrace.kernel.mm import page_writeback
from tests.kernel.jbd.bench import INODE_BLOCKS, LOG_BLOCKS, Bench, list_of, run, until

DATA = INODE_BLOCKS + LOG_BLOCKS  # the first block that is of a file


def test_writepage_of_a_page_with_an_unmapped_buffer_lets_the_commit_block_overtake_the_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stolen: list[bool] = []
    committed: list[bool] = []
    transfer, wait_locked_list = device._transfer, commit._wait_locked_list

    def late(rw: int, bio: Bio) -> None:
        if bio.bi_private is not None and rt.peek(bio.bi_io_vec[0].bv_page, "index") == 0 and bio.bi_sector >= DATA:
            until(lambda: bool(committed))  # the device takes its time with the data
        transfer(rw, bio)

    def after_the_theft(*args: object) -> int:
        until(lambda: bool(stolen))
        return wait_locked_list(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(device, "_transfer", late)
    monkeypatch.setattr(commit, "_wait_locked_list", after_the_theft)

    def body(bench: Bench) -> None:
        bench.write(0, 5)  # the page's second buffer is not mapped: its writepage takes a handle
        bh = bench.bh(0)
        committer = bench.spawn(bench.commit, name="committer")
        until(lambda: list_of(rt.peek(bench.journal, "j_committing_transaction"), JList.BJ_Locked) == [bh])
        page_writeback.do_writepages(bench.inode.i_mapping, page_writeback.WritebackControl())
        assert list_of(bench.running(), JList.BJ_SyncData) == [bh]  # clean, and under the commit's I/O
        stolen.append(True)
        rt.join(committer)
        assert rt.peek(bench.journal, "j_commit_sequence") == 1
        assert bench.on_disk(0) == [0, 0], "the transaction is committed, its data is not there"
        committed.append(True)

    assert run(body).marks["dirty_data: moved between transactions"] == 1
