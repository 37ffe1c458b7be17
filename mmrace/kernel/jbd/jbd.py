"""What jbd's headers give to all its files: its structs, list names, bit locks of a buffer, log format.

Invariant: a buffer's membership in a transaction changes only under its BH_State and the journal's j_list_lock; its
journal head comes and goes only under BH_JournalHead.
Not checked: that callers hold them.
Source: include/linux/jbd.h, include/linux/journal-head.h, v3.3.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, cast

from mmrace import runtime as rt
from mmrace.kernel.fs.buffer_head import BufferState

if TYPE_CHECKING:
    from mmrace.kernel.block.device import BlockDevice
    from mmrace.kernel.fs.buffer_head import BufferHead
    from mmrace.kernel.mm.mm_types import Page

JFS_MAGIC_NUMBER = 0xC03B3998
"""First word of every block that the journal writes for itself."""
JFS_DESCRIPTOR_BLOCK = 1
JFS_COMMIT_BLOCK = 2
JFS_SUPERBLOCK_V2 = 4
"""Its sequence is that of the first transaction in the log; its one tag, the block where that begins, 0: clean."""
JFS_REVOKE_BLOCK = 5
"""Its tags are the blocks that its transaction revokes."""
JFS_FLAG_ESCAPE = 1
"""Tag: the first word of the home block was the magic, the copy has 0 there."""
JFS_FLAG_LAST_TAG = 8
"""Tag: the last one of its descriptor."""
DEFAULT_WBUFSIZE = 4
"""Buffers in a batch of the commit: small, so that small transactions fill it."""
DEFAULT_MAX_CREDITS = 32
"""Credits that fit in one transaction; the kernel takes a quarter of the log."""
MIN_LOG_RESERVED_BLOCKS = 8
"""Blocks of the log that no credit stands for: descriptors and commit blocks.  32 in the kernel, its logs are large."""
DEFAULT_TAGS_MAX = 8
"""Tags that fit in a descriptor block."""

_SEQUENCE_BITS = 32
_TAG_BITS = 24
_TAG_FLAG_BITS = 4
_TYPE_BITS = 8


class JList(IntEnum):
    """The lists of a transaction that a buffer can be on."""

    BJ_None = 0
    BJ_SyncData = 1
    BJ_Metadata = 2
    BJ_Forget = 3
    BJ_IO = 4
    BJ_Shadow = 5
    BJ_LogCtl = 6
    BJ_Reserved = 7
    BJ_Locked = 8


JFS_ABORT = 0x002
"""Bit of j_flags: the journal was given up for an error.  Source: include/linux/jbd.h, v3.3."""


class TState(IntEnum):
    """The life of a transaction."""

    T_RUNNING = 0
    T_LOCKED = 1
    T_FLUSH = 2
    T_COMMIT = 3
    T_COMMIT_RECORD = 4
    T_FINISHED = 5


class JournalHead(rt.Struct):
    """What the journal knows about one buffer; lives while somebody counts it in b_jcount.

    b_jcount is a plain number: BH_JournalHead alone keeps it right.  The transaction that owns the buffer, the
    checkpoint list it is on and each caller between add or grab and put count one each.
    """

    b_bh: rt.Field[BufferHead | None] = rt.shared(None)
    b_jcount: rt.Field[int] = rt.shared(0)
    b_jlist: rt.Field[JList] = rt.shared(
        JList.BJ_None,
        benign="who waits for the end of BJ_Shadow looks without BH_State, and starts over under it once woken",
    )
    b_modified: rt.Field[int] = rt.shared(0)
    b_frozen_data: rt.Field[Page | None] = rt.shared(None)
    b_committed_data: rt.Field[Page | None] = rt.shared(None)
    b_transaction: rt.Field[Transaction | None] = rt.shared(None)
    b_next_transaction: rt.Field[Transaction | None] = rt.shared(None)
    b_cp_transaction: rt.Field[Transaction | None] = rt.shared(None)

    def __init__(self, name: object) -> None:
        super().__init__(name)


LIST_FIELDS = (
    "", "t_sync_datalist", "t_buffers", "t_forget", "t_iobuf_list", "t_shadow_list", "t_log_list", "t_reserved_list",
    "t_locked_list",
)  # fmt: skip
"""The field of Transaction that holds each `JList`, by its number.  BJ_None has none."""


class Transaction(rt.Struct):
    """One compound transaction. t_tid and t_journal never change; counters are under t_handle_lock.

    For who explains a standstill: users, the tasks with a handle open on it (under t_handle_lock), and committer.
    """

    t_state: rt.Field[TState] = rt.shared(TState.T_RUNNING)
    t_handle_lock = rt.spinlock()
    t_updates: rt.Field[int] = rt.shared(0)
    t_outstanding_credits: rt.Field[int] = rt.shared(
        0, benign="the commit counts down without a lock; who adds up the log space that is needed may get too much"
    )
    t_handle_count: rt.Field[int] = rt.shared(0)
    t_log_start: rt.Field[int] = rt.shared(0)
    t_reserved_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_locked_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_buffers: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_sync_datalist: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_forget: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_checkpoint_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_checkpoint_io_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_iobuf_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_shadow_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_log_list: rt.Field[tuple[JournalHead, ...]] = rt.shared(())
    t_tid: int = rt.ghost(0)
    t_journal: Journal = rt.ghost(cast("Journal", None))
    users: list[rt.Task] = rt.ghost(cast("list[rt.Task]", None))
    committer: rt.Task | None = rt.ghost(None)

    def __init__(self, journal: Journal, tid: int) -> None:
        super().__init__(("transaction", tid), t_tid=tid, t_journal=journal, users=[])


class Handle:
    """One task's part in a transaction; belongs to that task alone, so nothing in it is shared.

    `error` makes it no handle but what the kernel returns as an error in a pointer's place: see `IS_ERR`.
    """

    __slots__ = ("error", "h_buffer_credits", "h_ref", "h_sync", "h_transaction")

    def __init__(self, nblocks: int, error: int = 0) -> None:
        self.error = error
        self.h_transaction: Transaction | None = None
        self.h_buffer_credits = nblocks
        self.h_ref = 1
        self.h_sync = False


def ERR_PTR(error: int) -> Handle:
    """Return an error in a handle's place.  Source: include/linux/err.h, v3.3."""
    return Handle(0, error)


