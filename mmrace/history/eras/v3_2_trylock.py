"""3.2 with the patch of the mail: buffers are tried before the move, and the mode is a bool, `sync`.

What is not asynchronous is synchronous: a sync compaction waits for writeback on forced passes, and writes dirty pages
whose mapping has no ->migratepage.  Isolation is that of 3.3 already (the series has it as its first patch), without
which no dirty page would come as far as the trylock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace.history.era import Era
from mmrace.history.eras import v3_2_sync_light
from mmrace.history.variant import over
from mmrace.kernel.mm import migrate
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MIGRATE_SYNC

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page


def migrate_pages(
    below: Callable[..., int],
    from_: list[Page],
    get_new_page: migrate.GetNewPage,
    private: object,
    offlining: bool,
    sync: bool,
    passes: int = migrate.PASSES,
) -> int:
    """Move isolated pages; whoever asks for SYNC_LIGHT means `sync`, for there is no mode between the two."""
    return below(from_, get_new_page, private, offlining, MIGRATE_SYNC if sync else MIGRATE_ASYNC, passes)


ERA = Era(
    "3.2+trylock",
    "the patch of the mail: two modes, buffers tried before the move in async",
    {"mm.migrate:migrate_pages": over(migrate_pages)},
    source="commit b969c4ab9f182a6e1b2a0848be349f99714947b0",
    on=v3_2_sync_light.ERA,
)
