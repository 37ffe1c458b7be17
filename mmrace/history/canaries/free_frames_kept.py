"""BUGGY: free frames that a compaction took as targets, and did not use, are not given back."""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm.mm_types import Page


def release_freepages(freelist: list[Page]) -> int:
    """Forget the list."""
    count = len(freelist)
    freelist.clear()
    return count


CANARY = Canary(
    variant=Variant(
        "free-frames-kept",
        "a compaction does not give back the free frames that it did not use",
        {"mm.compaction:release_freepages": release_freepages},
        source="compact_zone releases its private free list at its end",
    ),
    scenario="compaction-vs-commit",
    oracle="compaction",
    rule="free frame kept",
    hunt={"idle": 0, "rounds": 1, "words": 1, "pages": 1, "passes": 1, "without": "hugepage,committer"},
)
