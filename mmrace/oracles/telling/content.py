"""The story of a block that shows what it should not: garbage of a frame, or a version that is gone.

A wrong word is followed back to the page that it came out of, and from there to whoever brought the data too late.
Invariant: works from the record alone.  Not here: whether the word is wrong (`protocol/content.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrace.oracles.protocol.register import SET_UP, Formatted, disk_lanes
from mmrace.oracles.protocol.snapshot import snapshots
from mmrace.oracles.telling.data import notes_of, trail, transfers
from mmrace.oracles.telling.numbers import kept_by
from mmrace.runtime.kinds import READ, WRITE
from mmrace.runtime.wording import plain
from mmrace.story.facts import Ghost, Telling
from mmrace.story.plainly import changes_at
from mmrace.story.scene import Scene

LOCK = "BufferHead"


def formatted_of(scene: Scene) -> Formatted:
    """Return the layout of the disk, as the set-up noted it."""
    made = Formatted()
    for step in scene.record.steps_on((), notes=SET_UP):
        made.note(scene.events[step][2], scene.events[step][3])
    return made


def told(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell where the wrong words came from."""
    facts = finding["facts"]
    found = _seen(scene, facts)
    newest = " or ".join(map(str, facts.get("newest_from", ())))
    shown = " and ".join(map(str, facts.get("shown_from", ())))
    where = f"block {facts.get('block')} of inode {facts.get('inode')}"
    base = replace(
        general,
        expected=f"{where} as the {facts.get('seen_by')} shows it is {newest}",
        seen=f"it is {shown}",
        protects=kept_by("I10", "C2", "C5"),
    )
    if found is None:
        return base
    lane, step, value = found
    hops, origin = trail(scene, lane, step, value)
    anchors: dict[int, str] = {}
    if step < scene.end and scene.kind(step) == READ:
        anchors[step] = "shows it"
    for hop in hops:
        anchors[hop.wrote] = f"brings {value}"
        if hop.read is not None:
            anchors[hop.read] = f"reads {value} there"
    taken = hops[-1].read if hops and hops[-1].read is not None else step
    page = scene.owner(origin)
    later = [at for at in scene.on(origin, taken) if scene.kind(at) == WRITE]
    if last := next((at for at in later), None):
        anchors[last] = f"only now {page} gets its data"
    submitted = _submitted(scene, facts, hops[0].wrote) if hops else None
    if submitted is not None:
        anchors[submitted] = f"{scene.who(submitted)} submits the block"
    cause, ghosts, more = _cause(scene, where, page, origin, taken, last, submitted, value)
    return replace(
        base,
        cause=cause,
        anchors={**anchors, **more},
        ghosts=ghosts,
        changes=changes_at(scene, sorted([hop.wrote for hop in hops] + ([last] if last else []))),
        objects=(page,),
        moment=taken,
    )


def _cause(
    scene: Scene,
    where: str,
    page: str,
    origin: int,
    taken: int,
    copied: int | None,
    submitted: int | None,
    value: object,
) -> tuple[str, tuple[Ghost, ...], dict[int, str]]:
    """Word the cause; return also the ghost row, and further events."""
    shows = f"{scene.who(taken)} read {where} from {page} at step {taken}" if taken < scene.end else ""
    garbage = isinstance(value, int) and value < 0
    slot = _published(scene, page, taken)
    more = {} if slot is None else {slot: f"{page} is public from here on"}
    mover = scene.who(slot) if slot is not None else scene.who(copied) if copied is not None else "nobody"
    held = "the garbage of a fresh frame" if garbage else f"version {value}"
    begun = f", after {scene.who(submitted)} had submitted it at step {submitted}" if submitted is not None else ""
    cause = f"{shows}{begun}, while {page} still held {held}" if shows else f"{page}, which has {where}, holds {held}"
    lock = _unlocked(scene, page, taken, None if submitted is None else scene.events[submitted][0])
    if lock is not None:
        name, unlocked = lock
        more[unlocked] = f"{name} is not locked any more"
        then = scene.holder(scene.find(f"{name}.b_state.BH_Lock") or -1, taken)
        if then is not None:
            more[then.taken] = f"{scene.who(then.taken)} takes it for its I/O"
        cause += f": {scene.who(unlocked)} had unlocked {name} at step {unlocked}{scene.inside(unlocked)}"
    elif slot is not None:
        cause += f": {mover} had put {page} into the slot at step {slot}"
    if copied is not None:
        cause += f", and copied the data only at step {copied}{scene.inside(copied)}."
        text = f"(copy the data to {page}: before the buffer is unlocked)"
        after = (lock[1] if lock else slot or taken) - 1
        return cause, (Ghost(scene.who(copied), text, after),), more
    ghost = (Ghost(mover, f"copy the data to {page}: never came", slot if slot is not None else taken),)
    return f"{cause}, and nobody ever copied the data to {page}.", ghost if mover != "nobody" else (), more


