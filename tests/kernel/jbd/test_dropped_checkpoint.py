"""What 3.3 itself gets wrong with data=journal: a block that is committed and not yet home leaves the log.

A write cleans a buffer before it takes write access; a checkpoint that looks in between takes it for written home.
"""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd import checkpoint, recovery, transaction
from mmrace.kernel.jbd.jbd import Handle
from mmrace.kernel.jbd.recovery import LogArea
from tests.kernel.jbd.bench import Bench, run

OLD, NEW = 7, 8


def shown(bench: Bench, block: int) -> list[int]:
    """Crash now, recover, and return what a block of the file is then."""
    journal = bench.journal
    image = {blocknr: tuple(found.words.values) for blocknr, found in bench.device.blocks.items()}
    log = LogArea(journal.j_first, journal.j_last, journal.j_sb_block)
    blocks, _ = recovery.journal_recover(image, log)
    return list(blocks.get(bench.inode.i_data + block, ()))


@pytest.mark.parametrize("meets", [False, True], ids=["alone", "a checkpoint in between"])
def test_a_write_that_meets_a_checkpoint_leaves_the_block_to_nobody(
    meets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_write_access = transaction.journal_get_write_access
    lost: list[list[int]] = []

    def body(bench: Bench) -> None:
        bench.write(0, OLD)
        bench.commit()
        bh = bench.bh(0)
        assert shown(bench, 0) == [OLD, OLD] != bench.on_disk(0)  # it is in the log

        def after_a_checkpoint(handle: Handle, one: BufferHead) -> None:
            if one is bh and meets and not lost:
                task = bench.spawn(checkpointing, bench, name="checkpoint")
                rt.join(task)
                lost.append(shown(bench, 0))
            get_write_access(handle, one)

        monkeypatch.setattr(transaction, "journal_get_write_access", after_a_checkpoint)
        bench.write(0, NEW)
        lost.append(shown(bench, 0))
        bench.commit()
        assert shown(bench, 0) == [NEW, NEW]

    def checkpointing(bench: Bench) -> None:
        rt.mutex_lock(bench.journal.j_checkpoint_mutex)
        checkpoint.log_do_checkpoint(bench.journal)
        rt.mutex_unlock(bench.journal.j_checkpoint_mutex)

    run(body, data="journal")
    assert lost == ([[0, 0], [0, 0]] if meets else [[OLD, OLD]])
