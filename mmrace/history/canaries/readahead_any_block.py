"""BUGGY: readahead takes every page's blocks for those that follow the page's before, also where a page between them
was cached already: it is filled with another page's data.
"""

from collections.abc import Callable

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant, over
from mmrace.kernel.fs import mpage
from mmrace.kernel.fs.buffer_page import GetBlock
from mmrace.kernel.fs.mpage import MpageBio
from mmrace.kernel.mm.mm_types import Page


def do_mpage_readpage(below: Callable[..., int], bio: MpageBio, page: Page, get_block: GetBlock) -> int:
    """Add a page to a read that is being built, wherever its blocks lie."""
    found = mpage._blocks_of(page, get_block) if bio.vec else None
    if found is not None:
        bio.last_block_in_bio = found[1] - 1
    return below(bio, page, get_block)


CANARY = Canary(
    variant=Variant(
        "readahead-any-block",
        "readahead goes on with one I/O where the next page's blocks lie elsewhere",
        {"fs.mpage:do_mpage_readpage": over(do_mpage_readpage)},
        source="last_block_in_bio in fs/mpage.c",
    ),
    scenario="stream-vs-migrate",
    oracle="content",
    params={"streamed": 12, "window": 8},
    hunt={
        "without": "migrator",
        "idle": 10,
        "pages": 6,
        "streamed": 24,
        "rounds": 8,
        "words": 1,
        "buffers": 1,
        "reads": 2,
    },
)
