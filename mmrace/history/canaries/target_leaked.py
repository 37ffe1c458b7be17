"""BUGGY: the target of a migration that has to be tried again is not put back.

Each pass takes a fresh target: those before it are never free again.
"""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.errno import Errno
from mmrace.kernel.mm import migrate, mm, vmscan
from mmrace.kernel.mm.migrate import GetNewPage, MigrateMode
from mmrace.kernel.mm.mm_types import Page


def unmap_and_move(
    get_new_page: GetNewPage,
    private: object,
    page: Page,
    force: bool,
    offlining: bool,
    mode: MigrateMode,
    from_: list[Page],
) -> int:
    """Move one page, and put the target back unless the page is to be tried again."""
    with migrate._migrating(page, mode) as attempt:
        newpage = attempt.target(get_new_page(page, private))
        if newpage is None:
            return -Errno.ENOMEM
        if mm.page_count(page) == 1:
            rc = migrate._stop(0, "freed", "migrate: freed meanwhile")
        else:
            rc = migrate.__unmap_and_move(page, newpage, force, offlining, mode)
        attempt.rc = rc
    if rc != -Errno.EAGAIN:
        from_.remove(page)
        page.zone.account("NR_ISOLATED", -1)
        vmscan.putback_lru_page(page)
        vmscan.putback_lru_page(newpage)
    return rc


CANARY = Canary(
    variant=Variant(
        "target-leaked",
        "a target is not put back if its page is to be tried again",
        {"mm.migrate:unmap_and_move": unmap_and_move},
        source="unmap_and_move puts the target back on every path",
    ),
    scenario="compaction-vs-commit",
    oracle="compaction",
    rule="target kept",
    hunt={"idle": 0, "rounds": 1, "words": 1, "pages": 1, "passes": 2, "without": "hugepage,committer"},
)
