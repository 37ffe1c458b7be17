"""3.2 with the series up to its third mode: what 3.3 shipped, but for what compaction does after it failed.

Deferral, and the part of reclaim that ends early for compaction, are bound where the allocator has them.
"""

from mmrace.history.era import Era
from mmrace.history.eras import v3_3

ERA = Era(
    "3.2+sync-light",
    "the series with MIGRATE_SYNC_LIGHT; any failed compaction defers the next ones",
    source="commit a6bc32b899223a877f595ef9ddc1e89ead5072b8",
    on=v3_3.ERA,
)