def _seen(scene: Scene, facts: Mapping[str, Any]) -> tuple[int, int, object] | None:
    """Return the lane of a wrong word, the step at which it was seen there, and the word."""
    wrong = [value for value in facts.get("shown", ()) if value not in facts.get("newest", ())]
    wrong = wrong or list(facts.get("shown", ()))
    step, where = int(facts.get("step", scene.end)), (str(facts.get("inode")), int(facts.get("block", 0)))
    if facts.get("seen_by") == "disk":
        block = formatted_of(scene).blocknr(where)
        lanes = [lane for lane, (number, _) in disk_lanes(scene.record).items() if number == block]
        return next(
            ((lane, step, value) for value in wrong for lane in lanes if _holds(scene, lane, step, value)), None
        )
    if facts.get("seen_by") == "page cache":
        return _at_rest(scene, where, wrong)
    task = scene.ids.get(str(facts.get("task")))
    since = int(facts.get("since", 0))
    for at in scene.of_task[task] if task is not None else ():
        if since <= at <= step and scene.kind(at) == READ and plain(scene.events[at][2]) in wrong:
            return scene.lane(at), at, plain(scene.events[at][2])
    return None


def _holds(scene: Scene, lane: int, step: int, value: object) -> bool:
    wrote = scene.last_write(lane, step)
    return wrote is not None and plain(scene.events[wrote][3]) == value


def _at_rest(scene: Scene, where: tuple[str, int], wrong: list[Any]) -> tuple[int, int, object] | None:
    """Return a wrong word of the page cache at rest: the page that its slot shows has it."""
    for snap in snapshots(scene.record):
        for slot in snap.slots:
            page = snap.page(slot.page)
            if page is None or slot.ino != where[0]:
                continue
            for i, word in enumerate(page.words):
                lane = scene.find(f"{page.name}.words[{i}]")
                if word in wrong and lane is not None:
                    return lane, scene.end, word
    return None


def _submitted(scene: Scene, facts: Mapping[str, Any], wrote: int) -> int | None:
    """Return where the transfer was submitted that wrote a word of the block at a step."""
    block = formatted_of(scene).blocknr((str(facts.get("inode")), int(facts.get("block", 0))))
    mine = [one for one in transfers(scene, block) if one.direction == "write" and one.begin < wrote]
    return mine[-1].begin if mine else None


def _published(scene: Scene, page: str, step: int) -> int | None:
    """Return the last step at which a slot came to show a page."""
    found = [
        at
        for lane in scene.record.lanes("Slot", "page")
        for at in scene.on(lane, 0, step)
        if scene.kind(at) == WRITE and plain(scene.events[at][3]) == page
    ]
    return max(found, default=None)


def _unlocked(scene: Scene, page: str, step: int, submitter: int | None) -> tuple[str, int] | None:
    """Return a buffer of the page and the last step at which a migrator unlocked it, before a step.

    Args: submitter: who has the lock of the buffer in question at that step.
    """
    begun = {scene.events[at][0] for at in notes_of(scene, "migrate-begin", until=step)}
    buffers = [
        scene.owner(lane)
        for lane in scene.record.lanes(LOCK, "b_page")
        if (wrote := scene.last_write(lane, step)) is not None and plain(scene.events[wrote][3]) == page
    ]
    found = [
        (tenure.released, name)
        for name in buffers
        if (lane := scene.find(f"{name}.b_state.BH_Lock")) is not None
        for tenure in scene.tenures.get(lane, ())
        if tenure.task in begun and tenure.released is not None and tenure.released < step
    ]
    his = [
        (released, name)
        for released, name in found
        if (now := scene.holder(scene.find(f"{name}.b_state.BH_Lock") or -1, step)) is not None
        and now.task == submitter
        and now.taken > released
    ]
    if not found:
        return None
    released, name = max(his or found)
    return name, released
