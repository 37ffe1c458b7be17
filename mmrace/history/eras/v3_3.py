"""Linux 3.3, as shipped: three modes, buffers tried before the move in MIGRATE_ASYNC.  `mmrace.kernel` is it."""

from mmrace.history.era import OWN, Era

ERA = Era(OWN, "as shipped: MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT and MIGRATE_SYNC", source="the tag v3.3")
