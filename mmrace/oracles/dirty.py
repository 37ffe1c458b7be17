"""Dirty: what must reach the disk is marked so that writeback finds it, and the accounting returns to zero.

At rest: a dirty buffer implies PG_dirty and the slot's DIRTY tag; PG_dirty in a mapping implies the tag;
NR_FILE_DIRTY is the number of dirty pages in slots; nothing is under writeback. After sync: no file is dirty (a
page of the block device may be: the log has what it waits to write home). During the run: PG_writeback is set only
on a locked page; no page is replaced in its slot while it is set, nor set on the old page of a running move.

Invariant: dirtiness is judged at rest only, so the windows inside mark_buffer_dirty and after
clear_page_dirty_for_io need no list.  Not checked: PG_dirty without a dirty buffer, and a DIRTY or TOWRITE
tag on a clean page: both are legal in 3.3 (`try_to_free_buffers` and `cancel_dirty_page` leave the tag;
writeback looks at such a page and skips it).
"""

from __future__ import annotations

from mmrace.oracles.judgement import Evidence, Fact, Judgement
from mmrace.oracles.snapshot import Snapshot, snapshots, unfinished
from mmrace.runtime.kinds import KIND_MASK, SHIFT, Kind
from mmrace.runtime.record import Record

NAME = "dirty"
ZERO_AT_REST = ("NR_WRITEBACK", "NR_ISOLATED")
_LOCKED, _WRITEBACK, _FLAGS, _SLOT, _MAPPING = range(5)
_SETS = frozenset({int(Kind.SET), int(Kind.TEST_AND_SET)})


def judge(record: Record) -> Judgement:
    """Replay page locks and writeback bits against the replacement of slots, then judge the state at rest."""
    evidence = Evidence(NAME)
    watch = _watched(record)
    locked: set[str] = set()
    writeback: set[str] = set()
    moving: dict[str, str] = {}  # old page of a running move -> the new one
    checked = 0

    def caught(rule: str, text: str, names: tuple[str, ...], step: int, task: int) -> None:
        who = record.task_name(task)
        evidence.add(rule, f"{text} ({who})", (*names, who), step=step, task=who, objects=list(names))

    for step, (task, op, a, b) in enumerate(record.events):
        if not op & 1 or op < 0:
            continue
        entry = watch.get(op >> SHIFT)
        if entry is None:
            continue
        table, page = entry
        if table == _LOCKED:
            if op & KIND_MASK in _SETS:
                locked.add(page)
            else:
                locked.discard(page)
        elif table == _WRITEBACK:
            if op & KIND_MASK not in _SETS:
                writeback.discard(page)
                continue
            checked += 1
            writeback.add(page)
            if page not in locked:
                caught(
                    "writeback on an unlocked page", f"{page}: PG_writeback set unlocked", (page,), step, task
                )
            elif page in moving:
                text = f"{page}: PG_writeback set while it moves to {moving[page]}"
                caught("writeback during a move", text, (page, "new page"), step, task)
        elif table == _SLOT:
            old, new = record.name(a), record.name(b)
            if isinstance(old, str) and isinstance(new, str):
                checked += 1
                moving[old] = new
                if old in writeback:
                    text = f"{old} under writeback was replaced by {new} in {page}"
                    caught("move during writeback", text, (old, page), step, task)
        elif table == _MAPPING:
            if b is None:
                moving.pop(page, None)
        elif op & KIND_MASK == Kind.STORE and not b:
            locked.discard(page)
            writeback.discard(page)
            moving.pop(page, None)
    for snap in snapshots(record):
        checked += _at_rest(snap, evidence)
    return evidence.judgement(checked, unfinished(record))


def _watched(record: Record) -> dict[int, tuple[int, str]]:
    """Map each lane that matters to what it is and whose."""
    watch: dict[int, tuple[int, str]] = {}
    for table, lanes in (
        (_LOCKED, record.bit_lane("Page", "flags", "PG_locked")),
        (_WRITEBACK, record.bit_lane("Page", "flags", "PG_writeback")),
        (_FLAGS, record.lanes("Page", "flags")),
        (_SLOT, record.lanes("Slot", "page")),
        (_MAPPING, record.lanes("Page", "mapping")),
    ):
        watch.update((lane, (table, name)) for lane, name in lanes.items())
    return watch


def _at_rest(snap: Snapshot, evidence: Evidence) -> int:
    """Judge one snapshot; return how many buffers, pages, tags and statistics were looked at."""
    when = snap.label
    synced = when == "synced"

    def caught(rule: str, text: str, *names: str, **facts: Fact) -> None:
        evidence.add(rule, f"{text} ({when})", (*names, when), objects=list(names), when=when, **facts)

    slots = snap.by_position
    is_file = {mapping: ino.isdigit() for mapping, ino in snap.inodes.items()}
    for buffer in snap.buffers.values():
        page = snap.pages.get(buffer.page) if buffer.page is not None else None
        if "Dirty" not in buffer.state or page is None or page.mapping is None:
            continue
        slot = slots.get((page.mapping, page.index if page.index is not None else -1))
        if synced and is_file.get(page.mapping):
            caught("dirty after sync", f"{buffer.name} is dirty", buffer.name)
        elif "PG_dirty" not in page.flags:
            caught(
                "dirty buffer, clean page",
                f"{buffer.name} is dirty, {page.name} clean",
                buffer.name,
                page.name,
            )
        elif slot is not None and "DIRTY" not in slot.tags:
            text = f"{buffer.name} is dirty, {page.mapping}[{page.index}] has no DIRTY tag"
            caught("dirty buffer, no tag", text, buffer.name, page.name)
    dirty_pages = 0
    for slot in snap.slots:
        page = snap.pages.get(slot.page) if slot.page is not None else None
        if "WRITEBACK" in slot.tags:
            caught("tag at rest", f"{slot.mapping}[{slot.index}] is tagged WRITEBACK", slot.mapping)
        if page is None or "PG_dirty" not in page.flags:
            continue
        dirty_pages += 1
        if synced and is_file[slot.mapping]:
            caught("dirty after sync", f"{page.name} is dirty", page.name)
        elif "DIRTY" not in slot.tags:
            caught("dirty page, no tag", f"{page.name} is dirty, its slot has no DIRTY tag", page.name)
    for page in snap.pages.values():
        if "PG_writeback" in page.flags:
            caught("writeback at rest", f"{page.name} is under writeback", page.name)
    wanted = {"NR_FILE_DIRTY": dirty_pages, **dict.fromkeys(ZERO_AT_REST, 0)}
    for counter, value in wanted.items():
        found = snap.counters.get(counter, value)
        if found != value:
            caught("accounting", f"{counter} is {found}, not {value}", counter, value=found, expected=value)
    return len(snap.buffers) + len(snap.slots) + len(snap.pages) + len(snap.counters)
