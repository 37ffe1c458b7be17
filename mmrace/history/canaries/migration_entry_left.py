"""BUGGY: after a move the ptes are restored by a walk over the old page's mapping, which the copy has cleared.

The walk finds nothing, and the migration entries stay: the next fault finds one of a page that nobody has locked.
"""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import rmap
from mmrace.kernel.mm.mm_types import Page


def remove_migration_ptes(old: Page, new: Page) -> None:
    """Turn migration entries for `old` into ptes for `new`, by the mapping of `old`."""
    if old.mapping is not None:
        rmap.rmap_walk(new, rmap.remove_migration_pte, old)


CANARY = Canary(
    variant=Variant(
        "migration-entry-left",
        "remove_migration_ptes goes by the mapping of the old page, which has none any more",
        {"mm.rmap:remove_migration_ptes": remove_migration_ptes},
        source="the rule that ptes are restored by the new page's mapping; 3.3 clears the old one's in the copy",
    ),
    scenario="migrate-vs-fault",
    oracle="ptes",
    rule="migration entry left",
    params={"rounds": 4, "idle": 20, "migrations": 8},
    hunt=shortest(accesses=1, touched=1, without="zapper,reader"),
)
