"""The flusher of the block device, alone and in its cast: it writes what the journal let go of, when it likes.

What is drawn has fixed seeds.  One run of the cast finds either planted bug with a chance of about a half: that none of
`HUNTED` does has one below one in a million.
"""

from __future__ import annotations

from collections import Counter

import pytest

from mmrace import scenarios
from mmrace.actors import committer, flusher, writer
from mmrace.actors.stage import Stage
from mmrace.installed import run_one
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import Inode, InodeState
from mmrace.kernel.jbd import transaction
from mmrace.kernel.jbd.jbd import Handle
from mmrace.kernel.mm.page_writeback import SyncMode
from mmrace.runs.spec import RunSpec
from mmrace.runtime.param import Value
from mmrace.scenarios.build import FORMATTED
from tests.oracles.protocol.planted import findings, rules
from tests.scenarios.staged import play

CAST, CHECKPOINT = "flusher-vs-checkpoint", "log-fills"
HUNTED = 24
BLOCK = 1  # of the disk: the file's inode lies in it
HELD = FORMATTED * (BLOCK + 1)
MODES = list(SyncMode)


@pytest.mark.parametrize("mode", MODES)
def test_the_flusher_writes_an_inode_s_block_once_its_transaction_is_committed_and_not_before(mode: SyncMode) -> None:
    def body(stage: Stage) -> list[int]:
        shown = []
        writer.write_block(stage, 0)
        for deed in (lambda: None, lambda: committer.commit_running(stage)):
            deed()
            flusher.flush_device(stage, mode)
            shown.append(stage.device.block(BLOCK).words.values[0])
        return shown

    played = play(body, metadata=1)
    assert played.value == [HELD, HELD + 1]
    assert played.record.marks["flusher: inode is clean"] == 1


def test_a_flusher_that_does_not_wait_leaves_a_locked_buffer_to_a_later_round() -> None:
    def body(stage: Stage) -> list[int]:
        shown = []
        writer.write_block(stage, 0)
        committer.commit_running(stage)
        bh = buffer.__bread(stage.device, BLOCK, "ext3")
        assert bh is not None
        buffer.lock_buffer(bh)
        for _ in range(2):
            flusher.flush_device(stage, SyncMode.WB_SYNC_NONE)
            shown.append(stage.device.block(BLOCK).words.values[0])
            if len(shown) == 1:
                buffer.unlock_buffer(bh)
        buffer.__brelse(bh, "ext3")
        return shown

    played = play(body, metadata=1)
    assert played.value[0] == HELD
    assert {"flusher: pages left", "block_write_full_page: buffer lock busy"} <= set(played.record.marks)
    assert played.stage.device.block(BLOCK).words.values[0] == HELD + 1


def test_a_flusher_plays_its_rounds() -> None:
    played = play(flusher.flusher, flushes=3)
    assert [i for _, i in played.notes("round")] == [0, 1, 2]


# -- the cast --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_flusher_vs_checkpoint_holds_and_gets_where_it_is_meant_to() -> None:
    variations = scenarios.get(CAST).variations
    marks: Counter[str] = Counter()
    for seed in range(24):
        strategy = ("random-delays", "pct", "random-delays", "pos")[seed % 4]
        params = tuple(sorted(variations[seed % len(variations)].items()))
        result = run_one(RunSpec(CAST, params, engine="fiber", strategy=strategy, seed=seed))
        found = [finding for finding in result.findings if not finding.known]
        assert (result.verdict, found, result.unknown) == ("PASS", [], {}), result.spec.command()
        marks.update(set(result.marks))
    wanted = {*scenarios.get(CAST).marks, "flusher: pages left"}
    assert wanted <= set(marks), wanted - set(marks)


_journal_dirty_metadata = transaction.journal_dirty_metadata


def _dirty_for_all(handle: Handle, bh: BufferHead) -> None:
    """BUGGY: what is dirty for the journal is dirty for writeback too, which may write it before it is committed."""
    _journal_dirty_metadata(handle, bh)
    buffer.mark_buffer_dirty(bh)


def _does_not_say_so(inode: Inode, flag: InodeState) -> None:
    """BUGGY: an inode with dirty pages stays clean, so that the flusher never comes to it."""


@pytest.mark.slow
def test_crash_oracle_alone_catches_metadata_that_the_flusher_writes_before_it_is_committed() -> None:
    bind = {"jbd.transaction:journal_dirty_metadata": _dirty_for_all}
    found = rules(findings(CAST, bind, seeds=HUNTED))
    assert set(found) == {("crash", "shown before it is committed")}
    assert not findings(CHECKPOINT, bind, seeds=HUNTED // 2)  # a checkpoint keeps off what is in a transaction


@pytest.mark.slow
def test_progress_oracle_alone_catches_an_inode_that_is_not_marked_dirty_where_a_flusher_goes_by_inodes() -> None:
    bind = {"fs.fs_writeback:__mark_inode_dirty": _does_not_say_so}
    found = rules(findings(CAST, bind, seeds=HUNTED))
    assert set(found) == {("progress", "dirty page forgotten")}
    others: dict[str, dict[str, Value]] = {CHECKPOINT: {}, "migrate-vs-writeback": {"idle": 40, "rounds": 4}}
    assert not [finding for cast, params in others.items() for finding in findings(cast, bind, params, HUNTED // 2)]
