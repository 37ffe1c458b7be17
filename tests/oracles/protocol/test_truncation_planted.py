"""Bugs planted in truncation beside a writer and a commit, each caught; the correct model passes the same runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.fs.fs import AddressSpace, Inode
from mmrace.kernel.mm.mm_types import Page
from mmrace.runtime.param import Value
from tests.oracles.protocol.planted import findings, rules


def _not_freed(bh: BufferHead) -> None:
    """BUGGY: BH_Freed is not set on a buffer that is left to the commit."""


def _not_invalidated(page: Page, offset: int) -> None:
    """BUGGY: a page leaves the cache with its buffers as they are."""


def _not_removed(mapping: AddressSpace, lstart: int) -> None:
    """BUGGY: only the size changes."""


def _never_a_hole(inode: Inode, iblock: int) -> int:
    """BUGGY: what was truncated counts as the file's still."""
    return 0


SEEDS = 20
JOURNALLED: dict[str, Value] = {"data": "journal", "buffers": 1, "rounds": 6, "idle": 20}
WRITEBACK: dict[str, Value] = {"data": "writeback"}
READS: dict[str, Value] = {"rounds": 8, "reads": 4, "idle": 20, "bare": 100}

PLANTED = {
    "BH_Freed": ("jbd.jbd:set_buffer_freed", _not_freed, JOURNALLED, ("durability", "log copy")),
    "invalidatepage, journal": (
        "mm.truncate:do_invalidatepage", _not_invalidated, JOURNALLED, ("durability", "log copy"),
    ),
    "invalidatepage, writeback": (
        "mm.truncate:do_invalidatepage", _not_invalidated, WRITEBACK, ("dirty", "dirty after its truncation"),
    ),
    "pages": ("mm.truncate:truncate_inode_pages", _not_removed, READS, ("content", "stale")),
    "blocks": ("fs.ext3:_freed_by", _never_a_hole, READS, ("content", "stale")),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_bug_planted_in_truncation_is_caught(name: str) -> None:
    place, planted, params, expected = PLANTED[name]
    assert callable(planted)
    bind: dict[str, Callable[..., object]] = {place: planted}
    found = rules(findings("truncate-vs-commit", bind, params, SEEDS))
    assert found[expected], found
    assert not findings("truncate-vs-commit", {}, params, SEEDS)


@pytest.mark.slow
def test_zeroing_the_rest_of_a_page_beside_a_commit_is_seen_with_journalled_data() -> None:
    """3.3 does so, which is why `tails` is 0 unless asked for: the log gets zeros of a truncation to come (R32)."""
    params: dict[str, Value] = {"data": "journal", "tails": 1}
    found = rules(findings("truncate-vs-commit", {}, params, seeds=100))
    assert ("durability", "log copy") in found, found
    crashes = {("crash", "committed, and lost"), ("crash", "shown, and of no transaction")}
    assert set(found) <= {("durability", "log copy"), *crashes}, found
