"""The page cache on real runs: the lookup protocol, the page lock, insertion, buffered read and write."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import filemap, migrate, mm, page_alloc, page_flags, page_writeback, radix_tree, swap, truncate
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.task import Task
from tests.kernel.mm.bench import NO_MIGRATEPAGE, Bench, assert_idle, assert_memory, marked, run, until

DATA = [11, 12, 13, 14]


def frozen(bench: Bench, page: Page) -> None:
    rt.spin_lock_irq(bench.mapping.tree_lock)
    assert filemap.page_freeze_refs(page, 2)


def test_lookup_against_a_frozen_page_waits_for_the_thaw() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        frozen(bench, page)
        found: list[Page | None] = []
        task = rt.spawn(lambda: found.append(filemap.find_get_page(bench.mapping, 0)), name="finder", cpu=1)
        until(lambda: marked("lookup: frozen page"))
        assert not found
        filemap.page_unfreeze_refs(page, 2)
        rt.spin_unlock_irq(bench.mapping.tree_lock)
        rt.join(task)
        assert found == [page] and page._count.value == 3
        swap.put_page(page, "lookup")

    assert run(body).marks["lookup: frozen page"] == 1


def test_lookup_against_a_page_that_stays_frozen_is_a_standstill() -> None:
    def body(bench: Bench) -> None:
        frozen(bench, bench.fill(0, DATA))
        task = rt.spawn(filemap.find_get_page, bench.mapping, 0, name="finder", cpu=1)
        rt.spin_unlock_irq(bench.mapping.tree_lock)
        rt.join(task)

    outcome = run(body, ends="deadlock")
    assert [row["task"] for row in outcome.detail["tasks"]] == ["main", "finder"]


def test_lookup_gets_the_new_page_when_the_slot_is_replaced_under_it() -> None:
    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        new = page_alloc.alloc_page(bench.machine)
        assert new is not None
        frozen(bench, old)
        found: list[Page | None] = []
        task = rt.spawn(lambda: found.append(filemap.find_get_page(bench.mapping, 0)), name="finder", cpu=1)
        until(lambda: marked("lookup: frozen page"))
        radix_tree.radix_tree_replace_slot(bench.mapping.page_tree.slots[0], new)
        rt.join(task)
        assert found == [new] and new._count.value == 2
        radix_tree.radix_tree_replace_slot(bench.mapping.page_tree.slots[0], old)
        filemap.page_unfreeze_refs(old, 2)
        rt.spin_unlock_irq(bench.mapping.tree_lock)

    run(body)


def test_lookup_drops_a_page_that_left_the_slot_before_its_get(monkeypatch: pytest.MonkeyPatch) -> None:
    """The get comes after the thaw and succeeds on the old page; the recheck sees the new one."""
    get = filemap.page_cache_get_speculative
    first = [True]

    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        bh = bench.ring()[0]
        buffer.lock_buffer(bh)  # stops the migration with the slot moved
        tasks: list[Task] = []

        def late_get(page: Page, ref: str) -> bool:
            if first and first.pop():
                tasks.append(rt.spawn(bench.migrate, old, migrate.MIGRATE_SYNC_LIGHT, name="migrator", cpu=1))
                until(lambda: bh.b_count.value == 1)
            return get(page, ref)

        monkeypatch.setattr(filemap, "page_cache_get_speculative", late_get)
        found = filemap.find_get_page(bench.mapping, 0)
        assert found is bench.cached() is not old and old._count.value == 2
        buffer.unlock_buffer(bh)
        rt.join(tasks[0])
        assert found is not None
        swap.put_page(found, "lookup")
        assert_idle(bench)
        assert_memory(bench)

    assert run(body).marks["lookup: slot changed"] == 1


def test_find_lock_page_starts_over_when_the_page_was_truncated() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        found: list[Page | None] = []
        task = rt.spawn(lambda: found.append(filemap.find_lock_page(bench.mapping, 0)), name="finder", cpu=1)
        until(lambda: page._count.value == 3)
        truncate.truncate_inode_page(bench.mapping, page)
        filemap.unlock_page(page)
        rt.join(task)
        assert found == [None]
        assert_memory(bench)

    assert run(body).marks["find_lock_page: mapping changed"] == 1


@pytest.mark.parametrize("seed", range(20))
def test_two_creators_of_a_page_get_the_same_one(seed: int) -> None:
    def body(bench: Bench) -> None:
        found: list[Page] = []

        def creator() -> None:
            page = filemap.find_or_create_page(bench.mapping, 0)
            assert page is not None
            found.append(page)
            filemap.unlock_page(page)

        tasks = [rt.spawn(creator, name=("creator", i), cpu=i) for i in range(2)]
        for task in tasks:
            rt.join(task)
        assert found[0] is found[1] is bench.cached()
        for page in found:
            swap.put_page(page, "lookup")
        swap.lru_add_drain_all(bench.machine)
        assert bench.page()._count.value == 1
        assert_memory(bench)

    run(body, seed=seed)


def test_read_of_an_uncached_page_comes_from_the_disk() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        truncate.truncate_inode_pages(bench.mapping, 0)
        assert bench.cached() is None
        assert bench.read(1, 2) == DATA[1:3]
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)
        assert bench.page().flags.peek(page_flags.PG_mappedtodisk) is False  # buffers were mapped by this very read

    run(body)


def test_read_error_is_reported_and_not_cached_as_data() -> None:
    def body(bench: Bench) -> None:
        assert bench.read(0, 2) == -Errno.EIO
        page = bench.page()
        assert not page.flags.peek(page_flags.PG_uptodate) and page.flags.peek(page_flags.PG_error)
        assert bench.read(0, 4) == [0, 0, 0, 0]
        assert page.flags.peek(page_flags.PG_uptodate)
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    outcome = run(body, errors=True, values=[1])
    assert outcome.marks["read: i/o error"] == 1


def test_read_of_a_written_block_of_a_partial_page_needs_no_io() -> None:
    def body(bench: Bench) -> None:
        bench.write(2, [7, 8])
        assert not bench.page().flags.peek(page_flags.PG_uptodate)
        assert bench.read(2, 2) == [7, 8]
        assert marked("read: partially uptodate")
        assert bench.read(0, 4) == [0, 0, 7, 8]
        assert bench.page().flags.peek(page_flags.PG_uptodate)

    assert "read: i/o error" not in run(body).marks


def test_write_of_part_of_a_block_reads_it_first() -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        truncate.truncate_inode_pages(bench.mapping, 0)
        assert bench.write(3, [99]) == 1
        assert bench.read(2, 2) == [13, 99]

    assert run(body).marks["write_begin: partial block read"] == 1


def test_write_across_pages_writes_all() -> None:
    def body(bench: Bench) -> None:
        assert bench.write(1, list(range(1, 10))) == 9
        assert bench.read(0, 4) == [0, 1, 2, 3]
        assert bench.read(8, 2) == [8, 9]

    run(body)


def test_read_ends_where_the_file_does() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, DATA)
        bench.inode.i_size = 3
        assert bench.read(2, 2) == [13] and bench.read(4, 2) == []

    run(body)


def truncated_under_a_reader(bench: Bench) -> None:
    """A reader sleeps for the lock of a page that is not up to date, and truncation takes that page away."""
    page = bench.fill(0, DATA)
    filemap.lock_page(page)
    page_flags.ClearPageUptodate(page)
    reader = rt.spawn(bench.read, 0, 2, name="reader", cpu=1)
    until(lambda: page._count.value > 2)
    truncate.truncate_inode_page(bench.mapping, page)
    filemap.unlock_page(page)
    rt.join(reader)


def test_reader_that_slept_for_a_page_that_was_truncated_looks_again() -> None:
    assert run(truncated_under_a_reader).marks["read: page gone while waiting for its lock"] == 1


def test_reader_that_does_not_look_again_follows_a_null_mapping(monkeypatch: pytest.MonkeyPatch) -> None:
    def _page_ok(mapping: AddressSpace, page: Page, offset: int, count: int) -> int:
        """BUGGY: whether the page has a mapping still is not asked."""
        filemap.lock_page(page)
        return filemap._readpage(mapping, page)

    monkeypatch.setattr(filemap, "_page_ok", _page_ok)
    outcome = run(truncated_under_a_reader, ends="violation")
    assert outcome.detail["rule"] == "NULL mapping followed in readpage"


def test_write_without_memory_fails() -> None:
    def body(bench: Bench) -> None:
        taken = [page_alloc.alloc_page(bench.machine) for _ in bench.machine.pages]
        assert None not in taken
        assert bench.write(0, DATA) == -Errno.ENOMEM
        assert bench.read(0, 2) == -Errno.ENOMEM

    outcome = run(body)
    assert outcome.marks["alloc: no free page"] == 2


def test_writer_waits_for_writeback_with_the_page_locked() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        page_writeback.set_page_writeback(page)
        filemap.unlock_page(page)
        task = rt.spawn(bench.write, 0, [1, 2], name="writer", cpu=1)
        until(lambda: page.flags.peek(page_flags.PG_locked))
        for _ in range(50):
            rt.schedule()
        assert page.words.values == DATA
        filemap.end_page_writeback(page)
        rt.join(task)
        assert page.words.values == [1, 2, 13, 14]

    run(body)


def test_page_of_another_generation_is_poisoned_until_it_is_allocated_again() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        truncate.truncate_inode_pages(bench.mapping, 0)
        assert page.dead is not None and page.generation == 1
        assert not mm.get_page_unless_zero(page, "lookup")  # legal: the count is type-stable
        again = page_alloc.alloc_page(bench.machine)
        assert again is page and page.generation == 2 and page.words.values != DATA
        swap.put_page(page, "new")
        page.words.read(0)

    outcome = run(body, ends="violation", a_ops=NO_MIGRATEPAGE)
    assert outcome.detail["oracle"] == "use-after-free"
