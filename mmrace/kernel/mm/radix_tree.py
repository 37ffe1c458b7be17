"""The page cache's tree: slots and tags, changed in place.

Invariant: tags belong to the slot and survive the replacement of what the slot holds.  Modifiers hold the mapping's
tree_lock; readers hold nothing but rcu_read_lock.
Not modelled: height and nodes: each slot is an object of its own, so that two lookups of different indexes do not meet;
interior nodes would only add read-read pairs.
Source: lib/radix-tree.c, v3.3.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from mmrace import runtime as rt
from mmrace.kernel.errno import Errno

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page

MARKS: tuple[tuple[str, str], ...] = ()


class PageCacheTag(IntEnum):
    """Tags of a slot.  Source: include/linux/fs.h, v3.3."""

    PAGECACHE_TAG_DIRTY = 0
    PAGECACHE_TAG_WRITEBACK = 1
    PAGECACHE_TAG_TOWRITE = 2


PAGECACHE_TAG_DIRTY = PageCacheTag.PAGECACHE_TAG_DIRTY
PAGECACHE_TAG_WRITEBACK = PageCacheTag.PAGECACHE_TAG_WRITEBACK
PAGECACHE_TAG_TOWRITE = PageCacheTag.PAGECACHE_TAG_TOWRITE


class Slot(rt.Struct):
    """One slot: the page it shows, and its tags."""

    page: rt.Field[Page | None] = rt.shared(
        None, benign="lookups read it under RCU, take a reference, and look again; only changes need tree_lock"
    )
    tags = rt.flag_word(PageCacheTag)
    index: int = rt.ghost(0)

    def __init__(self, ino: int | str, index: int) -> None:
        super().__init__(("slot", ino, index), index=index)


class RadixTreeRoot:
    """The slots of one mapping.

    A file's are all there from the start.  A device's (nr_slots None) are made when they are first asked for, since
    most blocks of a device never are: a gang lookup there passes over slots that nobody ever looked at.
    """

    __slots__ = ("ino", "made", "nr_slots")

    def __init__(self, ino: int | str, nr_slots: int | None) -> None:
        self.ino = ino
        self.nr_slots = nr_slots
        self.made = {index: Slot(ino, index) for index in range(nr_slots or 0)}

    @property
    def slots(self) -> list[Slot]:
        """The slots that were made, by index (see `Slot.index`: a device's have gaps).  Point: never."""
        made = list(self.made.values())  # a copy: under `free` another one may be made meanwhile
        if self.nr_slots is None:
            made.sort(key=lambda slot: slot.index)
        return made

    def slots_from(self, first: int) -> list[Slot]:
        """Return the slots from index `first` on, by index.  Point: never."""
        return [slot for slot in self.slots if slot.index >= first]


def radix_tree_lookup_slot(root: RadixTreeRoot, index: int) -> Slot | None:
    """Find the slot of `index`; None beyond the end.  Point: never (the path to a slot does not change).

    Source: lib/radix-tree.c, v3.3.
    """
    slot = root.made.get(index)
    if slot is None and root.nr_slots is None:
        # setdefault: under `free` two tasks may come at once, and both must get the same slot.
        slot = root.made.setdefault(index, Slot(root.ino, index))
    return slot


def radix_tree_deref_slot(slot: Slot) -> Page | None:
    """Read what a slot shows.  Needs rcu_read_lock.  Source: include/linux/radix-tree.h, v3.3."""
    return slot.page


def radix_tree_deref_slot_protected(slot: Slot) -> Page | None:
    """Read what a slot shows, with tree_lock held.  Source: include/linux/radix-tree.h, v3.3."""
    return slot.page


def radix_tree_replace_slot(slot: Slot, page: Page) -> None:
    """Publish another page in a slot in use; tags are untouched.  Needs tree_lock.

    Source: include/linux/radix-tree.h, v3.3.
    """
    slot.page = page


def radix_tree_insert(root: RadixTreeRoot, index: int, page: Page) -> int:
    """Fill an empty slot; -EEXIST if it is in use.  Needs tree_lock.  Source: lib/radix-tree.c, v3.3."""
    slot = _slot(root, index)
    if slot.page is not None:
        return -Errno.EEXIST
    slot.page = page
    return 0


def radix_tree_delete(root: RadixTreeRoot, index: int) -> Page | None:
    """Empty a slot and clear its tags; returns what it held.  Needs tree_lock.  Source: lib/radix-tree.c, v3.3."""
    slot = _slot(root, index)
    page = slot.page
    for tag in PageCacheTag:
        if rt.test_bit(slot.tags, tag):
            rt.clear_bit(slot.tags, tag)
    slot.page = None
    return page


def radix_tree_tag_set(root: RadixTreeRoot, index: int, tag: PageCacheTag) -> None:
    """Tag a slot.  Needs tree_lock.  Source: lib/radix-tree.c, v3.3."""
    rt.set_bit(_slot(root, index).tags, tag)


def radix_tree_tag_clear(root: RadixTreeRoot, index: int, tag: PageCacheTag) -> None:
    """Clear a tag of a slot.  Needs tree_lock.  Source: lib/radix-tree.c, v3.3."""
    rt.clear_bit(_slot(root, index).tags, tag)


def radix_tree_tag_get(root: RadixTreeRoot, index: int, tag: PageCacheTag) -> bool:
    """Read a tag of a slot.  Source: lib/radix-tree.c, v3.3."""
    return rt.test_bit(_slot(root, index).tags, tag)


def radix_tree_tagged(root: RadixTreeRoot, tag: PageCacheTag) -> bool:
    """Say whether any slot has the tag.  Source: lib/radix-tree.c, v3.3."""
    return any(rt.test_bit(slot.tags, tag) for slot in root.slots)


def radix_tree_gang_lookup_slot(root: RadixTreeRoot, first: int, max_items: int) -> list[Slot]:
    """Collect up to `max_items` slots in use from index `first` on.  Needs rcu_read_lock.

    Source: lib/radix-tree.c, v3.3.
    """
    found: list[Slot] = []
    for slot in root.slots_from(first):
        if slot.page is not None:
            found.append(slot)
            if len(found) == max_items:
                break
    return found


def radix_tree_gang_lookup_tag_slot(root: RadixTreeRoot, first: int, max_items: int, tag: PageCacheTag) -> list[Slot]:
    """Collect up to `max_items` slots with the tag from index `first` on.  Needs rcu_read_lock.

    Source: lib/radix-tree.c, v3.3.
    """
    found: list[Slot] = []
    for slot in root.slots_from(first):
        if rt.test_bit(slot.tags, tag):
            found.append(slot)
            if len(found) == max_items:
                break
    return found


def radix_tree_range_tag_if_tagged(
    root: RadixTreeRoot, first: int, last: int, iftag: PageCacheTag, settag: PageCacheTag
) -> int:
    """Give `settag` to the slots first..last that have `iftag`; returns how many.  Needs tree_lock.

    Source: lib/radix-tree.c, v3.3.
    """
    tagged = 0
    for slot in root.slots_from(first):
        if slot.index > last:
            break
        if rt.test_bit(slot.tags, iftag):
            rt.set_bit(slot.tags, settag)
            tagged += 1
    return tagged


def _slot(root: RadixTreeRoot, index: int) -> Slot:
    slot = radix_tree_lookup_slot(root, index)
    if slot is None:
        raise rt.UsageError(
            expected=f"an index below {root.nr_slots}",
            got=repr(index),
            where="radix tree",
            try_="give the mapping more slots when the scenario is set up",
        )
    return slot
