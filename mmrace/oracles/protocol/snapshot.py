"""The model at rest, as a record keeps it: pages, slots, buffers, disk and counters by name, with types.

`record.final` holds two of them: "quiescent" (every actor done, no I/O in flight) and "synced" (everything
written out after that).  Invariant: a view is plain data; nothing here judges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from weakref import WeakKeyDictionary

from mmrace.oracles.protocol.names import is_anon_vma
from mmrace.runtime.record import Record

Plain = Mapping[str, object]


@dataclass(slots=True, frozen=True)
class PageView:
    """One page frame."""

    name: str
    free: bool
    flags: frozenset[str]
    count: int
    mapping: str | None
    index: int | None
    private: str | None
    words: tuple[object, ...]
    mapcount: int = 0

    @property
    def anonymous(self) -> bool:
        """Whether it is a page of private memory."""
        return is_anon_vma(self.mapping)


@dataclass(slots=True, frozen=True)
class SlotView:
    """One slot of a mapping's tree; `tags` without the kernel's prefix: DIRTY, WRITEBACK, TOWRITE."""

    mapping: str
    ino: str
    index: int
    page: str | None
    tags: frozenset[str]


@dataclass(slots=True, frozen=True)
class BufferView:
    """One live buffer head; `state` without the kernel's prefix: Dirty, Lock, Uptodate, ..."""

    name: str
    page: str | None
    index: int | None
    state: frozenset[str]
    count: int
    next: str | None
    jh: str | None


@dataclass(slots=True, frozen=True)
class HeadView:
    """One journal head; `list` is the name of a `JList`, `copies` its frozen and its committed data, where there are.

    `transaction` and `checkpoint` are names of transactions.
    """

    name: str
    bh: str | None
    count: int
    list: str
    transaction: str | None
    checkpoint: str | None
    copies: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class FreeBlock:
    """A block on a free list.  `order`: that of the list; `marked`: that of its first page, None if that has none."""

    page: str
    order: int
    marked: int | None


@dataclass(slots=True, frozen=True)
class PteView:
    """One pte that is not none, by its address in pages; `bits`: present, write, dirty, accessed."""

    address: int
    page: str
    bits: frozenset[str]


@dataclass(slots=True, frozen=True)
class PrivateView:
    """A private mapping, at the addresses `start` to before `end`; `anon_vma`: None until it had a page."""

    name: str
    anon_vma: str | None
    start: int
    end: int


@dataclass(slots=True, frozen=True)
class AnonVmaView:
    """An anon_vma that is not freed; `vmas`: the mappings that it leads to."""

    name: str
    count: int
    vmas: tuple[str, ...]


@dataclass(slots=True, frozen=True)
class Snapshot:
    """One moment of the model at rest.

    `pages` are those that were ever allocated or changed; the rest, in most runs nine of ten, are only names in
    `unused`.  `pagevecs` and `bh_lrus`: all entries of all CPUs.  `heads`, `copies`, `free_list`: None in a record of
    before they were kept.  `free_blocks`: None also where free blocks are single pages.  `areas`: order -> how many
    free blocks the zone says it has.  `tails`: pages in use that the first of their block counts for.  `listed`:
    transaction -> list -> journal heads.  `mapped`: what is mapped where, as (name of the file's mapping, first
    address, the one after the last, index of the first page); `vmas`: name of each of these -> name of the file's
    mapping; `i_mmap`: the other way round, as that mapping has it.  `private`, `anon_vmas`: what is mapped of no file.
    """

    label: str
    pages: dict[str, PageView]
    unused: frozenset[str]
    slots: list[SlotView]
    nrpages: dict[str, int]
    buffers: dict[str, BufferView]
    disk: dict[str, dict[int, tuple[object, ...]]]
    counters: dict[str, int]
    locks_held: tuple[str, ...]
    pagevecs: tuple[str, ...]
    bh_lrus: tuple[str, ...]
    lru: tuple[str, ...]
    free_list: tuple[str, ...] | None
    free_blocks: tuple[FreeBlock, ...] | None
    areas: dict[int, int]
    tails: frozenset[str]
    heads: dict[str, HeadView] | None
    copies: tuple[str, ...] | None
    listed: dict[str, dict[str, tuple[str, ...]]]
    ptes: tuple[PteView, ...] = ()
    mapped: tuple[tuple[str, int, int, int], ...] = ()
    vmas: Mapping[str, str] = field(default_factory=dict)
    i_mmap: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    private: tuple[PrivateView, ...] = ()
    anon_vmas: tuple[AnonVmaView, ...] = ()

    @property
    def max_order(self) -> int:
        """The order of the largest free block that there can be."""
        return max(self.areas, default=0)

    @property
    def nr_pages(self) -> int:
        """How many page frames the machine has."""
        return len(self.pages) + len(self.unused)

    def page(self, name: str | None) -> PageView | None:
        """Return the page of this name, None if the machine has none."""
        if name is None:
            return None
        view = self.pages.get(name)
        if view is None and name in self.unused:
            return PageView(name, True, frozenset(), 0, None, None, None, ())
        return view

    @property
    def by_position(self) -> dict[tuple[str, int], SlotView]:
        """Slots by (mapping name, index)."""
        return {(slot.mapping, slot.index): slot for slot in self.slots}

    def home(self, address: int) -> tuple[str, int] | None:
        """Return (mapping name, index) of what is mapped at an address, None if nothing is."""
        for mapping, start, end, pgoff in self.mapped:
            if start <= address < end:
                return mapping, address - start + pgoff
        return None

    def private_at(self, address: int) -> PrivateView | None:
        """Return the private mapping at an address, None if there is none."""
        return next((one for one in self.private if one.start <= address < one.end), None)

    @property
    def inodes(self) -> dict[str, str]:
        """Inode number, as the disk has it, of each mapping name."""
        return {slot.mapping: slot.ino for slot in self.slots}


