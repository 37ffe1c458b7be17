"""Mapped pages on real runs: faults, what takes ptes away, migration entries, and what becomes of their dirt."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.kernel.mm import (
    fault,
    filemap,
    migrate,
    mm,
    mm_types,
    mmap,
    page_flags,
    page_writeback,
    pgtable,
    rmap,
    swap,
    swapops,
    truncate,
)
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm import VmFault
from mmrace.kernel.mm.mm_types import MmStruct, Page
from tests.kernel.mm.bench import Bench, assert_memory, marked, run, until

PAGES = 2


def mapped(bench: Bench, times: int = 1) -> MmStruct:
    """Map the file's first pages, so often, one mapping after the other."""
    mm_ = mm_types.MmStruct("mm", bench.machine, times * PAGES)
    for start in range(0, times * PAGES, PAGES):
        rt.mutex_lock(mm_.mmap_sem)
        mmap.mmap_region(mm_, bench.mapping, start, PAGES, 0)
        rt.mutex_unlock(mm_.mmap_sem)
    return mm_


def unmap(mm_: MmStruct, start: int = 0) -> None:
    rt.mutex_lock(mm_.mmap_sem)
    mmap.do_munmap(mm_, start)
    rt.mutex_unlock(mm_.mmap_sem)


def pte(mm_: MmStruct, address: int = 0) -> int:
    value: int = mm_.ptes.values[address]
    return value


def dirty(page: Page) -> bool:
    return page.flags.peek(page_flags.PG_dirty)


def mapcount(page: Page) -> int:
    count: int = rt.peek(page, "_mapcount")
    return count + 1


def test_a_load_maps_the_page_read_only_and_a_store_makes_pte_and_page_dirty() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        assert fault.load_word(mm_, 0, 1) == (VmFault(0), 101)
        assert pte(mm_) == pgtable.mk_pte(page) and not pgtable.pte_write(pte(mm_))
        assert (mapcount(page), page._count.value, dirty(page)) == (1, 3, False)
        assert fault.store_word(mm_, 0, 0, 7) == VmFault(0)
        assert pgtable.pte_write(pte(mm_)) and pgtable.pte_dirty(pte(mm_))
        assert dirty(page) and (mapcount(page), page._count.value) == (1, 3)
        assert bench.read(0, 2) == [7, 101]
        assert bench.zone.vm_stat["NR_FILE_MAPPED"] == 1
        unmap(mm_)
        swap.lru_add_drain_all(bench.machine)  # it was used, and waits in a pagevec to become active
        assert (mapcount(page), page._count.value, pte(mm_)) == (0, 2, 0)
        assert bench.zone.vm_stat["NR_FILE_MAPPED"] == 0
        assert_memory(bench)

    run(body)


def test_a_store_to_a_page_that_is_not_cached_reads_it_and_comes_to_the_disk() -> None:
    def body(bench: Bench) -> None:
        mm_ = mapped(bench)
        assert bench.cached() is None
        assert fault.store_word(mm_, 0, 0, 7) == VmFault(0)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(0)[0] == 7

    run(body)


def test_an_access_beyond_the_end_of_the_file_is_sigbus() -> None:
    def body(bench: Bench) -> None:
        bench.fill()
        mm_ = mapped(bench)
        bench.inode.i_size = 0
        assert fault.load_word(mm_, 0, 0) == (VmFault.VM_FAULT_SIGBUS, 0)
        assert fault.store_word(mm_, 1, 0, 7) == VmFault.VM_FAULT_SIGBUS

    run(body)


def test_writeback_takes_the_right_to_store_so_that_the_next_store_is_told() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench, 2)
        fault.store_word(mm_, 0, 0, 7)
        fault.store_word(mm_, PAGES, 0, 8)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert not dirty(page)
        for address in (0, PAGES):
            assert not pgtable.pte_write(pte(mm_, address)) and not pgtable.pte_dirty(pte(mm_, address))
        fault.store_word(mm_, 0, 0, 9)
        assert dirty(page)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(0)[0] == 9

    run(body)


def test_the_dirt_of_a_pte_that_munmap_takes_away_is_the_pages() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        fault.store_word(mm_, 0, 0, 7)
        filemap.lock_page(page)
        assert page_writeback.clear_page_dirty_for_io(page)
        pgtable.set_pte_at(mm_, 0, pgtable.pte_mkdirty(pgtable.pte_mkwrite(pte(mm_))))  # as a store in between would
        filemap.unlock_page(page)
        unmap(mm_)
        assert dirty(page)

    run(body)


