"""What each era does otherwise, on real runs of the kernel model with the era's names bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.history.eras import ERAS
from mmrace.history.variant import applied
from mmrace.kernel import gfp
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import compaction, filemap, migrate, mmzone, page_alloc, page_writeback, swap, vmscan, vmscan_zone
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, MIGRATE_SYNC_LIGHT
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.kinds import CLEAR, KIND_MASK, PUT, SHIFT, UNFREEZE, WRITE
from mmrace.runtime.record import Record
from tests.kernel.mm.bench import NO_MIGRATEPAGE, PLAIN, Bench, Outcome, assert_idle, assert_memory, marked, run, until

DATA = [11, 12, 13, 14]
BEFORE = ("3.1", "3.2")
WITH_THE_PATCH = ("3.2+trylock", "3.2+sync-light", "3.3", "3.4")
TWO_MODES = ("3.1", "3.2", "3.2+trylock")
THREE_MODES = ("3.2+sync-light", "3.3", "3.4")


def ends(outcome: Outcome) -> list[tuple[str, str, str]]:
    """The mode, the code and the reason of each attempt."""
    return [(mode, rc, reason) for _, _, mode, rc, reason in outcome.notes("migrate-end")]


def dirty(page: Page) -> None:
    filemap.lock_page(page)
    page_writeback.set_page_dirty(page)
    filemap.unlock_page(page)


def under_writeback(page: Page) -> None:
    filemap.lock_page(page)
    page_writeback.set_page_writeback(page)
    filemap.unlock_page(page)


def played(era: str, body: Any, **given: Any) -> Outcome:
    """Run on a file with the op that the era has for pages with buffers."""
    with applied(*ERAS[era].stack):
        return run(body, **{"a_ops": replace(PLAIN, migratepage=migrate.buffer_migrate_page), **given})


@pytest.mark.parametrize("era", BEFORE)
def test_before_the_patch_async_sleeps_for_a_buffer_of_a_clean_page(era: str) -> None:
    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        bh = bench.ring()[1]
        buffer.lock_buffer(bh)
        task = rt.spawn(bench.migrate, old, MIGRATE_ASYNC, name="migrator", cpu=1)
        until(lambda: bench.cached() is not old and bh.b_count.value == 1)
        assert rt.peek(bh, "b_page") is old
        buffer.unlock_buffer(bh)
        rt.join(task)
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)
        assert_memory(bench)

    assert ends(played(era, body)) == [("MIGRATE_ASYNC", "0", "moved")]


@pytest.mark.parametrize("era", WITH_THE_PATCH)
def test_with_it_async_tries_the_buffers_and_backs_out(era: str) -> None:
    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        bh = bench.ring()[1]
        buffer.lock_buffer(bh)
        assert bench.migrate(old, MIGRATE_ASYNC) == 1
        assert bench.cached() is old
        buffer.unlock_buffer(bh)

    assert set(ends(played(era, body))) == {("MIGRATE_ASYNC", "-EAGAIN", "buffer-lock")}


@pytest.mark.parametrize("era", ERAS)
def test_async_moves_a_dirty_page_with_buffers_since_the_patch(era: str) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        dirty(page)
        assert bench.migrate(page, MIGRATE_ASYNC) == (1 if era in BEFORE else 0)

    refused = ("MIGRATE_ASYNC", "-EBUSY", "dirty")
    assert ends(played(era, body)) == [refused if era in BEFORE else ("MIGRATE_ASYNC", "0", "moved")]


@pytest.mark.parametrize("era", BEFORE)
def test_before_it_a_sync_migration_moves_a_dirty_page_too(era: str) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        dirty(page)
        assert bench.migrate(page, MIGRATE_SYNC) == 0

    assert ends(played(era, body)) == [("MIGRATE_SYNC", "0", "moved")]


ASYNC = vmscan.ISOLATE_ACTIVE | vmscan.ISOLATE_INACTIVE | vmscan.ISOLATE_ASYNC_MIGRATE


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("what", ["clean", "dirty", "writeback"])
@pytest.mark.parametrize("op", [True, False], ids=["its op", "no op"])
def test_what_an_async_isolation_takes(era: str, what: str, op: bool) -> None:
    takes = what == "clean" or era == "3.1" or (what == "dirty" and op and era != "3.2")

    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        swap.lru_add_drain_all(bench.machine)
        {"clean": lambda page: None, "dirty": dirty, "writeback": under_writeback}[what](page)
        assert bench.isolate(page, ASYNC) == (0 if takes else -Errno.EBUSY)

    played(era, body, **({} if op else {"a_ops": NO_MIGRATEPAGE}))


@pytest.mark.parametrize("era", ERAS)
def test_sync_light_waits_for_writeback_where_it_is_no_mode_of_its_own(era: str) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        under_writeback(page)

        def ender() -> None:
            until(lambda: marked("migrate: waited for writeback"))
            filemap.end_page_writeback(page)

        if era in THREE_MODES:
            assert bench.migrate(page, MIGRATE_SYNC_LIGHT) == 1
            filemap.end_page_writeback(page)
        else:
            rt.spawn(ender, name="ender", cpu=1)
            assert bench.migrate(page, MIGRATE_SYNC_LIGHT) == 0

    found = ends(played(era, body))
    if era in THREE_MODES:
        assert found == [("MIGRATE_SYNC_LIGHT", "-EBUSY", "writeback")]
    else:
        assert {mode for mode, *_ in found} == {"MIGRATE_SYNC"} and found[-1][1:] == ("0", "moved")


def steps_of(outcome: Outcome, cls: str, field: str, kind: int, what: object = None, bit: str = "") -> list[int]:
    """The steps at which such an op was done, between the notes of the only attempt."""
    record = Record.of_run(outcome.gate, {}, {})
    lanes = record.bit_lane(cls, field, bit) if bit else record.lanes(cls, field)
    begin, end = (record.steps_on((), notes=(note,))[0] for note in ("migrate-begin", "migrate-end"))
    return [
        step
        for step in range(begin, end)
        for _, op, a, b in [record.events[step]]
        if op >= 0 and op >> SHIFT in lanes and op & KIND_MASK == kind and what in (None, a)
    ]


def moved(era: str) -> Outcome:
    def body(bench: Bench) -> None:
        assert bench.migrate(bench.fill(0, DATA), MIGRATE_SYNC) == 0

    return played(era, body)


@pytest.mark.parametrize("era", ERAS)
def test_the_old_page_leaves_its_mapping_with_the_copy_until_3_4(era: str) -> None:
    outcome = moved(era)
    (cleared,) = [
        step
        for step in steps_of(outcome, "Page", "mapping", WRITE)
        if Record.of_run(outcome.gate, {}, {}).events[step][3] is None
    ]
    unlocked = steps_of(outcome, "BufferHead", "b_state", CLEAR, bit="BH_Lock")
    assert (cleared > max(unlocked)) == (era == "3.4")
    assert cleared < max(steps_of(outcome, "Page", "flags", CLEAR, bit="PG_locked"))


@pytest.mark.parametrize("era", ERAS)
def test_the_slot_s_reference_goes_with_the_thaw_since_3_3(era: str) -> None:
    outcome = moved(era)
    assert len(steps_of(outcome, "Page", "_count", UNFREEZE, 2 if era in ("3.3", "3.4") else 3)) == 1
    assert len(steps_of(outcome, "Page", "_count", PUT, "slot")) == (era not in ("3.3", "3.4"))


@pytest.mark.parametrize("era", ERAS)
def test_what_a_failed_compaction_puts_off(era: str) -> None:
    with applied(*ERAS[era].stack):
        assert page_alloc._defers(True) and page_alloc._defers(False) == (era not in ("3.3", "3.4"))
        assert page_alloc._gives_up_if_deferred(gfp.GFP_TRANSHUGE, True) == (era in ("3.3", "3.4"))
        assert compaction._compact_memory_sync() == (era not in BEFORE)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("suitable", [True, False])
@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("free", [True, False])
def test_when_a_reclaim_leaves_the_rest_to_compaction(
    monkeypatch: pytest.MonkeyPatch, era: str, suitable: bool, deferred: bool, free: bool
) -> None:
    result = compaction.COMPACT_CONTINUE if suitable else compaction.COMPACT_SKIPPED
    monkeypatch.setattr(compaction, "compaction_suitable", lambda zone, order: result)
    monkeypatch.setattr(compaction, "compaction_deferred", lambda zone: deferred)
    monkeypatch.setattr(page_alloc, "zone_watermark_ok", lambda *_: free)
    shipped = free and (deferred or suitable)
    wanted = {"3.1": False, "3.3": shipped, "3.4": shipped}.get(era, suitable or deferred)

    def body(bench: Bench) -> None:
        costly = mmzone.costly_order(bench.machine)
        for order, ready in ((costly, False), (costly + 1, wanted)):
            sc = vmscan.ScanControl(order=order, costly_order=costly)
            assert vmscan_zone.compaction_ready(bench.zone, sc) == ready

    played(era, body)


@pytest.mark.parametrize("era", ERAS)
def test_a_direct_reclaim_writes_a_dirty_page_until_3_2(era: str) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.dirty(0, [1])  # and not referenced
        assert bench.isolate(page) == 0
        left = vmscan.shrink_page_list([page], vmscan.ScanControl())
        for kept in left:
            bench.zone.account("NR_ISOLATED", -1)
            vmscan.putback_lru_page(kept)

    outcome = played(era, body)
    writes = outcome.marks.get("reclaim: paged out", 0)
    assert (writes == 1, outcome.marks.get("reclaim: dirty", 0) == 1) == (era == "3.1", era != "3.1")
