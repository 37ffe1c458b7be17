"""The era oracle, and what the lock discipline lets an era wait for: on migrations that each era really made.

A run made in one era is judged as one of that era, and passes; judged as one of another, it is caught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest

from mmrace import runtime as rt
from mmrace.history.eras import ERAS
from mmrace.history.variant import applied
from mmrace.kernel.fs import buffer
from mmrace.kernel.mm import filemap, migrate, page_writeback, swap, vmscan
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC, MIGRATE_SYNC_LIGHT, MigrateMode
from mmrace.oracles.general.judgement import Oracle, Verdict
from mmrace.oracles.protocol import era, eras, lock_discipline
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record
from tests.kernel.mm.bench import NO_MIGRATEPAGE, PLAIN, Bench, run, until
from tests.oracles.hand import Hand
from tests.oracles.verdicts import caught, passed

DATA = [11, 12, 13, 14]
ISOLATE_ASYNC = vmscan.ISOLATE_ACTIVE | vmscan.ISOLATE_INACTIVE | vmscan.ISOLATE_ASYNC_MIGRATE


def attempt(bench: Bench, mode: MigrateMode) -> None:
    """Isolate the first page as the mode does, and try to move it."""
    page = bench.page()
    if bench.isolate(page, ISOLATE_ASYNC if mode == MIGRATE_ASYNC else None) == 0:
        pages = [page]
        if migrate.migrate_pages(pages, bench.new_page, None, False, mode, 1):
            migrate.putback_lru_pages(pages)
        swap.lru_add_drain_all(bench.machine)


def dirty(bench: Bench) -> None:
    filemap.lock_page(bench.fill(0, DATA))
    page_writeback.set_page_dirty(bench.page())
    filemap.unlock_page(bench.page())
    attempt(bench, MIGRATE_ASYNC)


def under_writeback(bench: Bench) -> None:
    filemap.lock_page(bench.fill(0, DATA))
    page_writeback.set_page_writeback(bench.page())
    filemap.unlock_page(bench.page())
    attempt(bench, MIGRATE_ASYNC)
    filemap.end_page_writeback(bench.page())


def busy_buffer(bench: Bench) -> None:
    bench.fill(0, DATA)
    bh = bench.ring()[1]
    buffer.lock_buffer(bh)
    task = rt.spawn(attempt, bench, MIGRATE_ASYNC, name="migrator", cpu=1)
    until(lambda: bh.b_count.value == 1)
    buffer.unlock_buffer(bh)
    rt.join(task)


def clean(mode: MigrateMode) -> Callable[[Bench], None]:
    def body(bench: Bench) -> None:
        bench.fill(0, DATA)
        attempt(bench, mode)

    return body


def record_of(made_in: str, body: Callable[[Bench], None], *, op: bool = True) -> Record:
    with applied(*ERAS[made_in].stack):
        a_ops = replace(PLAIN, migratepage=migrate.buffer_migrate_page) if op else NO_MIGRATEPAGE
        outcome = run(body, a_ops=a_ops)
    params = {"data": "ordered" if op else "journal"}
    return Record.of_run(outcome.gate, {"era": made_in, "params": params}, {})


def judged_as(record: Record, name: str) -> Record:
    record.header["era"] = name
    return record


class Case(NamedTuple):
    """A run, where it was made, the eras as one of which it is caught, by which rule of which judge."""

    body: Callable[[Bench], None]
    made_in: str
    wrong: tuple[str, ...]
    rule: str
    judge: Oracle = era.judge
    op: bool = True


WITH = ("3.2+trylock", "3.2+sync-light", "3.3", "3.4")
CASES = {
    "async sleeps for a buffer": Case(busy_buffer, "3.1", WITH, "ASYNC waits", lock_discipline.judge),
    "a third mode": Case(
        clean(MIGRATE_SYNC_LIGHT), "3.3", ("3.1", "3.2", "3.2+trylock"), "mode of another era"
    ),
    "a dirty page isolated": Case(dirty, "3.3", ("3.2",), "dirty page isolated"),
    "a dirty page without an op isolated": Case(dirty, "3.1", ("3.2", *WITH), "dirty page isolated", op=False),
    "a page under writeback isolated": Case(under_writeback, "3.1", ("3.2", *WITH), "page under writeback isolated"),
    "a dirty page moved": Case(dirty, "3.3", ("3.1", "3.2"), "dirty page moved"),
    "a dirty page refused": Case(dirty, "3.1", WITH, "dirty page refused"),
    "buffers before the slot": Case(clean(MIGRATE_ASYNC), "3.3", ("3.1", "3.2"), "buffer locked before the slot"),
    "mapping after the ptes": Case(
        clean(MIGRATE_SYNC), "3.4", tuple(name for name in ERAS if name != "3.4"), "mapping left too late"
    ),
    "mapping with the copy": Case(clean(MIGRATE_SYNC), "3.3", ("3.4",), "mapping left too soon"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_run_of_an_era_passes_as_one_of_it(name: str) -> None:
    case = CASES[name]
    record = record_of(case.made_in, case.body, op=case.op)
    passed(era.judge(record))
    passed(lock_discipline.judge(record))


@pytest.mark.parametrize(("name", "wrong"), [(name, wrong) for name, case in CASES.items() for wrong in case.wrong])
def test_judged_as_one_of_another_it_is_caught(name: str, wrong: str) -> None:
    case = CASES[name]
    record = judged_as(record_of(case.made_in, case.body, op=case.op), wrong)
    assert case.rule in {finding.rule for finding in case.judge(record).findings}


def test_sync_light_must_not_wait_for_writeback_and_may_for_locks() -> None:
    def waiting(owner: str, field: str, bit: str) -> Record:
        hand = Hand("migrator").lock("main", "page:1").note("migrator", "migrate-begin", "page:0", "MIGRATE_SYNC_LIGHT")
        return hand.queue("migrator", owner, bit, field).record()

    caught(lock_discipline.judge(waiting("page:0", "flags", "PG_writeback")), "SYNC_LIGHT waits")
    passed(lock_discipline.judge(waiting("page:0", "flags", "PG_locked")))
    passed(lock_discipline.judge(waiting("bh:1", "b_state", "BH_Lock")))


@pytest.mark.parametrize("name", ["3.1", "3.2"])
def test_before_the_patch_async_must_not_wait_for_pages_either(name: str) -> None:
    for bit in ("PG_locked", "PG_writeback"):
        hand = Hand("migrator").note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC")
        record = judged_as(hand.queue("migrator", "page:0", bit).record(), name)
        caught(lock_discipline.judge(record), "ASYNC waits")


def test_a_page_cleaned_or_dirtied_while_an_isolation_looked_is_nobody_s_fault() -> None:
    def isolated(begin: Callable[[Hand], Hand]) -> Record:
        hand = begin(Hand("migrator", "writer").write("main", "page:0.mapping", "mapping:disk"))
        hand.op("migrator", Kind.GET_UNLESS_ZERO, "page:0._count", "isolation", 3)
        return hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC").record()

    def look(hand: Hand) -> Hand:
        return hand.op("migrator", Kind.ACQUIRE, "zone:0.lru_lock", "irq")

    def soil(hand: Hand) -> Hand:
        return hand.lock("writer", "page:0", "PG_dirty")

    caught(era.judge(isolated(lambda hand: look(soil(hand)))), "dirty page isolated")
    assert not era.judge(isolated(lambda hand: soil(look(hand)))).findings


def test_a_dirty_anonymous_page_may_be_isolated_whatever_files_journal() -> None:
    """BUG once: false alarm with data=journal, under which no file's mapping has ->migratepage."""

    def isolated(mapping: str) -> Record:
        hand = Hand("migrator", "writer").write("main", "page:0.mapping", mapping).lock("writer", "page:0", "PG_dirty")
        hand.op("migrator", Kind.ACQUIRE, "zone:0.lru_lock", "irq")
        hand.op("migrator", Kind.GET_UNLESS_ZERO, "page:0._count", "isolation", 3)
        hand.params = {"data": "journal"}
        return hand.note("migrator", "migrate-begin", "page:0", "MIGRATE_ASYNC").record()

    caught(era.judge(isolated("mapping:2")), "dirty page isolated")
    assert not era.judge(isolated("anon_vma:2")).findings


def test_every_era_has_its_rules_and_a_record_without_one_is_of_3_3() -> None:
    assert list(eras.RULES) == list(ERAS)
    assert eras.rules_of(Hand().record()) is eras.RULES[eras.OWN]


def test_a_run_in_which_nothing_migrates_is_not_judged() -> None:
    assert era.judge(Hand("writer").lock("writer", "page:0").record()).verdict == Verdict.UNKNOWN
