"""Linux 3.4: the old page keeps its mapping until the ptes are restored.

3.3 clears it at the end of the copy, before the buffers are unlocked; 3.4 in move_to_new_page, after the ptes, just
before the target is unlocked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmrace.history.era import Era
from mmrace.history.eras import v3_3
from mmrace.history.variant import over

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page


def _leave_mapping(page: Page) -> None:
    """Leave the copy with the old page in its mapping still."""


def _settle_move(below: Callable[..., None], newpage: Page, page: Page, remap_swapcache: bool, rc: int) -> None:
    """Settle ptes and target, then cut the old page off its mapping if it was moved."""
    below(newpage, page, remap_swapcache, rc)
    if not rc:
        page.mapping = None


ERA = Era(
    "3.4",
    "mapping of the old page cleared after the ptes are restored",
    {"mm.migrate:_leave_mapping": _leave_mapping, "mm.migrate:_settle_move": over(_settle_move)},
    source="the tag v3.4",
    on=v3_3.ERA,
)
