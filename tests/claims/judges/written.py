"""A migration of page:0 to page:1 written by hand, stage by stage; tests put what others do after a stage, or leave
stages out.  The page is in slot:5:0 of mapping:5, a file's, with bh:1 and bh:2 on its ring and a word in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from mmrace.claims.judges import CLAIMS, Instances, Part, check_parts
from mmrace.claims.judges.migration import Stage
from mmrace.runtime.kinds import Kind
from tests.oracles.hand import Hand

SLOT, TREE, PRIVATE = "slot:5:0.page", "mapping:5.tree_lock", "mapping:5.private_lock"
RING = ("bh:1", "bh:2")
ACTORS = ("migrator", "other", "committer")
Deed = Callable[["Written"], object]


class Written(Hand):
    """A hand-written record with journal heads, words and I/O in it."""

    def __init__(self) -> None:
        super().__init__(*ACTORS, daemons=("io.1",))

    def lane(self, owner: str, field: str, sub: str = "") -> int:
        """As Hand's, and for journal heads."""
        if not owner.startswith("jh:"):
            return super().lane(owner, field, sub)
        key = (owner, field, sub)
        if key not in self.known:
            self.known[key] = len(self.known) + 1
            self.table[self.known[key]] = ("JournalHead", *key)
        return self.known[key]

    def word(self, task: str, kind: Kind, page: str, i: int, value: int = 7) -> Written:
        """Read or write a data word."""
        self.op(task, kind, f"{page}.words", value, value if kind == Kind.WRITE else None, sub=f"[{i}]")
        return self

    def test(self, task: str, owner: str, bit: str, value: bool, field: str = "flags") -> Written:
        """Test a bit."""
        self.op(task, Kind.TEST, f"{owner}.{field}", value, sub=bit)
        return self

    def lock_bh(self, task: str, bh: str) -> Written:
        """Take a buffer lock."""
        self.lock(task, bh, "BH_Lock", "b_state")
        return self

    def unlock_bh(self, task: str, bh: str) -> Written:
        """Clear a buffer lock."""
        self.unlock(task, bh, "BH_Lock", "b_state")
        return self

    def busy(self, task: str, owner: str, bit: str = "BH_Lock", field: str = "b_state") -> Written:
        """Try a bit lock that somebody holds."""
        self.op(task, Kind.TEST_AND_SET, f"{owner}.{field}", True, sub=bit)
        return self

    def submit(self, task: str, bh: str) -> Written:
        """Hand a buffer's lock to its I/O, the task io.1."""
        self.note(task, "hand-over", self.lane(bh, "b_state", "BH_Lock"), bh)
        self.op(task, Kind.SPAWN, "cpu:0.tasks", self.ids["io.1"])
        return self

    def writeback(self, task: str, page: str) -> Written:
        """Set PG_writeback."""
        self.lock(task, page, "PG_writeback")
        return self

    def read_slot(self, task: str, shows: str) -> Written:
        """Read the slot."""
        self.op(task, Kind.READ, SLOT, shows)
        return self

    def speculative(self, task: str, page: str, new: int) -> Written:
        """Take a reference unless the count is 0 (`new` 0: none was taken)."""
        self.op(task, Kind.GET_UNLESS_ZERO, f"{page}._count", "lookup", new)
        return self


def cached() -> Written:
    """Put page:0 into the cache, with its ring."""
    hand = Written()
    hand.get("main", "page:0._count", "slot", 1).get("main", "page:0._count", "private", 2)
    hand.get("main", "page:1._count", "isolation", 1)
    hand.write("main", "page:0.mapping", "mapping:5").write("main", SLOT, "page:0")
    for bh, following in zip(RING, ("bh:2", "bh:1"), strict=True):
        hand.write("main", f"{bh}.b_this_page", following).write("main", f"{bh}.b_page", "page:0")
    hand.write("main", "page:0.private", "bh:1")
    return hand


M = "migrator"


def _isolate(hand: Written) -> None:
    hand.op(M, Kind.GET_UNLESS_ZERO, "page:0._count", "isolation", 3).unlock(M, "page:0", "PG_lru")


def _copy(hand: Written) -> None:
    for i in range(len(RING)):
        hand.word(M, Kind.READ, "page:0", i).word(M, Kind.WRITE, "page:1", i)


def _lock_buffers(hand: Written) -> None:
    for bh in RING:
        hand.lock_bh(M, bh)


def _move_ring(hand: Written) -> None:
    hand.write(M, "page:1.private", "bh:1").write(M, "page:0.private", None).put(M, "page:0._count", "private", 1)
    for bh in RING:
        hand.write(M, f"{bh}.b_page", "page:1")


