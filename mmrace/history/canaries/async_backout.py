"""BUGGY: the asynchronous back-out walks from the head to the failed buffer and unlocks that one too.

This is what was first posted: with one buffer a page it unlocks a lock that somebody else owns.
"""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead


def _unlock_buffers_before(head: BufferHead, failed_bh: BufferHead) -> None:
    """Release the buffers from `head` up to and with the failed one."""
    bh = head
    while True:
        buffer.unlock_buffer(bh)
        if bh is failed_bh:
            return
        buffer.put_bh(bh, "migrate")
        following = bh.b_this_page
        assert following is not None
        bh = following


CANARY = Canary(
    variant=Variant(
        "async-backout",
        "the async back-out unlocks the buffer whose trylock failed",
        {"mm.migrate:_unlock_buffers_before": _unlock_buffers_before},
        source="first posted version of the trylock patch, November 2011",
    ),
    scenario="async-vs-commit",
    oracle="lock-discipline",
    noise="stutter",
    params={"words": 4, "rounds": 4, "migrations": 10, "idle": 60},
    hunt=shortest(dirtied=2, without="writer,reader"),
)
