"""BUGGY: the old page's private reference is dropped twice when its ring moves."""

from collections.abc import Callable

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant, over
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.fs import AddressSpace
from mmrace.kernel.mm import swap
from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.kernel.mm.mm_types import Page


def buffer_migrate_page(
    below: Callable[..., int], mapping: AddressSpace, newpage: Page, page: Page, mode: MigrateMode
) -> int:
    """Move a page with its buffers, and put the reference that went with them once more."""
    with_buffers = buffer.page_has_buffers(page)
    rc = below(mapping, newpage, page, mode)
    if rc == 0 and with_buffers:
        swap.put_page(page, "private")
    return rc


CANARY = Canary(
    variant=Variant(
        "double-put",
        "the private reference of the old page is put twice",
        {"mm.migrate:buffer_migrate_page": over(buffer_migrate_page)},
        source="put_page(old) in the ring move happens exactly once",
    ),
    scenario="async-vs-commit",
    oracle="refcount",
    rule="put without reference",
    hunt=shortest(migrations=2),
)
