"""The truncater takes pages out of the cache and blocks from the file, and everybody else gets out of its way.

What is drawn has fixed seeds.
"""

from __future__ import annotations

import pytest

from mmrace.scenarios import crash
from tests.actors.meetings import meetings

MARKS = {
    "reclaim-vs-truncate": {"truncate: page lock busy", "migrate: freed meanwhile", "ext3: hole"},
    "truncate-vs-commit": {
        "dirty: cancelled",
        "unmap_buffer: in the running transaction",
        "unmap_buffer: left to commit",
        "commit: forgotten buffer freed",
        "commit: freed buffer left to the next transaction",
        "release_buffer_page: stripped",
        "ext3: write waited for the commit of a truncation",
        "ext3: block allocated again",
        "truncate: part of a page",
    },
    "truncate-vs-writeback": {
        "block_write_full_page: beyond the end",
        "writeback: page truncated or moved",
        "unmap_buffer: on a checkpoint list only",
    },
}
SEEDS = 24


@pytest.mark.slow
@pytest.mark.parametrize("name", MARKS)
def test_truncation_meets_the_others_and_everything_holds_whenever_the_machine_stops(name: str) -> None:
    reached: set[str] = set()
    for result in meetings(name, SEEDS, keep_record=True):
        assert result.record is not None
        assert not crash.judge(result.record).findings, result.spec.command()
        reached |= result.marks.keys()
    assert reached >= MARKS[name]
