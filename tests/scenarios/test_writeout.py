"""R33: a migration that writes a mapped page gives ptes back that let stores through, and the page is clean by then."""

from __future__ import annotations

import pytest

from mmrace.installed import MAKERS, run_one
from mmrace.kernel.mm import fault, filemap, migrate, pgtable, rmap
from mmrace.runs.spec import RunSpec
from tests.kernel.mm.bench import NO_MIGRATEPAGE, Bench, run
from tests.kernel.mm.test_rmap import dirty, mapped, pte


def test_what_writeout_gives_back_lets_a_store_through_that_nobody_is_told_of() -> None:
    def body(bench: Bench) -> None:
        page = bench.fill()
        mm_ = mapped(bench)
        fault.store_word(mm_, 0, 0, 7)
        filemap.lock_page(page)
        rmap.try_to_unmap(page, rmap.TTU_MIGRATION | rmap.TTU_IGNORE_ACCESS)
        assert migrate.writeout(bench.mapping, page) == -11
        filemap.unlock_page(page)
        filemap.wait_on_page_writeback(page)
        assert pgtable.pte_write(pte(mm_)) and not dirty(page)
        fault.store_word(mm_, 0, 0, 8)
        assert pgtable.pte_dirty(pte(mm_)) and not dirty(page)
        assert filemap.filemap_write_and_wait(bench.mapping) == 0
        assert bench.on_disk(0)[0] == 7  # the store of 8 is in memory alone

    run(body, a_ops=NO_MIGRATEPAGE)


@pytest.mark.slow
def test_r33_is_seen_by_three_judges_and_fails_nothing() -> None:
    seen = set()
    for seed in range(12):
        result = run_one(RunSpec("mapped-vs-writeout", engine="fiber", seed=seed))
        assert (result.verdict, result.expects) == ("PASS", ("R33",)), result.findings
        assert {finding.known for finding in result.findings} <= {"R33"}
        seen |= {finding.oracle for finding in result.findings}
    assert seen == {"ptes", "content", "dirty"}
    for spared in ((("mode", "MIGRATE_ASYNC"),), (("data", "ordered"),), (("stores", 0),)):
        assert not MAKERS.program(RunSpec("mapped-vs-writeout", spared)).expects