@pytest.mark.parametrize("mode", list(MigrateMode), ids=lambda mode: mode.name)
def test_a_mapped_page_moves_and_its_ptes_with_it(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        old = bench.fill()
        mm_ = mapped(bench, 2)
        fault.store_word(mm_, 0, 0, 7)
        fault.load_word(mm_, PAGES, 0)
        assert bench.migrate(old, mode) == 0
        new = bench.page()
        assert new is not old and dirty(new)
        assert pte(mm_) == pgtable.pte_mkold(pgtable.pte_mkwrite(pgtable.mk_pte(new)))
        assert pte(mm_, PAGES) == pgtable.pte_mkold(pgtable.mk_pte(new))
        assert (mapcount(new), mapcount(old), new._count.value) == (2, 0, 4)
        assert fault.load_word(mm_, 0, 0) == (VmFault(0), 7)
        unmap(mm_)
        unmap(mm_, PAGES)
        assert_memory(bench)

    run(body)


def test_a_refused_page_gets_its_ptes_back() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        fault.store_word(mm_, 0, 0, 7)
        mm.get_page(page, "gup")
        assert bench.migrate(page, MigrateMode.MIGRATE_ASYNC, passes=2) == 1
        assert pte(mm_) == pgtable.pte_mkold(pgtable.pte_mkwrite(pgtable.mk_pte(page)))
        assert dirty(page) and mapcount(page) == 1
        page._count.put("gup")

    run(body)


def test_r6_the_reference_of_a_fault_that_waits_for_a_migration_makes_the_next_try_fail() -> None:
    """The fault sleeps for the page's lock with a reference, which the retry of that migration finds one too many."""

    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        fault.load_word(mm_, 0, 0)
        filemap.lock_page(page)
        rmap.try_to_unmap(page, rmap.TTU_MIGRATION | rmap.TTU_IGNORE_ACCESS)
        assert swapops.is_migration_entry(pte(mm_)) and mapcount(page) == 0
        assert not swapops.is_write_migration_entry(pte(mm_))
        waiter = rt.spawn(fault.load_word, mm_, 0, 0, name="waiter", cpu=1)
        until(lambda: marked("migration entry: page lock awaited"))
        assert page._count.value == 3  # slot, ring, and the one who waits
        assert bench.isolate(page) == 0
        newpage = bench.new_page(page, None)
        assert newpage is not None
        assert migrate.move_to_new_page(newpage, page, True, MigrateMode.MIGRATE_ASYNC) == -11
        assert marked("migrate: refcount too high")
        rmap.remove_migration_ptes(page, page)
        filemap.unlock_page(page)
        rt.join(waiter)
        assert page._count.value == 4  # slot, ring, isolation, and the pte
        migrate.putback_lru_pages([page])
        newpage._count.put("new")

    assert run(body).marks["migration entry: removed"] == 1


def test_a_fault_on_the_entry_of_a_frozen_page_comes_again_until_it_thaws() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        fault.load_word(mm_, 0, 0)
        filemap.lock_page(page)
        rmap.try_to_unmap(page, rmap.TTU_MIGRATION | rmap.TTU_IGNORE_ACCESS)
        rt.spin_lock_irq(bench.mapping.tree_lock)
        assert filemap.page_freeze_refs(page, 2)
        waiter = rt.spawn(fault.load_word, mm_, 0, 0, name="waiter", cpu=1)
        until(lambda: marked("migration entry: page frozen"))
        filemap.page_unfreeze_refs(page, 2)
        rt.spin_unlock_irq(bench.mapping.tree_lock)
        rmap.remove_migration_ptes(page, page)
        filemap.unlock_page(page)
        rt.join(waiter)
        assert mapcount(page) == 1

    run(body)


def test_an_entry_of_a_page_that_is_not_locked_is_a_bug() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        fault.load_word(mm_, 0, 0)
        filemap.lock_page(page)
        rmap.try_to_unmap(page, rmap.TTU_MIGRATION | rmap.TTU_IGNORE_ACCESS)
        filemap.unlock_page(page)
        fault.load_word(mm_, 0, 0)

    assert run(body, ends="violation").detail["rule"] == "migration_entry_to_page: page is not locked"


def test_reclaim_leaves_a_pte_in_use_and_counts_uses() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench, 2)
        fault.load_word(mm_, 0, 0)
        fault.load_word(mm_, PAGES, 0)
        filemap.lock_page(page)
        assert rmap.try_to_unmap(page, rmap.TTU_UNMAP) == rmap.SwapResult.SWAP_FAIL
        assert rmap.page_referenced(page, True) == 1  # the look before made the other one old
        assert rmap.page_referenced(page, True) == 0
        assert rmap.try_to_unmap(page, rmap.TTU_UNMAP) == rmap.SwapResult.SWAP_SUCCESS
        assert (pte(mm_), pte(mm_, PAGES), mapcount(page), page._count.value) == (0, 0, 0, 2)
        filemap.unlock_page(page)

    run(body)


def test_truncation_takes_the_ptes_before_the_pages_and_leaves_those_before_the_end() -> None:
    def body(bench: Bench) -> None:
        first, second = bench.fill(0), bench.fill(1)
        mm_ = mapped(bench)
        fault.store_word(mm_, 0, 0, 7)
        fault.store_word(mm_, 1, 0, 7)
        words = bench.machine.words_per_page
        bench.inode.i_size = words
        truncate.truncate_pagecache(bench.inode, words)
        assert (mapcount(first), pte(mm_, 1), bench.cached(1)) == (1, 0, None)
        assert second.dead is not None
        assert fault.load_word(mm_, 1, 0) == (VmFault.VM_FAULT_SIGBUS, 0)
        assert_memory(bench)

    run(body)
