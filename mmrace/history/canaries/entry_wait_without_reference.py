"""BUGGY: a fault that meets a migration entry sleeps for the page's lock without a reference to the page.

The page may be moved, freed and another's before the fault has even looked: it sleeps for somebody else's lock.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm import filemap, swapops
from mmrace.kernel.mm.mm_types import MmStruct


def migration_entry_wait(mm_: MmStruct, address: int) -> None:
    """Sleep until the page of a migration entry is unlocked, and trust that it stays."""
    rt.spin_lock(mm_.page_table_lock)
    pte = mm_.ptes.read(address)
    if not swapops.is_swap_pte(pte) or not swapops.is_migration_entry(pte):
        rt.spin_unlock(mm_.page_table_lock)
        return
    page = swapops.migration_entry_to_page(mm_, pte)
    rt.spin_unlock(mm_.page_table_lock)
    filemap.wait_on_page_locked(page)


CANARY = Canary(
    variant=Variant(
        "entry-wait-without-reference",
        "migration_entry_wait sleeps for the lock of a page that it holds no reference to",
        {"mm.rmap:migration_entry_wait": migration_entry_wait},
        source="the rule that whoever sleeps for a page lock holds a reference; get_page_unless_zero there (2.6.28)",
    ),
    scenario="migrate-vs-fault",
    oracle="ptes",
    rule="freed under a sleeper",
    params={"accesses": 8, "rounds": 6, "idle": 10, "migrations": 20, "without": "zapper,reader"},
    hunt=shortest(accesses=6, rounds=2, migrations=4, touched=1, without="zapper,reader"),
)
