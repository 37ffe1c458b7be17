"""Records written by hand: events on named lanes, notes, and a state at rest, for tests of oracles.

Objects are plain names as in a record that was read from a file: "page:0", "bh:1", "slot:5:0"; what stands
before the colon says the class.  Task 0 is "main"; others get the name that they are made with.
"""

from __future__ import annotations

from typing import Any

from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.radix_tree import Slot
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.record import SCHEMA, Record
from mmrace.runtime.tables import Tables
from mmrace.scenarios.tables import KERNEL

CLASSES = {
    "page": "Page",
    "bh": "BufferHead",
    "slot": "Slot",
    "mapping": "AddressSpace",
    "zone": "Zone",
    "journal": "Journal",
    "jh": "JournalHead",
    "transaction": "Transaction",
    "disk": "DiskBlock",
    "cpu": "Cpu",
    "percpu": "PerCpuState",
    "mm": "MmStruct",
    "pageblock": "Pageblock",
    "free_area": "FreeArea",
    "free": "FreeList",
    "queue": "RequestQueue",
    "inode": "Inode",
    "anon_lru": "AnonLru",
}
FLAGS = "flags"
BENIGN = {f"{cls.__name__}.{field}": why for cls in (Page, Slot) for field, why in cls.benign.items()}
TABLES = KERNEL.with_benign(BENIGN)


class Hand:
    """A record in the making."""

    def __init__(self, *tasks: str, daemons: tuple[str, ...] = ()) -> None:
        self.tasks = [
            {"id": i, "name": name, "cpu": 0, "daemon": name in daemons}
            for i, name in enumerate(("main", *tasks, *daemons))
        ]
        self.ids = {str(task["name"]): i for i, task in enumerate(self.tasks)}
        self.table: dict[int, tuple[str, str, str, str]] = {}
        self.known: dict[tuple[str, str, str], int] = {}
        self.events: list[tuple[Any, ...]] = []
        self.final: dict[str, Any] = {}
        self.end: dict[str, Any] = {"how": "finished", "detail": {}}
        self.marks: dict[str, int] = {}
        self.params: dict[str, Any] = {}

    # -- parts ----------

    def lane(self, owner: str, field: str, sub: str = "") -> int:
        """Return the lane of an object's field, made at first use."""
        key = (owner, field, sub)
        if key not in self.known:
            self.known[key] = lane = len(self.known) + 1
            self.table[lane] = (CLASSES[owner.partition(":")[0]], *key)
        return self.known[key]

    def op(self, task: str, kind: Kind, path: str, a: object = None, b: object = None, sub: str = "") -> Hand:
        """Add an op on "owner.field"; the field is what follows the last dot."""
        owner, _, field = path.rpartition(".")
        self.events.append((self.ids[task], self.lane(owner, field, sub) << SHIFT | kind, a, b))
        return self

    def note(self, task: str, kind: str, *facts: object) -> Hand:
        """Add a note."""
        self.events.append((self.ids[task], NOTE, kind, facts))
        return self

    def record(self, tables: Tables = TABLES) -> Record:
        """Return the record, of a program with these tables."""
        header: dict[str, Any] = {"schema": SCHEMA, "scenario": "by hand", "engine": "gate", "tables": tables.plain()}
        if self.params:
            header["params"] = self.params
        return Record(
            header,
            self.events,
            table=self.table,
            tasks=self.tasks,
            end=self.end,
            final=self.final,
            marks=self.marks,
        )

    # -- fields, bits and locks ----------

    def write(self, task: str, path: str, new: object, old: object = None) -> Hand:
        """Write a plain field."""
        return self.op(task, Kind.WRITE, path, old, new)

    def lock(self, task: str, page: str, bit: str = "PG_locked", field: str = FLAGS) -> Hand:
        """Take a bit lock that is free."""
        return self.op(task, Kind.TEST_AND_SET, f"{page}.{field}", False, sub=bit)

    def unlock(self, task: str, page: str, bit: str = "PG_locked", field: str = FLAGS) -> Hand:
        """Clear a bit lock that is set."""
        return self.op(task, Kind.CLEAR, f"{page}.{field}", True, sub=bit)

    def queue(self, task: str, page: str, bit: str, field: str = FLAGS) -> Hand:
        """Queue for a bit."""
        return self.op(task, Kind.QUEUE, f"{page}.{field}", True, sub=f"{bit}.queue")

    def dequeue(self, task: str, page: str, bit: str, field: str = FLAGS) -> Hand:
        """Leave the queue for a bit."""
        return self.op(task, Kind.DEQUEUE, f"{page}.{field}", sub=f"{bit}.queue")

    def sleep(self, task: str, page: str, bit: str, field: str = FLAGS) -> Hand:
        """End a sleep on a bit."""
        return self.op(task, Kind.SLEEP, f"{page}.{field}", sub=f"{bit}.queue")

    def wake(self, task: str, page: str, bit: str, *woken: str) -> Hand:
        """Wake sleepers on a bit."""
        ids = tuple(self.ids[name] for name in woken)
        return self.op(task, Kind.WAKE, f"{page}.{FLAGS}", len(ids), ids, sub=f"{bit}.queue")

    def exit(self, task: str, *held: str) -> Hand:
        """End a task."""
        return self.op(task, Kind.EXIT, "cpu:0.tasks", held)

    # -- references ----------

    def get(self, task: str, path: str, ref: str, new: int) -> Hand:
        """Take a reference."""
        return self.op(task, Kind.GET, path, ref, new)

    def put(self, task: str, path: str, ref: str, new: int) -> Hand:
        """Drop a reference."""
        return self.op(task, Kind.PUT, path, ref, new)

    def freeze(self, task: str, path: str, n: int, ok: bool = True) -> Hand:
        """Try to freeze a count."""
        return self.op(task, Kind.FREEZE, path, n, ok)

    def unfreeze(self, task: str, path: str, n: int, dropped: str | None = None) -> Hand:
        """Thaw a count."""
        return self.op(task, Kind.UNFREEZE, path, n, dropped)


