"""What the kernel model says of its own names, for strategies and judges that know no kernel.

Benign reads are not here: structs declare them.  Invariant: a name stands here because a judge or a strategy asks for
it; a test holds each to the model.
"""

from __future__ import annotations

from mmrace.runtime.tables import READ, WRITE, Tables

KERNEL = Tables(
    # plain numbers without a lock: how long to do without compaction is a guess
    racy=("Zone.compact_considered", "Zone.compact_defer_shift"),
    # rcu_assign_pointer and rcu_dereference
    published=("Slot.page",),
    sleeping_locks=("Page.flags.PG_locked", "BufferHead.b_state.BH_Lock"),
    spinning_locks=(
        "BufferHead.b_state.BH_Uptodate_Lock", "BufferHead.b_state.BH_State", "BufferHead.b_state.BH_JournalHead",
    ),
    transient=(
        "lookup", "migrate", "commit", "checkpoint", "journal", "writeback", "io", "isolation", "new", "ext3",
        "fault", "entry-wait", "thread",
    ),
    # whoever holds one of these points at the page or the buffer: the refcount oracle compares them with the pointers;
    # but for "others", who have a frame to the end and are in no cast
    lasting=("slot", "private", "pagevec", "jh", "lru", "pte", "others", "vma"),
    # page_freeze_refs counts its caller's references and those of slot and buffers: these are somebody else's
    foreign=("lookup", "gup", "pte", "pagevec", "fault", "entry-wait"),
    allocates=("page-alloc",),
    frees=("page-free",),
    # who tries for ever to move a page is for `liveness`, which counts the attempts
    progress=("workload-end", "migrate-end"),
    # what a reader or a writer saw, by inode and block
    compared={
        "write-begin": WRITE, "write-end": WRITE, "read-begin": READ, "read-end": READ,
        "store-begin": WRITE, "store-end": WRITE, "load-begin": READ, "load-end": READ,
    },
    # the slot and dirty oracles ask for these bits of a page when a slot is written
    pointed={"Page": ("PG_locked", "PG_writeback")},
    subjects=("page", "bh", "jh"),
)  # fmt: skip