def _unlock_buffers(hand: Written) -> None:
    for bh in RING:
        hand.unlock_bh(M, bh)


DEEDS: dict[Stage, Deed] = {
    Stage.ISOLATED: _isolate,
    Stage.LOCK_OLD: lambda hand: hand.lock(M, "page:0"),
    Stage.WRITEBACK_SEEN: lambda hand: hand.test(M, "page:0", "PG_writeback", False),
    Stage.MAPCOUNT_SEEN: lambda hand: hand.op(M, Kind.READ, "page:0._mapcount", -1),
    Stage.LOCK_NEW: lambda hand: hand.lock(M, "page:1"),
    Stage.TREE_LOCK: lambda hand: hand.op(M, Kind.ACQUIRE, TREE, "irq"),
    Stage.COUNT_TESTED: lambda hand: hand.op(M, Kind.COUNT, "page:0._count", 3),
    Stage.SLOT_SEEN: lambda hand: hand.read_slot(M, "page:0"),
    Stage.FREEZE: lambda hand: hand.freeze(M, "page:0._count", 3),
    Stage.LOCK_BUFFERS: _lock_buffers,
    Stage.REPLACE: lambda hand: hand.write(M, SLOT, "page:1", "page:0"),
    Stage.THAW: lambda hand: hand.unfreeze(M, "page:0._count", 2, "slot"),
    Stage.TREE_UNLOCK: lambda hand: hand.op(M, Kind.RELEASE, TREE, "irq"),
    Stage.RING_MOVED: _move_ring,
    Stage.COPY: _copy,
    Stage.UNLOCK_BUFFERS: _unlock_buffers,
    Stage.UNLOCK_NEW: lambda hand: hand.unlock(M, "page:1"),
    Stage.UNLOCK_OLD: lambda hand: hand.unlock(M, "page:0"),
}
"""Stage -> what the migrator does in it, in the order of MIGRATE_ASYNC."""

BACKED_OUT = (
    Stage.LOCK_BUFFERS, Stage.REPLACE, Stage.THAW, Stage.RING_MOVED, Stage.COPY, Stage.UNLOCK_BUFFERS,
)  # fmt: skip
"""What an attempt leaves out that finds a buffer locked, and backs out."""


def in_order(mode: str) -> list[Stage]:
    """Return the stages of a mode in their order; in sync modes the buffers are locked after the tree_unlock."""
    order = list(DEEDS)
    if mode != "MIGRATE_ASYNC":
        order.remove(Stage.LOCK_BUFFERS)
        order.insert(order.index(Stage.TREE_UNLOCK) + 1, Stage.LOCK_BUFFERS)
    return order


def migration(
    mode: str = "MIGRATE_ASYNC",
    after: Mapping[Stage, Deed] | None = None,
    leave_out: tuple[Stage, ...] = (),
    order: Sequence[Stage] | None = None,
    rc: str = "0",
    reason: str = "moved",
) -> Written:
    """Write a migration; its attempt begins right after the first stage.

    Args: after: stage -> what is done right after it, whether it is left out or not.  order: of the stages.
    """
    hand = cached()
    for place, stage in enumerate(order or in_order(mode)):
        if stage not in leave_out:
            DEEDS[stage](hand)
        if place == 0:
            hand.note(M, "migrate-begin", "page:0", mode)
        deed = (after or {}).get(stage)
        if deed is not None:
            deed(hand)
    hand.note(M, "migrate-end", "page:0", "page:1", mode, rc, reason)
    return hand


def part(name: str) -> Part:
    """Return the part of a claim that has this name."""
    return next(part for claim in CLAIMS.values() for part in claim.parts if part.name == name)


def ask(name: str, hand: Hand) -> Instances:
    """Ask one part about a record."""
    return check_parts(hand.record(), [part(name)])[name]


def assert_decided(name: str, hand: Hand, *words: str, tested: int = 1) -> Instances:
    """Assert that the record has so many instances, and that an example with these words decides the part."""
    found = ask(name, hand)
    assert found.tested == tested, found
    assert found.times == 1 and found.example is not None, found
    assert all(word in found.example.title for word in words), found.example.title
    assert all(0 <= step < len(hand.events) for step in found.example.steps)
    return found


def assert_undecided(name: str, hand: Hand, tested: int) -> None:
    """Assert that the record has so many instances and that none decides the part."""
    found = ask(name, hand)
    assert (found.tested, found.times, found.example) == (tested, 0, None), found
