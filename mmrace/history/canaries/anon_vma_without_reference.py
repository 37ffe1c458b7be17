"""BUGGY: a migration remembers the anon_vma of the page that it unmaps, and takes no reference to it.

The page is unmapped then, and no longer keeps the anon_vma: a munmap in the middle of the move frees it, before the
migration goes there for the ptes that it is to restore.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant, over
from mmrace.kernel.mm import mm, rmap

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmrace.kernel.mm.mm_types import AnonVma, Page


def page_get_anon_vma(page: Page) -> AnonVma | None:
    """Return the anon_vma of a page that is mapped, and trust that it stays."""
    anon_vma = rmap.page_anon_vma(page)
    return anon_vma if mm.page_mapped(page) else None


def put_anon_vma(below: Callable[..., None], anon_vma: AnonVma, ref: str) -> None:
    """Drop what was taken: of a migration's references there is none."""
    if ref != "migrate":
        below(anon_vma, ref)


CANARY = Canary(
    variant=Variant(
        "anon-vma-without-reference",
        "a migration holds no reference to the anon_vma of the page that it moves",
        {"mm.rmap:page_get_anon_vma": page_get_anon_vma, "mm.rmap:put_anon_vma": over(put_anon_vma)},
        source="commits 989f89c57e61 and 3f6c82728f4e (2.6.35): migration needs more than RCU to keep the anon_vma",
    ),
    scenario="anon-vs-migration",
    oracle="use-after-free",
    rule="access to AnonVma.head after free",
    params={"accesses": 4, "rounds": 6, "idle": 10, "unmaps": 4, "migrations": 20},
    hunt=shortest(heap=1, touched=1, migrations=4, unmaps=4, accesses=2, rounds=2),
)