# -- the state at rest ----------


def page(name: str, **over: object) -> dict[str, object]:
    """A clean page in slot 0 of mapping:5, without buffers, count 1."""
    row: dict[str, object] = {
        "name": name, "pfn": int(name.partition(":")[2]), "generation": 1, "free": False,
        "flags": ["PG_uptodate"], "count": 1, "mapcount": 0, "mapping": "mapping:5", "index": 0,
        "private": None, "words": [0, 0],
    }  # fmt: skip
    return row | over


def free_page(name: str) -> dict[str, object]:
    """A page that nobody uses."""
    return page(name, free=True, flags=[], count=0, mapping=None, index=None)


def buffer(name: str, **over: object) -> dict[str, object]:
    """A clean buffer, alone on the ring of page:0."""
    row: dict[str, object] = {
        "name": name, "page": "page:0", "block": 0, "index": 0, "state": ["BH_Mapped", "BH_Uptodate"],
        "count": 0, "jh": None, "next": name,
    }  # fmt: skip
    return row | over


def slot(index: int, page_: str | None, *tags: str) -> dict[str, object]:
    """A slot of mapping:5."""
    return {"index": index, "page": page_, "tags": list(tags)}


def rest(
    pages: list[dict[str, object]],
    slots: list[dict[str, object]] | None = None,
    buffers: list[dict[str, object]] | None = None,
    disk: dict[str, list[int]] | None = None,
    **over: object,
) -> dict[str, object]:
    """A snapshot with one mapping, mapping:5 of inode 5; by default slot 0 shows the first page."""
    rows = slots if slots is not None else [slot(0, str(pages[0]["name"]))] if pages else []
    used = sum(row["page"] is not None for row in rows)
    snap: dict[str, object] = {
        "pages": pages,
        "mappings": [{"name": "mapping:5", "ino": 5, "slots": rows, "nrpages": used}],
        "buffers": buffers or [],
        "journals": [],
        "disk": {"5": disk or {}, "log": {"0": [7, 7]}},
        "counters": {"NR_FILE_DIRTY": 0, "NR_WRITEBACK": 0, "NR_FILE_PAGES": used, "NR_ISOLATED": 0},
        "lru": [],
        "pagevecs": {},
        "bh_lrus": {},
        "locks_held": [],
    }
    return snap | over


def at_rest(hand: Hand, snap: dict[str, object]) -> Hand:
    """End a hand-written run in `snap`, before and after sync alike."""
    hand.final = {"quiescent": snap, "synced": snap}
    return hand