_STATE = itemgetter("generation", "free", "flags", "count", "mapping", "private")
_UNUSED: tuple[object, ...] = (0, True, [], 0, None, None)
"""A page that was never allocated, and that nobody changed in what may be touched while it is free."""

LABELS = ("quiescent", "synced")
_parsed: WeakKeyDictionary[Record, list[Snapshot]] = WeakKeyDictionary()


def snapshots(record: Record) -> list[Snapshot]:
    """Return "quiescent" and "synced", in this order; nothing if the run did not finish.

    A run that stopped during its sync has a quiescent state, but its events go on after it, and under `free`
    the main task may take that state while others are being aborted.  Parsed once a record, for several
    oracles ask, and it costs as much as one of them.
    """
    if unfinished(record):
        return []
    found = _parsed.get(record)
    if found is None:
        found = _parsed[record] = [_snapshot(label, record.final[label]) for label in LABELS]
    return found


def unfinished(record: Record) -> str:
    """Say why the run has no final state to judge, "" if it has."""
    how = record.end.get("how", "unknown")
    absent = [label for label in LABELS if label not in record.final]
    if how == "finished" and not absent:
        return ""
    return f"the run ended as {how}: no {' and no '.join(absent) or 'valid final'} state"


def _snapshot(label: str, plain: Plain) -> Snapshot:
    slots: list[SlotView] = []
    nrpages: dict[str, int] = {}
    for mapping in _rows(plain, "mappings"):
        name, ino = str(mapping["name"]), str(mapping["ino"])
        nrpages[name] = _int(mapping["nrpages"])
        for slot in _rows(mapping, "slots"):
            tags = _bits(slot.get("tags"), "PAGECACHE_TAG_")
            slots.append(SlotView(name, ino, _int(slot["index"]), _name(slot.get("page")), tags))
    pages: list[PageView] = []
    unused: list[str] = []
    for row in _rows(plain, "pages"):
        if _STATE(row) == _UNUSED:
            unused.append(str(row["name"]))
        else:
            pages.append(_page(row))
    buffers = [_buffer(row) for row in _rows(plain, "buffers")]
    return Snapshot(
        label,
        {page.name: page for page in pages},
        frozenset(unused),
        slots,
        nrpages,
        {buffer.name: buffer for buffer in buffers},
        {ino: _blocks(blocks) for ino, blocks in _map(plain.get("disk")).items()},
        {key: _int(value) for key, value in _map(plain.get("counters")).items()},
        tuple(str(lock) for lock in _list(plain.get("locks_held"))),
        _entries(plain, "pagevecs"),
        _entries(plain, "bh_lrus"),
        _names(plain.get("lru")),
        _names(plain["free_list"]) if "free_list" in plain else None,
        tuple(_free_block(row) for row in _rows(plain, "free_blocks")) if "free_blocks" in plain else None,
        {int(order): _int(number) for order, number in _map(plain.get("areas")).items()},
        frozenset(_tails(_map(plain.get("blocks")))),
        {str(row["name"]): _head(row) for row in _rows(plain, "heads")} if "heads" in plain else None,
        _names(plain["copies"]) if "copies" in plain else None,
        {
            transaction: {key: _names(heads) for key, heads in _map(lists).items()}
            for journal in _rows(plain, "journals")
            for transaction, lists in _map(journal.get("lists")).items()
        },
        tuple(PteView(_int(row["address"]), str(row["page"]), _bits(row["bits"], "")) for row in _rows(plain, "ptes")),
        tuple(
            (str(row["mapping"]), _int(row["start"]), _int(row["end"]), _int(row["pgoff"]))
            for row in _rows(plain, "mapped")
        ),
        {str(row["name"]): str(row["mapping"]) for row in _rows(plain, "mapped")},
        {str(row["name"]): _names(row["i_mmap"]) for row in _rows(plain, "mappings") if "i_mmap" in row},
        tuple(
            PrivateView(str(row["name"]), _name(row.get("anon_vma")), _int(row["start"]), _int(row["end"]))
            for row in _rows(plain, "private")
        ),
        tuple(
            AnonVmaView(str(row["name"]), _int(row["count"]), _names(row["vmas"])) for row in _rows(plain, "anon_vmas")
        ),
    )