def IS_ERR(handle: Handle) -> bool:
    """Say whether this is an error, and no handle.  Source: include/linux/err.h, v3.3."""
    return handle.error < 0


def PTR_ERR(handle: Handle) -> int:
    """Return the error that stands in a handle's place.  Source: include/linux/err.h, v3.3."""
    return handle.error


class Journal(rt.Struct):
    """A journal on log blocks [first, first + blocks) of its device, with its superblock in the device's last block.

    The two revoke tables, of the running and of the committing transaction, hold (block, sequence), oldest first.

    Settings (ghosts, constant in a run): j_wbufsize; j_tags_max; j_max_transaction_buffers; j_barrier: the commit block
    is a flush-and-FUA write; resched: the commit may find need_resched while it collects data buffers.  j_task is the
    journal's thread, if one was started; nothing_asked: it found nothing to do, so it sleeps, or is about to with
    j_state_lock held.
    """

    j_state_lock = rt.spinlock()
    j_list_lock = rt.spinlock()
    j_running_transaction: rt.Field[Transaction | None] = rt.shared(
        None, benign="a transaction is dropped under j_list_lock alone: it checks that it is not this, nor ever again"
    )
    j_committing_transaction: rt.Field[Transaction | None] = rt.shared(
        None, benign="a transaction is dropped under j_list_lock alone: it checks that it is not this, nor ever again"
    )
    j_checkpoint_transactions: rt.Field[tuple[Transaction, ...]] = rt.shared(())
    j_checkpoint_mutex = rt.mutex()
    j_revoke_lock = rt.spinlock()
    j_revoke: rt.Field[tuple[tuple[int, int], ...]] = rt.shared(())
    j_revoke_committing: rt.Field[tuple[tuple[int, int], ...]] = rt.shared(())
    j_head: rt.Field[int] = rt.shared(0)
    j_tail: rt.Field[int] = rt.shared(0)
    j_tail_sequence: rt.Field[int] = rt.shared(1)
    j_free: rt.Field[int] = rt.shared(0)
    j_transaction_sequence: rt.Field[int] = rt.shared(1)
    j_commit_sequence: rt.Field[int] = rt.shared(
        0, benign="who waits for a commit looks without j_state_lock, and again under it once woken"
    )
    j_commit_request: rt.Field[int] = rt.shared(0)
    j_errno: rt.Field[int] = rt.shared(0)
    j_flags: rt.Field[int] = rt.shared(
        0, benign="is_journal_aborted needs no lock: who just misses an abort meets it at its next step"
    )
    j_wait_transaction_locked = rt.wait_queue()
    j_wait_done_commit = rt.wait_queue()
    j_wait_commit = rt.wait_queue()
    j_wait_updates = rt.wait_queue()
    j_wait_logspace = rt.wait_queue()
    j_dev: BlockDevice = rt.ghost(cast("BlockDevice", None))
    j_sb_block: int = rt.ghost(0)
    j_first: int = rt.ghost(0)
    j_last: int = rt.ghost(0)
    j_wbufsize: int = rt.ghost(DEFAULT_WBUFSIZE)
    j_tags_max: int = rt.ghost(DEFAULT_TAGS_MAX)
    j_max_transaction_buffers: int = rt.ghost(DEFAULT_MAX_CREDITS)
    j_barrier: bool = rt.ghost(True)
    resched: bool = rt.ghost(False)
    j_task: rt.Task | None = rt.ghost(None)
    nothing_asked: bool = rt.ghost(False)

    def __init__(self, name: object, dev: BlockDevice, first: int, blocks: int, **settings: object) -> None:
        super().__init__(name, j_dev=dev, j_head=first, j_tail=first, j_free=blocks, **settings)
        self.j_first, self.j_last = first, first + blocks
        self.j_sb_block = dev.nr_blocks - 1


