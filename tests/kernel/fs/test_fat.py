"""FAT on a second disk: files grow by clusters, pages are written whole, and the fallback is what moves them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace import runtime as rt
from mmrace.actors import copier, migrator, reader, stick_flusher, writer
from mmrace.actors.stage import Stage
from mmrace.kernel.block import device
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer, buffer_head, fat, mpage
from mmrace.kernel.fs.fs import AS_EIO, Inode
from mmrace.kernel.mm import filemap, migrate, mm, page_flags, page_writeback, swap, vmscan
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, MIGRATE_SYNC_LIGHT
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.page_writeback import WB_SYNC_ALL, WB_SYNC_NONE, WritebackControl
from mmrace.runtime.kinds import TEST_AND_SET
from mmrace.runtime.strategy import RoundRobin, Strategy
from mmrace.runtime.task import Task
from mmrace.scenarios.build import FORMATTED
from tests.scenarios.staged import Played, play, until


def vfat(body: Callable[[Stage], object], strategy: Strategy | None = None, passes: int = 3) -> Played:
    """Play on a machine that has a stick with FAT."""
    return play(body, strategy=strategy, stick="vfat", buffers=2, pages=3, passes=passes)


class Fails(RoundRobin):
    """Lets every transfer fail that may."""

    def choose(self, task: Task, n: int, step: int) -> int:
        return n - 1


class IosLast(RoundRobin):
    """Lets an I/O go on only if nobody else can."""

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        others = [task for task in enabled if not task.name.startswith("io")]
        return super().pick(others or enabled, running, step)


def file_of(stage: Stage) -> Inode:
    return stage.stick


def page_of(stage: Stage, index: int = 0) -> Page:
    """Return the page that a slot of the copy shows, without an op."""
    page = rt.peek(file_of(stage).i_mapping.page_tree.slots[index], "page")
    assert isinstance(page, Page)
    return page


def on_stick(stage: Stage, block: int) -> list[int]:
    """Return the words of a block of the copy as its disk has them, without an op."""
    assert stage.second_device is not None
    return list(stage.second_device.block(file_of(stage).i_data + block).words.values)


def write_page(stage: Stage, index: int = 0) -> bool:
    per_page = stage.machine.buffers_per_page
    return writer.write_blocks(stage, file_of(stage), index * per_page, per_page)


def written_page(stage: Stage, index: int = 0) -> Page:
    """Write a page of the copy, drain the pagevecs; return it, dirty."""
    assert write_page(stage, index)
    swap.lru_add_drain_all(stage.machine)
    return page_of(stage, index)


def move(stage: Stage, page: Page, mode: migrate.MigrateMode) -> int:
    """Migrate a page of the copy in up to three passes; return what was left."""
    mm.get_page(page, "lookup")
    assert vmscan.isolate_lru_page(page) == 0
    stage.machine.zone.account("NR_ISOLATED", 1)
    swap.put_page(page, "lookup")
    rc = migrator.migrate_some(stage, [page], mode)
    swap.lru_add_drain_all(stage.machine)
    return rc


def ios(played: Played) -> list[tuple[object, ...]]:
    return [facts[:3] for facts in played.notes("io-begin") if facts[0] == "write"]


# -- the file ----------


def test_blocks_of_a_second_disk_are_numbered_on_from_the_first() -> None:
    stage = vfat(lambda stage: None).stage
    assert stage.second_device is not None
    assert stage.second_device.first == stage.device.end == file_of(stage).i_data
    assert stage.second_device.blocks.versions == FORMATTED
    assert stage.second_device.where(stage.device.end) == (2, 0)


def test_a_file_grows_by_a_cluster_for_each_block_that_is_written_beyond_its_end() -> None:
    def body(stage: Stage) -> None:
        inode = file_of(stage)
        assert (inode.i_size, inode.mmu_private, inode.i_clusters) == (0, 0, 0)
        assert reader.read_block(stage, 0, inode) == []
        assert write_page(stage)
        assert (inode.i_size, inode.mmu_private, inode.i_clusters) == (4, 4, 2)
        assert reader.read_block(stage, 1, inode) == [1, 1]
        assert write_page(stage)  # over what is there
        assert (inode.i_size, inode.mmu_private, inode.i_clusters) == (4, 4, 2)

    assert vfat(body).engine.marks["fat: cluster allocated"] == 2


def test_a_block_that_is_not_the_next_is_refused_and_one_beyond_the_end_is_mapped_only_to_be_written() -> None:
    def body(stage: Stage) -> None:
        inode, bh = file_of(stage), buffer.alloc_buffer_head("map_bh", 2)
        assert fat.fat_get_block(inode, 1, bh, True) == -Errno.EIO
        assert fat.fat_get_block(inode, 0, bh, False) == 0 and not buffer_head.buffer_mapped(bh)
        assert fat.fat_get_block(inode, 0, bh, True) == 0
        assert buffer_head.buffer_mapped(bh) and buffer_head.buffer_new(bh) and bh.b_blocknr == inode.i_data
        assert fat.fat_bmap(inode, 0, False) is None and fat.fat_bmap(inode, 0, True) == inode.i_data
        buffer.free_buffer_head(bh)

    assert vfat(body).engine.marks["fat: corrupted file size"] == 1


def test_clusters_of_two_blocks_are_allocated_once_for_both() -> None:
    def body(stage: Stage) -> None:
        fat.MSDOS_SB(stage.stick).sec_per_clus = 2
        assert write_page(stage) and stage.stick.i_clusters == 1 and stage.stick.mmu_private == 4

    vfat(body)


def test_an_fsync_brings_the_copy_to_its_disk() -> None:
    def body(stage: Stage) -> None:
        copier.copy_page(stage, 0)
        assert copier.sync_copy(stage) == 0
        assert on_stick(stage, 0) == on_stick(stage, 1) == [1, 1]

    vfat(body)


# -- pages written whole ----------


def test_pages_whose_blocks_follow_each_other_are_one_io_and_no_buffer_is_locked() -> None:
    def body(stage: Stage) -> None:
        for index in range(3):
            write_page(stage, index)
        stick_flusher.flush_stick(stage, WB_SYNC_ALL)
        assert [on_stick(stage, block)[0] for block in range(6)] == [1, 1, 2, 2, 3, 3]
        for index in range(3):
            head = buffer.page_buffers(page_of(stage, index))
            assert not any(buffer_head.buffer_dirty(bh) for bh in buffer.ring(head))

    played = vfat(body)
    assert ios(played) == [("write", file_of(played.stage).i_data, 6)]
    assert played.engine.marks["mpage: page written whole"] == 3
    locks = set(played.record.bit_lane("BufferHead", "b_state", "BH_Lock"))
    assert not list(played.record.steps_on(locks, TEST_AND_SET))


def test_a_page_is_unlocked_under_writeback_before_its_io_is_submitted() -> None:
    def body(stage: Stage) -> None:
        page = written_page(stage)
        filemap.lock_page(page)
        mpd = mpage.MpageData(fat.fat_get_block)
        assert page_writeback.clear_page_dirty_for_io(page)
        assert mpage.__mpage_writepage(page, WritebackControl(), mpd) == 0
        assert page_flags.PageWriteback(page) and not page_flags.PageLocked(page) and mpd.bio.vec
        mpage.mpage_bio_submit(device.WRITE, mpd.bio)
        filemap.wait_on_page_writeback(page)

    vfat(body)


def test_a_gap_between_dirty_pages_breaks_the_io() -> None:
    def body(stage: Stage) -> None:
        for index in range(3):
            write_page(stage, index)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        for index in (0, 2):
            write_page(stage, index)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0

    played = vfat(body)
    first = file_of(played.stage).i_data
    assert ios(played)[1:] == [("write", first, 2), ("write", first + 4, 2)]
    assert played.engine.marks["mpage: run of blocks broken"] == 1


def test_a_page_that_is_dirty_in_part_is_written_buffer_by_buffer_after_what_was_gathered() -> None:
    def body(stage: Stage) -> None:
        for index in range(2):
            write_page(stage, index)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        write_page(stage, 0)
        writer.write_blocks(stage, file_of(stage), 3, 1)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        assert [on_stick(stage, block)[0] for block in range(4)] == [3, 3, 2, 4]

    played = vfat(body)
    first = file_of(played.stage).i_data
    assert ios(played)[1:] == [("write", first, 2), ("write", first + 3)]
    assert played.engine.marks["mpage: write confused"] == 1


def test_a_file_that_ends_within_a_page_is_written_up_to_there_and_the_rest_of_the_page_is_zeroed() -> None:
    def body(stage: Stage) -> None:
        writer.write_blocks(stage, file_of(stage), 0, 1)
        page_of(stage).words.write(3, 77)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        assert page_of(stage).words.values == [1, 1, 0, 0]

    played = vfat(body)
    assert ios(played) == [("write", file_of(played.stage).i_data, 1)]
    assert played.engine.marks["mpage: end of the file zeroed"] == 1


def test_a_dirty_page_without_buffers_has_its_blocks_looked_up() -> None:
    def body(stage: Stage) -> None:
        write_page(stage)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        page = page_of(stage)
        filemap.lock_page(page)
        assert filemap.try_to_release_page(page)
        page.words.write(0, 9)
        page_writeback.set_page_dirty(page)
        filemap.unlock_page(page)
        assert not page_flags.page_has_private(page)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        assert on_stick(stage, 0) == [9, 1]

    played = vfat(body)
    assert played.engine.marks["mpage: write of a page without buffers"] == 1
    assert ios(played)[1:] == [("write", file_of(played.stage).i_data, 2)]


def test_a_failed_write_is_remembered_by_each_of_its_pages_and_by_the_file() -> None:
    def body(stage: Stage) -> None:
        for index in range(2):
            write_page(stage, index)
        stage.devices[1].errors = True
        stick_flusher.flush_stick(stage, WB_SYNC_NONE)
        until(lambda: not any(page_of(stage, i).flags.peek(page_flags.PG_writeback) for i in range(2)))
        assert all(page_of(stage, i).flags.peek(page_flags.PG_error) for i in range(2))
        assert file_of(stage).i_mapping.flags.peek(AS_EIO)
        assert copier.sync_copy(stage) == -Errno.EIO
        stage.devices[1].errors = False

    played = vfat(body, Fails())
    assert played.engine.marks["mpage: write error"] == 2


# -- migration ----------


@pytest.mark.parametrize("mode", [MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT])
def test_a_dirty_page_is_refused_unless_the_mode_may_write(mode: migrate.MigrateMode) -> None:
    def body(stage: Stage) -> None:
        page = written_page(stage)
        before = page.flags.value, page._count.value, rt.peek(page, "private")
        move(stage, page, mode)
        assert (page.flags.value, page._count.value, rt.peek(page, "private")) == before
        assert page_of(stage) is page

    played = vfat(body)
    assert [facts[3:] for facts in played.notes("migrate-end")] == [("-EBUSY", "dirty")]


def test_a_sync_migration_writes_a_dirty_page_and_a_later_pass_moves_it() -> None:
    def body(stage: Stage) -> None:
        page = written_page(stage)
        move(stage, page, MIGRATE_SYNC)
        assert page_of(stage) is not page and page_of(stage).words.values == [1] * 4
        assert on_stick(stage, 0) == [1, 1]

    played = vfat(body, passes=6)
    reasons = [facts[4] for facts in played.notes("migrate-end")]
    assert reasons[0] == "writeout" and reasons[-1] == "moved"
    assert "mpage: page written whole" not in played.engine.marks  # ->writepage goes by buffers


def test_a_clean_page_is_stripped_and_moved_in_any_mode() -> None:
    def body(stage: Stage) -> None:
        page = written_page(stage)
        assert filemap.filemap_write_and_wait(file_of(stage).i_mapping) == 0
        assert move(stage, page, MIGRATE_ASYNC) == 0
        assert page_of(stage) is not page and not page_flags.page_has_private(page_of(stage))

    assert vfat(body).notes("migrate-end")[-1][3:] == ("0", "moved")


def test_a_page_that_is_written_whole_keeps_a_migration_out_by_its_writeback_alone() -> None:
    def body(stage: Stage) -> None:
        page = written_page(stage)
        stick_flusher.flush_stick(stage, WB_SYNC_NONE)
        assert page.flags.peek(page_flags.PG_writeback) and not page.flags.peek(page_flags.PG_locked)
        move(stage, page, MIGRATE_SYNC_LIGHT)

    ends = [facts[3:] for facts in vfat(body, IosLast()).notes("migrate-end")]
    assert ends == [("-EBUSY", "writeback")]