def _free_block(row: Plain) -> FreeBlock:
    return FreeBlock(str(row["page"]), _int(row["order"]), _maybe_int(row.get("marked")))


def _tails(blocks: Plain) -> Iterator[str]:
    """Yield the pages of used blocks but for the first of each."""
    for first, order in blocks.items():
        kind, _, pfn = first.partition(":")
        yield from (f"{kind}:{int(pfn) + i}" for i in range(1, 1 << _int(order)))


def _names(plain: object) -> tuple[str, ...]:
    return tuple(str(name) for name in _list(plain))


def _head(row: Plain) -> HeadView:
    return HeadView(
        str(row["name"]),
        _name(row.get("bh")),
        _int(row["count"]),
        str(row["list"]),
        _name(row.get("transaction")),
        _name(row.get("checkpoint")),
        tuple(str(row[key]) for key in ("frozen", "committed") if row.get(key) is not None),
    )


def _entries(plain: Plain, key: str) -> tuple[str, ...]:
    """Return what a group of per-CPU lists holds, all together."""
    return tuple(str(name) for names in _map(plain.get(key)).values() for name in _list(names))


def _page(row: Plain) -> PageView:
    return PageView(
        str(row["name"]),
        bool(row.get("free")),
        _bits(row.get("flags"), ""),
        _int(row["count"]),
        _name(row.get("mapping")),
        _maybe_int(row.get("index")),
        _name(row.get("private")),
        tuple(_list(row.get("words"))),
        _int(row.get("mapcount", 0)),
    )


def _buffer(row: Plain) -> BufferView:
    return BufferView(
        str(row["name"]),
        _name(row.get("page")),
        _maybe_int(row.get("index")),
        _bits(row.get("state"), "BH_"),
        _int(row["count"]),
        _name(row.get("next")),
        _name(row.get("jh")),
    )


def _blocks(plain: object) -> dict[int, tuple[object, ...]]:
    return {int(block): tuple(_list(words)) for block, words in _map(plain).items() if block.isdigit()}


def _rows(plain: Plain, key: str) -> list[Plain]:
    return [_map(row) for row in _list(plain.get(key))]


def _map(plain: object) -> Plain:
    return plain if isinstance(plain, dict) else {}


def _list(plain: object) -> Sequence[object]:
    return plain if isinstance(plain, (list, tuple)) else ()


_NONE: frozenset[str] = frozenset()


def _bits(plain: object, prefix: str) -> frozenset[str]:
    bits = _list(plain)
    return frozenset([str(bit).removeprefix(prefix) for bit in bits]) if bits else _NONE


def _name(plain: object) -> str | None:
    return None if plain is None else str(plain)


def _maybe_int(plain: object) -> int | None:
    return None if plain is None else _int(plain)


def _int(plain: object) -> int:
    if not isinstance(plain, int):
        raise TypeError(f"snapshot: expected an integer, got {plain!r}")
    return plain
