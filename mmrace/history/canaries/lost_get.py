"""BUGGY: buffers are locked for migration without the reference that migration drops when it unlocks them."""

from mmrace.history.canary import Canary, shortest
from mmrace.history.variant import Variant
from mmrace.kernel.fs import buffer
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.mm.migrate import MIGRATE_ASYNC, MigrateMode


def buffer_migrate_lock_buffers(head: BufferHead, mode: MigrateMode) -> bool:
    """Lock the ring; no get_bh."""
    taken: list[BufferHead] = []
    for bh in buffer.ring(head):
        if mode != MIGRATE_ASYNC:
            buffer.lock_buffer(bh)
        elif not buffer.trylock_buffer(bh):
            for ours in taken:
                buffer.unlock_buffer(ours)
            return False
        taken.append(bh)
    return True


CANARY = Canary(
    variant=Variant(
        "lost-get",
        "migration locks buffers without taking its reference on them",
        {"mm.migrate:buffer_migrate_lock_buffers": buffer_migrate_lock_buffers},
        source="migration holds one b_count on each buffer from lock to unlock",
    ),
    scenario="async-vs-commit",
    oracle="refcount",
    rule="put without reference",
    hunt=shortest(migrations=2),
)
