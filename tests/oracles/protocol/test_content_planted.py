"""Content against pages that hold garbage until they are read, and blocks with versions of their own."""

from __future__ import annotations

import pytest

from mmrace.kernel.block import device
from mmrace.kernel.fs import mpage
from mmrace.kernel.mm import page_alloc, page_flags
from mmrace.kernel.mm.mm_types import Page
from stress import planted
from tests.oracles.protocol.planted import findings, rules
from tests.scenarios.staged import play

_transfer, _readpage = device._transfer, mpage.mpage_readpage
READ_AGAIN = {"pages": 4, "rounds": 4, "reads": 4}
"""Reclaim frees pages, and readers read them again."""


def _writes_only(rw: int, bio: device.Bio) -> None:
    """BUGGY: a read ends without a word transferred."""
    if rw & device.WRITE:
        _transfer(rw, bio)


def _uptodate_too_early(page: Page, get_block: object) -> int:
    """BUGGY: the page says that it is up to date as soon as its read was asked for."""
    page_flags.SetPageUptodate(page)
    return _readpage(page, get_block)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "instead"),
    [
        ("block.device:_transfer", _writes_only),
        ("fs.mpage:mpage_readpage", _uptodate_too_early),
    ],
)
def test_content_oracle_alone_catches_a_read_that_shows_garbage(place: str, instead: object) -> None:
    found = rules(findings("migrate-vs-reclaim", {place: instead}, READ_AGAIN))  # type: ignore[dict-item]
    assert found["content", "garbage"], found
    assert {oracle for oracle, _ in found} <= {"content", "data-race"}, found
    assert not findings("migrate-vs-reclaim", {}, READ_AGAIN)


@pytest.mark.slow
def test_content_oracle_alone_catches_a_page_that_moves_without_its_data() -> None:
    """Nobody writes here: what is missed is what the blocks held at first."""
    row = planted.of_model("content")
    found = rules(findings(row.twin.program, row.bind, row.params))
    assert found["content", row.rule], found
    assert {oracle for oracle, _ in found} == {"content"}, found
    assert not findings(row.twin.program, {}, row.params)


def test_a_frame_holds_other_garbage_at_each_allocation_and_the_same_in_each_run() -> None:
    def body(stage: object) -> list[list[int]]:
        held = []
        for _ in range(2):
            pages = [page_alloc.alloc_page(stage.machine) for _ in range(2)]  # type: ignore[attr-defined]
            held += [list(page.words.values) for page in pages if page]
            for page in pages:
                assert page is not None
                page_alloc.__free_page(page)
        return held

    one, two = (play(body, seed=seed).value for seed in (1, 2))
    words = [word for page in one for word in page]
    assert one == two
    assert len(set(words)) == len(words) and all(word < 0 for word in words)
