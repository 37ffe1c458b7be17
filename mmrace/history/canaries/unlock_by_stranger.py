"""BUGGY: kjournald releases the lock of a clean data buffer that somebody else holds.

`journal_submit_data_buffers` locks dirty buffers only; a clean one that is locked belongs to I/O that writeback
started, or to a migration.  This variant takes such a lock for a stale one of its own.
"""

from collections.abc import Callable

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant, over
from mmrace.kernel.fs import buffer, buffer_head
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd.jbd import JournalHead, Transaction


def _settle_clean_buffer(
    below: Callable[..., int], bh: BufferHead, jh: JournalHead, commit_transaction: Transaction, locked: bool
) -> int:
    """Settle a clean buffer; if another has it locked, unlock it first."""
    if not locked and buffer_head.buffer_locked(bh):
        buffer.unlock_buffer(bh)
    return below(bh, jh, commit_transaction, locked)


CANARY = Canary(
    variant=Variant(
        "unlock-by-stranger",
        "kjournald unlocks clean data buffers that others hold locked",
        {"jbd.commit:_settle_clean_buffer": over(_settle_clean_buffer)},
        source="the rule that clean data buffers are neither locked nor unlocked by the commit",
    ),
    scenario="four",
    oracle="lock-discipline",
    params={"words": 4, "rounds": 6, "idle": 60, "burst": 2, "without": "reader,reclaimer"},
    hunt=shortest(dirtied=2, direct=0, mode="MIGRATE_SYNC", without="writer,reader,reclaimer"),
)