class FrozenData(rt.Struct):
    """Memory from jbd_alloc that keeps a buffer's data as it was.

    It stands for the slab page that the kernel finds behind such memory: of that page only the words take part.
    """

    words = rt.words()


def superblock(tail: int, sequence: int) -> tuple[int, int]:
    """Return the words of the journal's superblock: the log begins at block `tail` with transaction `sequence`.

    Source: include/linux/jbd.h, v3.3.
    """
    return JFS_MAGIC_NUMBER, log_header(JFS_SUPERBLOCK_V2, sequence, ((tail, 0),))


def jh2bh(jh: JournalHead) -> BufferHead:
    """Return the buffer of a journal head.  Source: include/linux/jbd.h, v3.3."""
    bh = jh.b_bh
    rt.bug_on(bh is None, "journal head without a buffer", jh=jh)
    assert bh is not None
    return bh


def bh2jh(bh: BufferHead) -> JournalHead | None:
    """Return what b_private holds: the journal head if BH_JBD is set.  Source: include/linux/jbd.h, v3.3."""
    return bh.b_private


# -- bit locks -----------------------------------------------------------------------------------------------


def jbd_lock_bh_state(bh: BufferHead) -> None:
    """Take BH_State, which guards what a journal head says.  Source: include/linux/jbd_common.h, v3.3."""
    rt.bit_spin_lock(bh.b_state, BufferState.BH_State)


def jbd_trylock_bh_state(bh: BufferHead) -> bool:
    """Try to take BH_State: the only way under j_list_lock.  Source: include/linux/jbd_common.h, v3.3."""
    return rt.bit_spin_trylock(bh.b_state, BufferState.BH_State)


def jbd_unlock_bh_state(bh: BufferHead) -> None:
    """Release BH_State.  Source: include/linux/jbd_common.h, v3.3."""
    rt.bit_spin_unlock(bh.b_state, BufferState.BH_State)


def jbd_lock_bh_journal_head(bh: BufferHead) -> None:
    """Take BH_JournalHead, innermost of jbd's locks.  Source: include/linux/jbd_common.h, v3.3."""
    rt.bit_spin_lock(bh.b_state, BufferState.BH_JournalHead)


def jbd_unlock_bh_journal_head(bh: BufferHead) -> None:
    """Release BH_JournalHead.  Source: include/linux/jbd_common.h, v3.3."""
    rt.bit_spin_unlock(bh.b_state, BufferState.BH_JournalHead)


# -- jbd's bits of b_state -----------------------------------------------------------------------------------


def buffer_jbd(bh: BufferHead) -> bool:
    """Say whether a journal head is attached.  Source: include/linux/jbd.h, v3.3."""
    return rt.test_bit(bh.b_state, BufferState.BH_JBD)


