"""Who is behind a folio address: logical pages, their buffers, what is done to them (``ktrace_stories.py``).

Purpose: folio and buffer-head addresses are reused after free, and a migration gives a page a new folio.
A :class:`Stay` is one stay of a logical page (ino, index) in the page cache; it follows migrations and ends
with the filemap delete, so that an address is always read together with the time.

Invariant kept: a stay never changes its key once known; another key on the same folio opens another stay
(and is counted, since it means that a delete event is missing from the log).

Not checked: that the log holds every add and delete.  The key of a page that is older than the log becomes
known with its first event that shows it, and holds for the earlier events of the same stay as well.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tools.ktrace import FOLIO_BASE, FOLIO_SIZE, PAGE_SHIFT, Event

BUFFERS = 4
"""1 KiB blocks on 4 KiB pages."""

Key = tuple[int, int]


@dataclass(slots=True, eq=False)
class BufferRing:
    """The buffer heads of one page between two frees, and what is known of their order.

    A migration walks the ring from its head, so it lists the buffers by index, as does a write of the whole
    page; otherwise the head (the folio's private pointer) is index 0 and the rest follow by first appearance.
    """

    head: int | None = None
    seen: list[int] = field(default_factory=list)
    listed: dict[int, int] = field(default_factory=dict)

    def full(self) -> bool:
        """True when all buffers of the page have been seen."""
        return len(self.seen) >= BUFFERS

    def note(self, bh: int) -> None:
        """Remember the order of first appearance."""
        if bh not in self.seen:
            self.seen.append(bh)

    def learn(self, order: list[int]) -> None:
        """Take `order` (the whole ring, from the head) as exact, unless another is known."""
        if not self.listed and len(set(order)) == BUFFERS and self.head in (None, order[0]):
            self.listed = {bh: slot for slot, bh in enumerate(order)}
            for bh in order:
                self.note(bh)

    def slots(self) -> dict[int, int]:
        """Buffer head -> index inside the page."""
        if self.listed:
            return self.listed
        front = [] if self.head is None else [self.head]
        order = front + [bh for bh in self.seen if bh != self.head]
        return {bh: slot for slot, bh in enumerate(order[:BUFFERS])}


@dataclass(slots=True, eq=False)
class Stay:
    """One stay of a logical page in the page cache."""

    key: Key | None = None
    metadata: bool = False
    ring: BufferRing = field(default_factory=BufferRing)
    delayed: bool = False
    """Dirtied without a block yet: the next writeback allocates it inside the running transaction."""

    def ring_with(self, bh: int) -> BufferRing:
        """The ring that `bh` belongs to; a fifth buffer means that the old ones were freed unseen."""
        if self.ring.full() and bh not in self.ring.seen:
            self.ring = BufferRing()
        self.ring.note(bh)
        return self.ring

    def set_head(self, head: int) -> None:
        """The folio's private pointer was seen."""
        if not head:
            return
        if self.ring.head not in (None, head) or (self.ring.full() and head not in self.ring.seen):
            self.ring = BufferRing()
        self.ring.head = head


@dataclass(slots=True, eq=False)
class Action:
    """Something done to pages.  `stays` is one page, or all the pages of a commit."""

    do: str
    task: str
    begin_us: int
    end_us: int
    first_line: int
    last_line: int
    stays: list[Stay] = field(default_factory=list)
    inferred: list[Stay] = field(default_factory=list)
    mode: str = ""
    outcome: str = ""
    reason: str = ""
    dirtied: list[int] = field(default_factory=list)
    ring: BufferRing | None = None

    def keys(self, *, inferred: bool = True) -> list[Key]:
        """The known logical pages this action touches, sorted."""
        stays = self.stays + (self.inferred if inferred else [])
        return sorted({stay.key for stay in stays if stay.key is not None and not stay.metadata})

    def buffers(self) -> list[int]:
        """Indexes of the dirtied buffers inside the page."""
        slots = self.ring.slots() if self.ring is not None else {}
        return sorted({slots[bh] for bh in self.dirtied if bh in slots})


class PageTable:
    """Folio address -> stay, over the time of the log."""

    def __init__(self, device_inodes: frozenset[int]) -> None:
        self._stays: dict[int, Stay] = {}
        self._device_inodes = device_inodes
        self.doubts: Counter[str] = Counter()

    def of(self, folio: int) -> Stay:
        """The stay that `folio` holds now."""
        return self._stays.setdefault(folio, Stay())

    def identify(self, folio: int, ino: int, index: int) -> Stay:
        """An event shows which page `folio` is."""
        stay = self.of(folio)
        if ino in self._device_inodes:
            stay.metadata = True
        elif stay.key is None:
            stay.key = (ino, index)
        elif stay.key != (ino, index):
            self.doubts["folio changed its page without a delete event"] += 1
            stay = self._stays[folio] = Stay(key=(ino, index))
        return stay

    def added(self, event: Event) -> None:
        """A page enters the cache: whatever the folio was before is over."""
        folio, ino, index, metadata = _filemap(event)
        self._stays[folio] = Stay(key=None if metadata else (ino, index), metadata=metadata)

    def deleted(self, event: Event) -> tuple[int, Stay]:
        """A page leaves the cache; the folio is unknown from here on."""
        folio, ino, index, metadata = _filemap(event)
        if metadata:
            self.of(folio).metadata = True
            stay = self.of(folio)
        else:
            stay = self.identify(folio, ino, index)
        self._stays[folio] = Stay()
        return folio, stay

    def moved(self, src: int, dst: int) -> None:
        """A migration succeeded: the logical page is now behind `dst`."""
        self._stays[dst] = self.of(src)
        self._stays[src] = Stay()


def device_inodes(events: list[Event]) -> frozenset[int]:
    """Inode numbers of the block devices in the log: their pages are the file system's metadata."""
    found: set[int] = set()
    for event in events:
        device = event.args.get("bdi") or event.args.get("dev")
        if device is None:
            continue
        major, _, minor = device.replace(",", ":").partition(":")
        if major.isdigit() and minor.isdigit() and major != "0":
            found.add(int(major) << 20 | int(minor))
    return frozenset(found)


def _filemap(event: Event) -> tuple[int, int, int, bool]:
    """Folio, ino, index of a filemap event (its ino is hexadecimal without 0x, its offset is in bytes)."""
    folio = FOLIO_BASE + event.num("pfn") * FOLIO_SIZE
    metadata = event.args.get("dev", "").startswith("0:")
    return folio, event.hexnum("ino"), event.num("ofs") >> PAGE_SHIFT, metadata
