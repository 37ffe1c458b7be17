"""BUGGY: the count is tested, not frozen; the thaw stays a plain store.

A lockless lookup that takes its reference between the test and the store loses it: the store writes the number that
the migration expected, and the lookup's put later drops somebody else's reference.
"""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.mm.mm import page_count
from mmrace.kernel.mm.mm_types import Page


def page_freeze_refs(page: Page, count: int) -> bool:
    """Say whether the count is `count`, and leave it."""
    return page_count(page) == count


CANARY = Canary(
    variant=Variant(
        "no-freeze",
        "a plain count test instead of the freeze",
        {"mm.filemap:page_freeze_refs": page_freeze_refs},
        source="known-bad variant of the freeze protocol",
    ),
    scenario="async-vs-commit",
    oracle="refcount",
    rule="lost get",
    params={"rounds": 8, "reads": 2, "migrations": 16, "idle": 60},
    hunt=shortest(migrations=3, passes=2, reads=20, without="writer,committer"),
)
