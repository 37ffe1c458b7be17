"""Conservation: at rest nothing is lost and nothing is in two places: frames, the LRU, journal heads, checkpoints.

Rules, of each snapshot.  Frames: a frame that nobody counts is free and on the free list, once; one on that list is
free.  LRU: PG_lru is set exactly on the pages of the LRU lists, none is listed twice, and a page in the page cache or
of private memory is on a list or in a pagevec, one of private memory among its like.  Journal heads: BH_JBD, b_private
and b_bh agree; b_jcount is the number of transactions that own the buffer or wait for its checkpoint; a head is on the
list that b_jlist names of its transaction, once, and on no other; one that no buffer has was freed.  Copies: each copy
of data was freed, or is that of one head.  Buffers: none is new, which is between the allocation of its block and its
first use; with data=journal 3.3 leaves it so.  Checkpoints: a dirty buffer of the device's own mapping belongs to a
transaction that runs or waits for it.  Statistics: NR_FILE_PAGES is the number of pages in slots.  And of the run: the
queue of a slow disk never has more requests than fit into it, nor fewer than none.
Invariant: each frame, page and head is judged by itself, so one fault is one finding.  Not checked: who holds a
reference (the refcount oracle), dirtiness against tags (the dirty oracle).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.oracles.protocol.names import JOURNALLED, mode_of_data
from mmrace.oracles.protocol.snapshot import HeadView, Snapshot, snapshots, unfinished
from mmrace.runtime.kinds import SHIFT, WRITE
from mmrace.runtime.record import Record

NAME = "conservation"
REQUESTS = 128
"""What fits into the queue of a disk, if nothing else is said."""
CHECKPOINTS = ("t_checkpoint_list", "t_checkpoint_io_list")
LISTS = {
    "BJ_SyncData": "t_sync_datalist", "BJ_Metadata": "t_buffers", "BJ_Forget": "t_forget", "BJ_IO": "t_iobuf_list",
    "BJ_Shadow": "t_shadow_list", "BJ_LogCtl": "t_log_list", "BJ_Reserved": "t_reserved_list",
    "BJ_Locked": "t_locked_list",
}  # fmt: skip
"""The list of a transaction that each `JList` names; BJ_None names none."""

Breach = tuple[str, str, tuple[str, ...]]  # rule, text, objects


def judge(record: Record) -> Judgement:
    """Judge the state at rest, before and after sync."""
    evidence = Evidence(NAME)
    checked = 0
    journalled = mode_of_data(record) == JOURNALLED
    for snap in snapshots(record):
        judged = [_frames(snap), _lru(snap), _heads(snap), _copies(snap), _checkpoints(snap), _statistics(snap)]
        if not journalled:
            judged.append(_buffers(snap))
        for breaches in judged:
            for rule, text, names in breaches:
                facts: dict[str, Fact] = {"objects": list(names), "when": snap.label}
                evidence.add(rule, f"{text} ({snap.label})", (*names, snap.label), **facts)
        checked += _size(snap)
    _requests(record, evidence)
    return evidence.judgement(checked, unfinished(record))


def _requests(record: Record, evidence: Evidence) -> None:
    """Look at each change of the number of requests in a disk's queue."""
    counts, most = record.lanes("RequestQueue", "rq_count"), record.header.get("params", {}).get("requests", REQUESTS)
    for step in record.steps_on(counts, WRITE):
        task, op, _, now = record.events[step]
        if not 0 <= now <= most:
            who, queue = record.task_name(task), counts[op >> SHIFT]
            text = f"{queue} has {now} requests, and {most} fit into it ({who})"
            evidence.add("requests miscounted", text, (queue, who), objects=[queue], task=who, step=step)


def _size(snap: Snapshot) -> int:
    """Return how many frames, heads and buffers a snapshot has."""
    return (snap.nr_pages if snap.free_list is not None else 0) + len(snap.heads or ()) + len(snap.buffers)


def _frames(snap: Snapshot) -> Iterator[Breach]:
    if snap.free_list is None:
        return
    listed = Counter(snap.free_list)
    for name in snap.unused:
        if listed[name] != 1:
            rule = "frame freed twice" if listed[name] else "frame lost"
            yield rule, f"{name}, never used, is on the free list {listed[name]} times", (name,)
    for name, page in snap.pages.items():
        times = listed[name]
        if times > 1:
            yield "frame freed twice", f"{name} is on the free list {times} times", (name,)
        elif page.free and not times:
            yield "frame lost", f"{name} is free and not on the free list", (name,)
        elif times and not page.free:
            yield "used frame on the free list", f"{name} is in use and on the free list", (name,)
        elif not page.free and page.count == 0 and name not in snap.tails:
            yield "frame lost", f"{name} is counted by nobody and was never freed", (name,)
        elif page.free and page.count:
            yield "counted free frame", f"{name} is free and has count {page.count}", (name,)


