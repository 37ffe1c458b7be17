"""Migration on real runs: what a move does to counts and contents, and each way in which it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferState
from mmrace.kernel.mm import filemap, migrate, mmzone, page_writeback, swap, truncate, vmscan
from mmrace.kernel.mm import page as page_
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, MIGRATE_SYNC_LIGHT, MigrateMode
from mmrace.kernel.mm.page import Page
from mmrace.runtime.free import FreeEngine
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.noise import PROFILES, Noise
from tests.kernel.mm.bench import NO_MIGRATEPAGE, Bench, Outcome, assert_idle, assert_memory, marked, run, until

MODES = list(MigrateMode)
DATA = [11, 12, 13, 14]
COUNT_KINDS = (Kind.GET, Kind.PUT, Kind.GET_UNLESS_ZERO, Kind.FREEZE, Kind.UNFREEZE)


def face(page: Page) -> tuple[object, ...]:
    """All that a failed migration must leave alone, without an op."""
    bhs = []
    head = bh = rt.peek(page, "private")
    while bh is not None:
        bhs.append((bh, bh.b_state.value, bh.b_count.value, rt.peek(bh, "b_page"), rt.peek(bh, "b_data")))
        bh = rt.peek(bh, "b_this_page")
        if bh is head:
            break
    slot = rt.peek(page, "mapping").page_tree.slots[rt.peek(page, "index")]
    return (
        page.flags.value, page._count.value, rt.peek(page, "mapping"), rt.peek(page, "index"), head, tuple(bhs),
        tuple(page.words.values), rt.peek(slot, "page"), slot.tags.value,
    )  # fmt: skip


def reasons(outcome: Outcome) -> list[tuple[str, str]]:
    return [(rc, reason) for _, _, _, rc, reason in outcome.notes("migrate-end")]


def counts_between_notes(outcome: Outcome, page: str) -> list[tuple[str, Any, Any]]:
    """The count ops on a page between "migrate-begin" and "migrate-end": (kind, ref or n, new count or outcome)."""
    lanes = outcome_lanes(outcome, page)
    found: list[tuple[str, Any, Any]] = []
    inside = False
    for _, op, a, b in outcome.gate.events:
        if op < 0:
            inside = (inside or a == "migrate-begin") and a != "migrate-end"
        elif inside and op >> SHIFT in lanes and op & KIND_MASK in COUNT_KINDS:
            found.append((Kind(op & KIND_MASK).name, a, b))
    return found


def outcome_lanes(outcome: Outcome, page: str) -> set[int]:
    from mmrace.runtime.record import Record  # noqa: PLC0415

    record = Record.of_run(outcome.gate, {}, {})
    return {lane for lane, owner in record.lanes("Page", "_count").items() if owner == page}


# -- moves -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_idle_page_moves_with_data_ring_and_flags(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        ring, flags = bench.ring(), old.flags.value
        assert bench.migrate(old, mode) == 0
        new = assert_idle(bench)
        assert new is not old and old.dead is not None
        assert new.words.values == DATA
        assert bench.ring() == ring
        assert [rt.peek(bh, "b_data") for bh in ring] == [0, 2]
        assert new.flags.value == flags
        assert_memory(bench)
        assert bench.read(0, 4) == DATA

    assert reasons(run(body)) == [("0", "moved")]


@pytest.mark.parametrize("mode", MODES)
def test_counts_of_a_move_follow_the_table(mode: MigrateMode) -> None:
    """The state walk of a move, for a page with buffers that nobody else uses."""

    def body(bench: Bench) -> None:
        assert bench.migrate(bench.fill(0, DATA), mode) == 0

    outcome = run(body)
    assert counts_between_notes(outcome, "page:0") == [
        ("FREEZE", 3, True),
        ("UNFREEZE", 2, "slot"),
        ("PUT", "private", 1),
    ]
    assert counts_between_notes(outcome, "page:1") == [
        ("GET", "new", 1),
        ("GET", "slot", 2),
        ("GET", "private", 3),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_page_without_buffers_moves(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        filemap.lock_page(old)
        assert filemap.try_to_release_page(old)
        filemap.unlock_page(old)
        assert bench.migrate(old, mode) == 0
        assert not assert_idle(bench).flags.peek(page_.PG_private)
        assert bench.read(0, 4) == DATA
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    outcome = run(body)
    assert counts_between_notes(outcome, "page:0") == [("FREEZE", 2, True), ("UNFREEZE", 1, "slot")]


@pytest.mark.parametrize("mode", MODES)
def test_dirty_page_moves_and_is_written_once(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        bench.write(2, [7, 8])
        swap.lru_add_drain_all(bench.machine)
        dirty = [bh.b_state.peek(BufferState.BH_Dirty) for bh in bench.ring()]
        assert dirty == [False, True]
        assert bench.migrate(bench.page(), mode) == 0
        new = assert_idle(bench)
        assert new.flags.peek(page_.PG_dirty) and bench.zone.vm_stat["NR_FILE_DIRTY"] == 1
        assert [bh.b_state.peek(BufferState.BH_Dirty) for bh in bench.ring()] == dirty
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(0) + bench.on_disk(1) == [11, 12, 7, 8]
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)
        assert_memory(bench)
        assert bench.zone.vm_stat["NR_FILE_DIRTY"] == 0

    assert run(body).marks["migrate: moved dirty"] == 1


def test_active_page_stays_active() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        for _ in range(3):
            swap.mark_page_accessed(page)
        swap.lru_add_drain_all(bench.machine)
        assert page in rt.peek(bench.zone, "active_list")
        assert bench.migrate(page, MIGRATE_ASYNC) == 0
        assert rt.peek(bench.zone, "active_list") == (bench.page(),)
        assert_idle(bench)

    run(body)


# -- refusals ----------------------------------------------------------------------------------------------------


def refused(bench: Bench, page: Page, mode: MigrateMode, passes: int = migrate.PASSES, same: bool = True) -> int:
    """Migrate a page that cannot move and check that it is as it was."""
    assert bench.isolate(page) == 0
    before = face(page)
    pages = [page]
    rc = migrate.migrate_pages(pages, bench.new_page, None, False, mode, passes)
    assert rc
    if same and pages:
        assert face(page) == before
    migrate.putback_lru_pages(pages)
    swap.lru_add_drain_all(bench.machine)
    return rc


@pytest.mark.parametrize("mode", MODES)
def test_locked_page_is_refused_without_force(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        assert refused(bench, page, mode, passes=3) == 1
        filemap.unlock_page(page)
        assert_idle(bench)
        assert_memory(bench)

    outcome = run(body)
    assert reasons(outcome) == [("-EAGAIN", "page-lock")] * 3
    assert outcome.marks["migrate: source page lock busy"] == 3
    assert outcome.marks["migrate_pages: pass limit"] == 1


def test_async_never_sleeps_for_the_page_lock() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        assert refused(bench, page, MIGRATE_ASYNC) == 1
        filemap.unlock_page(page)

    assert reasons(run(body)) == [("-EAGAIN", "page-lock")] * migrate.PASSES


@pytest.mark.parametrize("mode", [MIGRATE_SYNC_LIGHT, MIGRATE_SYNC])
def test_forced_pass_sleeps_for_the_page_lock(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)

        def holder() -> None:
            filemap.lock_page(page)
            until(lambda: marked("migrate: slept for the page lock"))
            filemap.unlock_page(page)

        task = rt.spawn(holder, name="holder", cpu=1)
        until(lambda: page.flags.peek(page_.PG_locked))
        assert bench.migrate(page, mode) == 0
        rt.join(task)
        assert_idle(bench)

    assert reasons(run(body)) == [("-EAGAIN", "page-lock")] * 3 + [("0", "moved")]


def test_direct_compactor_never_sleeps_for_the_page_lock() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        filemap.lock_page(page)
        rt.current().pf |= mmzone.PF_MEMALLOC
        assert refused(bench, page, MIGRATE_SYNC) == 1
        filemap.unlock_page(page)

    assert run(body).marks["migrate: PF_MEMALLOC may not lock"] == migrate.PASSES - 3


@pytest.mark.parametrize("mode", [MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT])
def test_page_under_writeback_is_busy_unless_sync(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        under_writeback(page)
        assert refused(bench, page, mode, same=False) == 1
        filemap.end_page_writeback(page)
        assert_idle(bench)
        assert_memory(bench)

    assert reasons(run(body)) == [("-EBUSY", "writeback")]


def under_writeback(page: Page) -> None:
    filemap.lock_page(page)
    page_writeback.set_page_writeback(page)
    filemap.unlock_page(page)


def test_sync_waits_for_writeback_on_a_forced_pass() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        under_writeback(page)

        def ender() -> None:
            until(lambda: marked("migrate: waited for writeback"))
            filemap.end_page_writeback(page)

        task = rt.spawn(ender, name="ender", cpu=1)
        assert bench.migrate(page, MIGRATE_SYNC) == 0
        rt.join(task)
        assert_memory(bench)

    assert reasons(run(body)) == [("-EAGAIN", "writeback")] * 3 + [("0", "moved")]


@pytest.mark.parametrize("mode", MODES)
def test_page_with_another_reference_is_refused(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert filemap.find_get_page(bench.mapping, 0) is page
        assert refused(bench, page, mode) == 1
        page_.put_page(page, "lookup")
        assert bench.migrate(page, mode) == 0

    outcome = run(body)
    assert reasons(outcome) == [("-EAGAIN", "refcount")] * migrate.PASSES + [("0", "moved")]


def test_pagevec_resident_is_not_isolated() -> None:
    def body(bench: Bench) -> None:
        bench.write(0, DATA)
        assert bench.isolate(bench.page()) == -Errno.EINVAL

    assert run(body).marks["isolate: not on the LRU"] == 1


def test_lookup_between_count_test_and_freeze_loses_the_freeze(monkeypatch: pytest.MonkeyPatch) -> None:
    freeze = page_.page_freeze_refs
    gets = [True]

    def freeze_after_a_lookup(page: Page, count: int) -> bool:
        late = gets and gets.pop() and page_.get_page_unless_zero(page, "lookup")
        frozen = freeze(page, count)
        if late:
            page_.put_page(page, "lookup")
        return frozen

    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        monkeypatch.setattr(page_, "page_freeze_refs", freeze_after_a_lookup)
        assert bench.migrate(page, MIGRATE_ASYNC) == 0
        assert_idle(bench)
        assert_memory(bench)

    outcome = run(body)
    assert reasons(outcome) == [("-EAGAIN", "freeze"), ("0", "moved")]
    assert outcome.marks["migrate: freeze lost"] == 1


@pytest.mark.parametrize("busy", [0, 1, 2])
def test_async_backs_out_of_a_busy_buffer(busy: int) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[busy]
        buffer.lock_buffer(bh)
        assert refused(bench, page, MIGRATE_ASYNC, passes=1) == 1
        assert bench.cached() is page
        buffer.unlock_buffer(bh)
        assert bench.migrate(page, MIGRATE_ASYNC) == 0
        assert_idle(bench)
        assert_memory(bench)

    outcome = run(body, buffers_per_page=4, words_per_buffer=1)
    assert reasons(outcome) == [("-EAGAIN", "buffer-lock"), ("0", "moved")]
    assert outcome.marks["async back-out"] == 1
    assert outcome.marks.get("async back-out: middle of the ring", 0) == busy
    assert counts_between_notes(outcome, "page:0")[:2] == [("FREEZE", 3, True), ("UNFREEZE", 3, None)]


@pytest.mark.parametrize("mode", [MIGRATE_SYNC_LIGHT, MIGRATE_SYNC])
def test_sync_sleeps_for_a_buffer_with_the_slot_moved(mode: MigrateMode) -> None:
    """Window W: the slot shows the new page, locked and not uptodate, the old one has ring and data."""

    def body(bench: Bench) -> None:
        old = bench.fill(0, DATA)
        bh = bench.ring()[1]
        buffer.lock_buffer(bh)
        task = rt.spawn(bench.migrate, old, mode, name="migrator", cpu=1)
        until(lambda: bench.cached() is not old and bh.b_count.value == 1)
        new = bench.page()
        assert new.flags.peek(page_.PG_locked) and not new.flags.peek(page_.PG_uptodate)
        assert rt.peek(bh, "b_page") is old and old.flags.peek(page_.PG_private)
        assert old._count.value == 2 and new._count.value == 2

        values: list[object] = []
        reader = rt.spawn(lambda: values.append(bench.read(0, 4)), name="reader", cpu=0)
        until(lambda: new._count.value == 3)
        assert not values
        buffer.unlock_buffer(bh)
        rt.join(reader)
        rt.join(task)
        assert values == [DATA]
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)
        assert_memory(bench)

    outcome = run(body)
    assert outcome.marks["read: filled while waiting for its lock"] == 1


def test_no_target_ends_the_call() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert bench.isolate(page) == 0
        pages = [page]
        assert migrate.migrate_pages(pages, lambda page, private: None, None, False, MIGRATE_SYNC) == -Errno.ENOMEM
        assert pages == [page]
        migrate.putback_lru_pages(pages)
        swap.lru_add_drain_all(bench.machine)
        assert_idle(bench)
        assert_memory(bench)

    outcome = run(body)
    assert outcome.notes("migrate-end") == [("page:0", None, "MIGRATE_SYNC", "-ENOMEM", "nomem")]


def test_page_freed_after_isolation_needs_no_move() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert bench.isolate(page) == 0
        truncate.truncate_inode_pages(bench.mapping, 0)
        pages = [page]
        assert migrate.migrate_pages(pages, bench.new_page, None, False, MIGRATE_ASYNC) == 0
        assert not pages
        swap.lru_add_drain_all(bench.machine)
        assert bench.cached() is None
        assert_memory(bench)

    assert reasons(run(body)) == [("0", "freed")]


def test_orphan_of_truncation_is_stripped_then_found_free() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        assert bench.isolate(page) == 0
        bh = bench.ring()[0]
        buffer.get_bh(bh, "jh")
        truncate.truncate_inode_pages(bench.mapping, 0)
        buffer.put_bh(bh, "jh")
        assert page.flags.peek(page_.PG_private) and rt.peek(page, "mapping") is None
        pages = [page]
        assert migrate.migrate_pages(pages, bench.new_page, None, False, MIGRATE_ASYNC) == 0
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    assert reasons(run(body)) == [("-EAGAIN", "truncated"), ("0", "freed")]


# -- without ->migratepage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_fallback_strips_a_clean_page_and_moves_it(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        assert bench.migrate(bench.fill(0, DATA), mode) == 0
        assert not assert_idle(bench).flags.peek(page_.PG_private)
        assert bench.read(0, 4) == DATA
        swap.lru_add_drain_all(bench.machine)
        assert_memory(bench)

    assert reasons(run(body, a_ops=NO_MIGRATEPAGE)) == [("0", "moved")]


@pytest.mark.parametrize("mode", MODES)
def test_fallback_cannot_strip_a_buffer_in_use(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bh = bench.ring()[1]
        buffer.get_bh(bh, "jh")
        assert refused(bench, page, mode) == 1
        buffer.put_bh(bh, "jh")
        assert_idle(bench)

    outcome = run(body, a_ops=NO_MIGRATEPAGE)
    assert reasons(outcome) == [("-EAGAIN", "releasepage")] * migrate.PASSES


@pytest.mark.parametrize("mode", [MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT])
def test_fallback_refuses_a_dirty_page_unless_sync(mode: MigrateMode) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.write(0, DATA)
        swap.lru_add_drain_all(bench.machine)
        assert refused(bench, page, mode) == 1
        assert page.flags.peek(page_.PG_dirty)
        assert_memory(bench)

    assert reasons(run(body, a_ops=NO_MIGRATEPAGE)) == [("-EBUSY", "dirty")]


@pytest.mark.parametrize("seed", range(8))
def test_sync_fallback_writes_a_dirty_page_and_moves_it_later(seed: int) -> None:
    def body(bench: Bench) -> None:
        page = bench.fill(0, DATA)
        bench.write(0, [1, 2, 3, 4])
        swap.lru_add_drain_all(bench.machine)
        assert bench.migrate(page, MIGRATE_SYNC) == 0
        assert bench.on_disk(0) + bench.on_disk(1) == [1, 2, 3, 4]
        assert_idle(bench)
        assert_memory(bench)

    outcome = run(body, seed=seed, a_ops=NO_MIGRATEPAGE)
    assert reasons(outcome)[0] == ("-EAGAIN", "writeout")
    assert reasons(outcome)[-1] == ("0", "moved")
    assert outcome.marks["writeout: written"] == 1


# -- together ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(20))
def test_writer_reader_flusher_reclaimer_and_migrator_together(seed: int, mode: MigrateMode) -> None:
    """Content, counts and accounting are right whatever the order was."""
    run(lambda bench: together(bench, mode), seed=seed, irq_cpu="any", values=[seed >> i & 1 for i in range(12)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_same_cast_on_real_threads(profile: str, mode: MigrateMode) -> None:
    engine = FreeEngine(Noise(profile, 1), seed=1, ncpus=2)
    engine.run(lambda: together(Bench(irq_cpu="any"), mode))
    if engine.error is not None:
        raise engine.error
    assert engine.end["how"] == "finished", engine.end


def together(bench: Bench, mode: MigrateMode) -> None:
    """Run the actors to their ends, then check everything."""
    words = bench.machine.words_per_page
    for index in range(2):
        bench.fill(index, [0] * words)
    tasks = [rt.spawn(actor, bench, name=actor.__name__, cpu=i % 2) for i, actor in enumerate(ACTORS)]
    tasks.append(rt.spawn(migrator, bench, mode, name="migrator", cpu=1))
    for task in tasks:
        rt.join(task)
    assert filemap.filemap_write_and_wait(bench.mapping) == 0
    swap.lru_add_drain_all(bench.machine)
    for index in range(2):
        assert bench.read(index * words, words) == [ROUNDS] * words
        assert bench.on_disk(2 * index) + bench.on_disk(2 * index + 1) == [ROUNDS] * words
    swap.lru_add_drain_all(bench.machine)
    for index in range(2):
        assert_idle(bench, index)
    assert_memory(bench)


ROUNDS = 4


def writer(bench: Bench) -> None:
    words = bench.machine.words_per_page
    for value in range(1, ROUNDS + 1):
        for index in range(2):
            assert bench.write(index * words, [value] * words) == words


def reader(bench: Bench) -> None:
    words = bench.machine.words_per_page
    for _ in range(ROUNDS):
        for index in range(2):
            values = bench.read(index * words, words)
            assert isinstance(values, list)


def flusher(bench: Bench) -> None:
    for i in range(ROUNDS):
        mode = page_writeback.WB_SYNC_ALL if i % 2 else page_writeback.WB_SYNC_NONE
        page_writeback.do_writepages(bench.mapping, page_writeback.WritebackControl(sync_mode=mode))


def reclaimer(bench: Bench) -> None:
    rt.current().pf |= mmzone.PF_KSWAPD
    for _ in range(ROUNDS):
        vmscan.shrink_inactive_list(bench.machine, 2, vmscan.ScanControl(priority=0, may_writepage=True))


ACTORS = (writer, reader, flusher, reclaimer)


def migrator(bench: Bench, mode: MigrateMode) -> None:
    isolate_mode = vmscan.ISOLATE_ACTIVE | vmscan.ISOLATE_INACTIVE
    for _ in range(ROUNDS):
        migrate.migrate_prep_local(bench.machine)
        pages = []
        for page in bench.machine.pages:
            if page.flags.peek(page_.PG_lru) and bench.isolate(page, isolate_mode) == 0:
                pages.append(page)
        if migrate.migrate_pages(pages, bench.new_page, None, False, mode, 4):
            migrate.putback_lru_pages(pages)
