"""What findings of the kernel model mean, in the protocol's own words: the `Book` of `mmrace explain`.

The general tellers (`mmrace/story/`) tell what any program's record shows; here the cause is said in the words of
pages, buffers and transactions, with what keeps it away in Linux 3.3 (`kernel/PROTOCOL.md`).
"""

from __future__ import annotations

from mmrace.oracles.telling import content, moving, promises, refine, written
from mmrace.oracles.telling.notes import WORDS
from mmrace.oracles.telling.objects import states
from mmrace.story.tell import Book

__all__ = ["BOOK"]

BOOK = Book(
    refiners={
        ("content", ""): content.told,
        ("slot", "slot after a failed move"): moving.failed_move,
        ("slot", ""): refine.keeps("I1", "I2"),
        ("back-out", ""): moving.left_behind,
        ("durability", "fsync before the medium"): promises.early_fsync,
        ("durability", "commit block before its data"): promises.early_commit,
        ("crash", "shown before it is committed"): promises.too_early,
        ("crash", "shown, and of no transaction"): promises.too_early,
        ("crash", "promised by fsync, and lost"): promises.lost_promise,
        ("conservation", "frame lost"): refine.lost_frame,
        ("refcount", ""): refine.references,
        ("lock-discipline", "unlock by a stranger"): refine.stranger,
        ("lock-discipline", "sleep in atomic context"): refine.keeps("I5"),
        ("lock-discipline", "ASYNC waits"): refine.keeps("I13"),
        ("liveness", "cycle"): refine.ring,
        ("liveness", "lost-wakeup"): refine.lost_wakeup,
        ("liveness", "stuck"): refine.keeps(),
        ("lock-order", ""): refine.inversion,
        ("data-race", ""): refine.race,
        ("use-after-free", ""): refine.keeps(refine.IN_USE),
        ("dirty", ""): written.untagged,
        ("dirty", "change during writeback"): written.meanwhile,
        ("dirty", "move without waiting for writeback"): written.meanwhile,
        ("dirty", "writeback during a move"): written.meanwhile,
        ("progress", "dirty page forgotten"): written.passed_by,
    },
    notes=WORDS,
    roles={"committer": "kjournald", "io": "the disk"},
    states=states,
)
