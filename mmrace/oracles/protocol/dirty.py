"""Dirty: what must reach the disk is marked so that writeback finds it, and the accounting returns to zero.

At rest: a dirty buffer implies PG_dirty and the slot's DIRTY tag; PG_dirty in a mapping implies the tag;
NR_FILE_DIRTY is the number of dirty pages in slots; nothing is under writeback. After sync: no file is dirty (a
page of the block device may be: the log has what it waits to write home; so may one that a writepage got no handle
for, in an aborted journal), and no buffer of a page that was truncated is, for nobody would ever write or forget it.
During the run: PG_writeback is set only on a locked page; no page leaves its slot while it is set, nor is it set on
the old page of a running move; a page whose writer skipped a locked buffer is dirty again before its lock is free
(`given_up.py`); write(2) changes no page under writeback (`stable.py`), and no migration goes on without waiting for it
(`unwaited.py`).

Invariant: dirtiness is judged at rest only, so the windows inside mark_buffer_dirty and after
clear_page_dirty_for_io need no list.  Not checked: PG_dirty without a dirty buffer, and a DIRTY or TOWRITE
tag on a clean page: both are legal in 3.3 (`try_to_free_buffers` and `cancel_dirty_page` leave the tag;
writeback looks at such a page and skips it).
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.oracles.protocol.given_up import given_up
from mmrace.oracles.protocol.names import NO_HANDLE, without_journal
from mmrace.oracles.protocol.snapshot import Snapshot, snapshots, unfinished
from mmrace.oracles.protocol.stable import changed_under_writeback
from mmrace.oracles.protocol.unwaited import unwaited_moves
from mmrace.runtime.kinds import CLEARS, KIND_MASK, SETS, SHIFT, STORE, WRITE
from mmrace.runtime.record import Record

NAME = "dirty"
ZERO_AT_REST = ("NR_WRITEBACK", "NR_ISOLATED", "NR_ISOLATED_ANON")


def judge(record: Record) -> Judgement:
    """Replay page locks and writeback bits against the replacement of slots, then judge the state at rest."""
    evidence = Evidence(NAME)
    lock_lanes = record.bit_lane("Page", "flags", "PG_locked")
    writeback_lanes = record.bit_lane("Page", "flags", "PG_writeback")
    words, slots = record.lanes("Page", "flags"), record.lanes("Slot", "page")
    mappings = record.lanes("Page", "mapping")
    locked: set[str] = set()
    writeback: set[str] = set()
    moving: dict[str, str] = {}  # old page of a running move -> the new one
    checked = 0

    def caught(rule: str, text: str, names: tuple[str, ...], step: int, task: int) -> None:
        who = record.task_name(task)
        evidence.add(rule, f"{text} ({who})", (*names, who), step=step, task=who, objects=list(names))

    lanes = {*lock_lanes, *writeback_lanes, *words, *slots, *mappings}
    for step in record.steps_on(lanes, WRITE, *SETS, *CLEARS, STORE):
        task, op, a, b = record.events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if kind == WRITE:
            if lane in slots:
                old, new = record.name(a), record.name(b)
                if isinstance(old, str) and isinstance(new, str):
                    checked += 1
                    moving[old] = new
                    if old in writeback:
                        text = f"{old} under writeback was replaced by {new} in {slots[lane]}"
                        caught("move during writeback", text, (old, slots[lane]), step, task)
                elif isinstance(old, str) and old in writeback:
                    caught("removal during writeback", f"{old} left {slots[lane]} under writeback", (old,), step, task)
            elif b is None and lane in mappings:
                moving.pop(mappings[lane], None)
        elif kind == STORE:
            if not b and lane in words:  # a page is freed with a plain store of 0
                page = words[lane]
                locked.discard(page)
                writeback.discard(page)
                moving.pop(page, None)
        elif lane in lock_lanes:
            if kind in SETS:
                locked.add(lock_lanes[lane])
            else:
                locked.discard(lock_lanes[lane])
        elif lane in writeback_lanes:
            page = writeback_lanes[lane]
            if kind not in SETS:
                writeback.discard(page)
                continue
            checked += 1
            writeback.add(page)
            if page not in locked:
                text = f"{page}: PG_writeback set unlocked"
                caught("writeback on an unlocked page", text, (page,), step, task)
            elif page in moving:
                text = f"{page}: PG_writeback set while it moves to {moving[page]}"
                caught("writeback during a move", text, (page, "new page"), step, task)
    skipped, vain = given_up(record)
    for one in vain:
        text = f"{one.page} was unlocked clean, though its writer found {one.buffer} locked and did not write it"
        caught("not dirty again", text, (one.page, one.buffer), one.step, one.task)
    words_written, unstable = changed_under_writeback(record)
    for change in unstable:
        text = f"write(2) changed {change.page} under writeback"
        caught("change during writeback", text, (change.page,), change.step, change.task)
    found_busy, unwaited = unwaited_moves(record)
    for move in unwaited:
        text = f"{move.page} was to be moved, though it was under writeback when its mover looked last"
        caught("move without waiting for writeback", text, (move.page,), move.step, move.task)
    checked += skipped + words_written + found_busy
    for snap in snapshots(record):
        refused = bool(record.marks.get(NO_HANDLE))
        checked += _at_rest(snap, evidence, refused, without_journal(record))
    return evidence.judgement(checked, unfinished(record))


def _at_rest(snap: Snapshot, evidence: Evidence, refused: bool, plain: frozenset[str]) -> int:
    """Judge one snapshot; return how many buffers, pages, tags and statistics were looked at.

    Args: refused: a writepage got no handle, so that files may stay dirty, unless they are of `plain`.
    """
    when = snap.label
    synced = when == "synced"

    def caught(rule: str, text: str, *names: str, **facts: Fact) -> None:
        evidence.add(rule, f"{text} ({when})", (*names, when), objects=list(names), when=when, **facts)

    slots = snap.by_position
    is_clean = {mapping: ino in plain or (ino.isdigit() and not refused) for mapping, ino in snap.inodes.items()}
    for buffer in snap.buffers.values():
        page = snap.page(buffer.page)
        if not {"Dirty", "JBDDirty"} & buffer.state or page is None:
            continue
        if page.mapping is None:
            if synced and not page.free:
                text = f"{buffer.name} of {page.name}, which no mapping has any more, is dirty"
                caught("dirty after its truncation", text, buffer.name)
            continue
        if "Dirty" not in buffer.state:
            continue
        slot = slots.get((page.mapping, page.index if page.index is not None else -1))
        if synced and is_clean.get(page.mapping):
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
        page = snap.page(slot.page)
        if "WRITEBACK" in slot.tags:
            caught("tag at rest", f"{slot.mapping}[{slot.index}] is tagged WRITEBACK", slot.mapping)
        if page is None or "PG_dirty" not in page.flags:
            continue
        dirty_pages += 1
        if synced and is_clean[slot.mapping]:
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
    return len(snap.buffers) + len(snap.slots) + snap.nr_pages + len(snap.counters)