def _lru(snap: Snapshot) -> Iterator[Breach]:
    listed = Counter(snap.lru)
    shown = {slot.page for slot in snap.slots if slot.page is not None}
    private = {row.page for row in snap.ptes if snap.private_at(row.address) is not None}
    in_pagevecs = set(snap.pagevecs)
    for page in snap.pages.values():
        times, marked = listed[page.name], "PG_lru" in page.flags
        if times > 1:
            yield "page twice on the LRU", f"{page.name} is on LRU lists {times} times", (page.name,)
        elif marked != bool(times):
            state = "has PG_lru and is on no list" if marked else "is on an LRU list without PG_lru"
            yield "PG_lru is not the list", f"{page.name} {state}", (page.name, state)
        elif (page.name in shown or page.name in private) and not times and page.name not in in_pagevecs:
            where = "in the page cache" if page.name in shown else "of private memory"
            yield "page off the LRU", f"{page.name}, {where}, is on no LRU list and in no pagevec", (page.name,)
        elif page.name in private and "PG_swapbacked" not in page.flags:
            text = f"{page.name}, of private memory, lacks PG_swapbacked: it is on the lists of pages of files"
            yield "anonymous page among files", text, (page.name,)


def _heads(snap: Snapshot) -> Iterator[Breach]:
    if snap.heads is None:
        return
    for bh in snap.buffers.values():
        head = snap.heads.get(bh.jh) if bh.jh is not None else None
        if ("JBD" in bh.state) != (bh.jh is not None) or (bh.jh is not None and (head is None or head.bh != bh.name)):
            back = head.bh if head is not None else None
            text = f"{bh.name} {'has' if 'JBD' in bh.state else 'lacks'} BH_JBD and has {bh.jh}, whose b_bh is {back}"
            yield "buffer and journal head disagree", text, (bh.name, str(bh.jh))
    for head in snap.heads.values():
        if head.bh is None:
            yield "journal head lost", f"{head.name} was never freed, and no buffer has it", (head.name,)
        owners = [name for name in (head.transaction, head.checkpoint) if name is not None]
        if head.count != len(owners):
            of = f"of {' and '.join(owners) or 'none'}"
            yield "b_jcount is not owners", f"{head.name} ({head.bh}) has b_jcount {head.count}, {of}", (head.name,)
        places = _places(head, snap)
        wanted: list[tuple[str | None, str]] = []
        if head.transaction is not None and head.list in LISTS:
            wanted.append((head.transaction, LISTS[head.list]))
        if head.checkpoint is not None:
            wanted.append((head.checkpoint, "checkpoint"))
        if sorted(places, key=str) != sorted(wanted, key=str):
            there, said = _told(places), _told(wanted)
            text = f"{head.name} ({head.bh}) is on {there}, not on {said} as it says itself"
            yield "journal head on a list it does not name", text, (head.name,)


def _copies(snap: Snapshot) -> Iterator[Breach]:
    if snap.copies is None:
        return
    owned = Counter(copy for head in (snap.heads or {}).values() for copy in head.copies)
    live = frozenset(snap.copies)
    for name in sorted(live | owned.keys()):
        if name not in live:
            yield "copy of data freed too early", f"{name} was freed, and a journal head has it", (name,)
        elif not owned[name]:
            yield "copy of data lost", f"{name} was never freed, and no journal head has it", (name,)
        elif owned[name] > 1:
            yield "copy of data with two owners", f"{owned[name]} journal heads have {name}", (name,)


def _places(head: HeadView, snap: Snapshot) -> list[tuple[str | None, str]]:
    """Return the lists that a journal head is on; the two of a checkpoint count as one."""
    return [
        (transaction, "checkpoint" if key in CHECKPOINTS else key)
        for transaction, lists in snap.listed.items()
        for key, names in lists.items()
        for name in names
        if name == head.name
    ]


def _told(places: list[tuple[str | None, str]]) -> str:
    return " and ".join(f"{key} of {transaction}" for transaction, key in sorted(places, key=str)) or "no list"


def _buffers(snap: Snapshot) -> Iterator[Breach]:
    for name, buffer in snap.buffers.items():
        if "New" in buffer.state:
            yield (
                "buffer stays new",
                f"{name} has BH_New still, which lasts from the allocation of its block to its first use",
                (name,),
            )


def _checkpoints(snap: Snapshot) -> Iterator[Breach]:
    if snap.heads is None:
        return
    device = {mapping for mapping, ino in snap.inodes.items() if not ino.isdigit()}
    for bh in snap.buffers.values():
        page = snap.page(bh.page)
        if page is None or page.mapping not in device or not {"Dirty", "JBDDirty"} & bh.state:
            continue
        head = snap.heads.get(bh.jh) if bh.jh is not None else None
        if head is None or (head.transaction is None and head.checkpoint is None):
            yield "dirty metadata that no transaction has", f"{bh.name} is dirty, of no transaction", (bh.name,)


def _statistics(snap: Snapshot) -> Iterator[Breach]:
    cached = sum(slot.page is not None for slot in snap.slots)
    found = snap.counters.get("NR_FILE_PAGES", cached)
    if found != cached:
        yield "accounting", f"NR_FILE_PAGES is {found}, and {cached} pages are in slots", ("NR_FILE_PAGES",)
