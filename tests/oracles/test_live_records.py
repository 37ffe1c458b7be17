"""Oracles on records of real runs: lanes and objects come from the runtime, not from a hand."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.oracles.general.bench import judge_all
from mmrace.oracles.general.judgement import Finding, Verdict
from mmrace.oracles.protocol import PROTOCOL
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.record import Record
from mmrace.runtime.strategy import RoundRobin
from mmrace.scenarios.tables import KERNEL


class Bits(IntEnum):
    """The flags that the oracles know by name."""

    PG_locked = 0
    PG_writeback = 1


class Page(rt.Struct):
    """As much of a page as these runs need."""

    flags = rt.flag_word(Bits, waitable=(Bits.PG_locked, Bits.PG_writeback))
    _count = rt.refcount()
    mapping: rt.Field[object] = rt.shared(None)


class Slot(rt.Struct):
    """A slot of the page tree."""

    page: rt.Field[Page | None] = rt.shared(None)


def _run(main: Callable[[Page, Slot], None]) -> Record:
    def play() -> None:
        page, slot = Page(("page", 0)), Slot(("slot", 5, 0))
        rt.note("page-alloc", page)
        page._count.get("new")
        main(page, slot)

    engine = GateEngine(RoundRobin(), ncpus=2, tables=KERNEL)
    engine.run(play)
    assert engine.error is None or isinstance(engine.error, rt.Violation)
    return Record.of_run(engine, {"engine": "gate"}, {})


def _findings(record: Record) -> list[Finding]:
    return [finding for judgement in judge_all(record, PROTOCOL) for finding in judgement.findings]


def _correct(page: Page, slot: Slot) -> None:
    rt.bit_lock(page.flags, Bits.PG_locked)
    page._count.rename("new", "slot")
    slot.page = page
    rt.spawn(_reader, page)
    rt.bit_unlock(page.flags, Bits.PG_locked)


def _reader(page: Page) -> None:
    page._count.get("lookup")
    rt.bit_lock(page.flags, Bits.PG_locked)
    rt.bit_unlock(page.flags, Bits.PG_locked)
    page._count.put("lookup")


def _double_put(page: Page, slot: Slot) -> None:
    page._count.get("lookup")
    page._count.put("lookup")
    page._count.put("lookup")


def _lost_get(page: Page, slot: Slot) -> None:
    page._count.get("lookup")
    page._count.unfreeze(1)


def _slot_of_unlocked(page: Page, slot: Slot) -> None:
    slot.page = page


def _writeback_unlocked(page: Page, slot: Slot) -> None:
    rt.test_and_set_bit(page.flags, Bits.PG_writeback)


def _stranger(page: Page, slot: Slot) -> None:
    rt.bit_lock(page.flags, Bits.PG_locked)
    rt.join(rt.spawn(lambda: rt.bit_unlock(page.flags, Bits.PG_locked)))


def _held_at_exit(page: Page, slot: Slot) -> None:
    rt.bit_lock(page.flags, Bits.PG_locked)


def _async_waits(page: Page, slot: Slot) -> None:
    rt.bit_lock(page.flags, Bits.PG_locked)
    task = rt.spawn(_async_migrator, page)
    while rt.test_bit(page.flags, Bits.PG_locked) and not task.ready:
        rt.schedule()
    for _ in range(8):
        rt.schedule()
    rt.bit_unlock(page.flags, Bits.PG_locked)


def _async_migrator(page: Page) -> None:
    rt.note("migrate-begin", page, "MIGRATE_ASYNC")
    rt.bit_lock(page.flags, Bits.PG_locked)
    rt.bit_unlock(page.flags, Bits.PG_locked)
    rt.note("migrate-end", page, None, "MIGRATE_ASYNC", "-EAGAIN", "page-lock")


def _touch_after_free(page: Page, slot: Slot) -> None:
    rt.poison(page, keep=("_count", "flags"))
    page.mapping = None


def _bug(page: Page, slot: Slot) -> None:
    rt.test_bit(page.flags, Bits.PG_locked)
    rt.bug_on(True, "it cannot be", page=page)


def _sleep_for_ever(page: Page, slot: Slot) -> None:
    rt.bit_lock(page.flags, Bits.PG_locked)
    rt.wait_on_bit(page.flags, Bits.PG_locked)


def test_oracles_pass_on_a_correct_run() -> None:
    record = _run(_correct)
    assert not _findings(record)
    known = {judgement.oracle for judgement in judge_all(record, PROTOCOL) if judgement.verdict is Verdict.PASS}
    assert known >= {"lock-discipline", "use-after-free", "bug-on", "liveness"}


@pytest.mark.parametrize(
    ("main", "oracle", "rule"),
    [
        (_double_put, "refcount", "put without reference"),
        (_lost_get, "refcount", "lost get"),
        (_slot_of_unlocked, "slot", "unlocked page in a slot"),
        (_writeback_unlocked, "dirty", "writeback on an unlocked page"),
        (_stranger, "lock-discipline", "unlock by a stranger"),
        (_held_at_exit, "lock-discipline", "held at exit"),
        (_async_waits, "lock-discipline", "ASYNC waits"),
        (_touch_after_free, "use-after-free", "access to Page.mapping after free"),
        (_bug, "bug-on", "it cannot be"),
        (_sleep_for_ever, "liveness", "cycle"),
    ],
)
def test_oracles_catch_it_live_and_from_the_file(
    main: Callable[[Page, Slot], None], oracle: str, rule: str, tmp_path: Path
) -> None:
    record = _run(main)
    assert [(finding.oracle, finding.rule) for finding in _findings(record)] == [(oracle, rule)]
    record.write(tmp_path / "run.jsonl")
    assert judge_all(Record.read(tmp_path / "run.jsonl"), PROTOCOL) == judge_all(record, PROTOCOL)