def buffer_jbddirty(bh: BufferHead) -> bool:
    """Say whether the journal owns the dirtiness of the buffer.  Source: include/linux/jbd.h, v3.3."""
    return rt.test_bit(bh.b_state, BufferState.BH_JBDDirty)


def set_buffer_jbddirty(bh: BufferHead) -> None:
    """Mark dirty for the journal only: nobody else writes it home.  Source: include/linux/jbd.h, v3.3."""
    rt.set_bit(bh.b_state, BufferState.BH_JBDDirty)


def clear_buffer_jbddirty(bh: BufferHead) -> None:
    """Clear the journal's dirty mark.  Source: include/linux/jbd.h, v3.3."""
    rt.clear_bit(bh.b_state, BufferState.BH_JBDDirty)


def test_clear_buffer_jbddirty(bh: BufferHead) -> bool:
    """Clear the journal's dirty mark and say whether it was set.  Source: include/linux/jbd.h, v3.3."""
    return rt.test_and_clear_bit(bh.b_state, BufferState.BH_JBDDirty)


def buffer_freed(bh: BufferHead) -> bool:
    """Say whether the block was truncated while a commit needed it.  Source: include/linux/jbd.h, v3.3."""
    return rt.test_bit(bh.b_state, BufferState.BH_Freed)


def set_buffer_freed(bh: BufferHead) -> None:
    """Leave the rest of a truncation to the commit.  Source: include/linux/jbd.h, v3.3."""
    rt.set_bit(bh.b_state, BufferState.BH_Freed)


def clear_buffer_freed(bh: BufferHead) -> None:
    """Say that the commit has taken the truncation over.  Source: include/linux/jbd.h, v3.3."""
    rt.clear_bit(bh.b_state, BufferState.BH_Freed)


def set_buffer_jwrite(bh: BufferHead) -> None:
    """Mark a buffer that the running commit writes to the log.  Source: include/linux/jbd.h, v3.3."""
    rt.set_bit(bh.b_state, BufferState.BH_JWrite)


def clear_buffer_jwrite(bh: BufferHead) -> None:
    """Undo `set_buffer_jwrite`.  Source: include/linux/jbd.h, v3.3."""
    rt.clear_bit(bh.b_state, BufferState.BH_JWrite)


# -- the log's format ----------------------------------------------------------------------------------------


def log_header(blocktype: int, sequence: int, tags: tuple[tuple[int, int], ...] = ()) -> int:
    """Pack header and tags of a log block into the word after the magic; 0 is never the result.

    The kernel's block holds bytes and ours a few words of any size, so one word carries it all.
    Args: tags: (home block, flags) of each copy that follows.  Source: include/linux/jbd.h, v3.3.
    """
    word = len(tags)
    for number, (block, flags) in enumerate(tags):
        word |= (block << _TAG_FLAG_BITS | flags) << (_TYPE_BITS + number * _TAG_BITS)
    return (word << _SEQUENCE_BITS | sequence) << _TYPE_BITS | blocktype


def read_log_header(word: int) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    """Unpack `log_header`: (block type, sequence, tags).  Source: fs/jbd/recovery.c, v3.3."""
    blocktype, word = word & (1 << _TYPE_BITS) - 1, word >> _TYPE_BITS
    sequence, word = word & (1 << _SEQUENCE_BITS) - 1, word >> _SEQUENCE_BITS
    count, word = word & (1 << _TYPE_BITS) - 1, word >> _TYPE_BITS
    tags = []
    for _ in range(count):
        tag, word = word & (1 << _TAG_BITS) - 1, word >> _TAG_BITS
        tags.append((tag >> _TAG_FLAG_BITS, tag & (1 << _TAG_FLAG_BITS) - 1))
    return blocktype, sequence, tuple(tags)


# -- copies of data -------------------------------------------------------------------------------------------


def jbd_alloc(journal: Journal, size: int) -> Page:
    """Allocate memory for a copy of `size` words.  May sleep.  Source: include/linux/jbd.h, v3.3."""
    rt.might_sleep()
    return cast("Page", FrozenData(rt.fresh("frozen"), words=size))


def jbd_free(data: Page) -> None:
    """Free what `jbd_alloc` gave.  Source: include/linux/jbd.h, v3.3."""
    rt.poison(data)
