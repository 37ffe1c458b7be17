"""BUGGY: kjournald releases the lock of a clean data buffer that it never took.

`journal_submit_data_buffers` locks dirty buffers only; a clean one that is locked belongs to somebody else, such as a
migration.  This variant settles every clean buffer as if its lock were ours.
"""

from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd import commit
from mmrace.kernel.jbd.jbd import JournalHead
from mmrace.kernel.jbd.transaction import Transaction

_settle = commit.settle_clean_buffer


def settle_clean_buffer(bh: BufferHead, jh: JournalHead, commit_transaction: Transaction, locked: bool) -> int:
    """Settle a clean buffer, releasing a lock that may be another's."""
    return _settle(bh, jh, commit_transaction, True)


CANARY = Canary(
    variant=Variant(
        "unlock-by-stranger",
        "kjournald unlocks clean data buffers that it did not lock",
        {"jbd.commit:settle_clean_buffer": settle_clean_buffer},
        source="10.3 of the protocol: clean buffers are not locked",
    ),
    scenario="async-vs-commit",
    noise="gentle",
    oracle="lock-discipline",
    measured=(76, 120),
)
