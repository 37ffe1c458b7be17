"""BUGGY: kjournald blocks on a buffer lock while its own batch of locked buffers is not submitted.

Migration takes the buffer locks of a page in ring order, kjournald in list order and keeps what it has in a batch.
Without the flush before the sleep each can hold what the other wants.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd.jbd import Journal


def _wait_for_buffer_lock(journal: Journal, bh: BufferHead, wbuf: list[BufferHead]) -> None:
    """Sleep for the buffer lock with the batch still locked and not submitted."""
    rt.spin_unlock(journal.j_list_lock)
    buffer.lock_buffer(bh)
    rt.spin_lock(journal.j_list_lock)


CANARY = Canary(
    variant=Variant(
        "commit-no-flush",
        "kjournald sleeps on a buffer lock without flushing its batch",
        {"jbd.commit:_wait_for_buffer_lock": _wait_for_buffer_lock},
        source="deadlock avoidance of the global lock order",
    ),
    scenario="sync-vs-commit",
    oracle="liveness",
    rule="cycle",
    noise="stutter",
    params={
        "buffers": 4, "pages": 2, "words": 1, "rounds": 6, "burst": 4, "wbuf": 16, "migrations": 8,
        "idle": 100, "direct": 0, "without": "reader",
    },
    hunt=shortest(buffers=8, rounds=2, burst=3, migrations=4, passes=5, resched=1, mode="MIGRATE_SYNC"),
)  # fmt: skip
