"""BUGGY: unlock_buffer clears the lock bit and forgets to wake who sleeps on it.

Needs somebody asleep on a buffer lock when it is released: the migrator, whose slot has moved, behind journal I/O;
kjournald behind the migrator; or kjournald waiting for its own data.
"""

from mmrace import runtime as rt
from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs.buffer_head import BufferHead, BufferState


def unlock_buffer(bh: BufferHead) -> None:
    """Release the buffer lock, without the wake."""
    rt.clear_bit_unlock(bh.b_state, BufferState.BH_Lock)


CANARY = Canary(
    variant=Variant(
        "forgotten-wake",
        "unlock_buffer does not wake the sleepers",
        {"fs.buffer:unlock_buffer": unlock_buffer},
        source="the rule that unlock is two steps, clear and wake",
    ),
    scenario="sync-vs-commit",
    oracle="liveness",
    rule="lost-wakeup",
    hunt=shortest(),
)
