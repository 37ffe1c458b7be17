"""BUGGY: the free scanner does not stop where the migrate scanner is.

When the frames above it are used up it goes on below, and takes targets from pageblocks that have just been emptied:
pages are moved to and fro, and no large block comes of it.
"""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.mm import compaction, mmzone
from mmrace.kernel.mm.compaction import CompactControl
from mmrace.kernel.mm.mmzone import Zone


def isolate_freepages(zone: Zone, cc: CompactControl) -> None:
    """Take free frames down to the beginning of the zone."""
    block = mmzone.pageblock_nr_pages(zone.machine)
    pfn = min(cc.free_pfn, zone.spanned_pages - block)
    while pfn >= zone.zone_start_pfn and cc.nr_migratepages > cc.nr_freepages:
        cc.nr_freepages += compaction._isolate_suitable_block(zone, pfn, cc)
        cc.free_pfn = pfn
        pfn -= block


CANARY = Canary(
    variant=Variant(
        "free-scanner-crosses",
        "the free scanner goes past the migrate scanner",
        {"mm.compaction:isolate_freepages": isolate_freepages},
        source="isolate_freepages stops above the pageblock that is being emptied",
    ),
    scenario="two-compactors",
    oracle="compaction",
    rule="scanners crossed",
    hunt={"idle": 0, "rounds": 1, "words": 1, "pages": 2, "without": "migrator,reader"},
)
