"""Tellings of runs that ended at an op: an object that was freed, a state that must not be, an exception.

What its task had seen last is followed to whoever had made it so.  Invariant: works for any program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrace.runtime.kinds import READ
from mmrace.runtime.wording import plain
from mmrace.story.deeds import deed, text_of
from mmrace.story.facts import Ghost, Telling
from mmrace.story.plainly import changes_at, step_of, told
from mmrace.story.scene import LOOKS, WRITES, Scene

LOOKS_SHOWN = 3  # of a task that refuses to go on


def bug_on(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a state in which the program refuses to go on: what its task saw, and who had made it so."""
    facts = finding.get("facts", {})
    step, who = step_of(scene, finding), str(facts.get("task"))
    task, plainly = scene.ids.get(who), told(scene, finding)
    if task is None:
        return plainly
    where = [part.strip().partition(":")[0] for part in str(facts.get("at", "")).split(" > ") if part.strip()]
    objects = set(plainly.objects)
    looks = [
        at
        for at in scene.of_task[task]
        if at < step and scene.kind(at) in LOOKS and (not objects or scene.owner(scene.lane(at)) in objects)
    ][-LOOKS_SHOWN:]
    cause = f"{who} comes to where this must not be: {finding.get('rule')}" + (
        f" (in {' > '.join(where)}, step {step})" if where else ""
    )
    anchors: dict[int, str] = {}
    if looks:
        cause += f"; it had just seen {deed(scene, looks[-1])} (step {looks[-1]})"
        wrote = scene.last_write(scene.lane(looks[-1]), looks[-1])
        if wrote is not None:
            by = "it" if scene.who(wrote) == who else scene.who(wrote)
            cause += f", which {by} had made so ({scene.at(wrote)})"
            anchors[wrote] = f"makes it so: {deed(scene, wrote)}"
    anchors |= dict.fromkeys(looks, f"what {who} sees")
    return replace(plainly, cause=f"{cause}.", anchors={**plainly.anchors, **anchors})


def after_free(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of an object that is used after it was freed: who touched it last before, and who let go of it."""
    facts = finding.get("facts", {})
    step, name, who = step_of(scene, finding), str(facts.get("object")), str(facts.get("task"))
    task = scene.ids.get(who)
    record = scene.record
    freed = [
        at
        for at in record.steps_on((), notes=record.tables.frees)
        if at < step and record.name(scene.events[at][3][0]) == name
    ]
    ops = sorted(at for lane in scene.lanes_named(name) for at in scene.on(lane, 0, step))
    others = [at for at in ops if scene.events[at][0] != task]
    last = freed[-1] if freed else others[-1] if others else ops[-1] if ops else None
    if last is None or task is None:
        return told(scene, finding)
    where = str(facts.get("at", "")).split(" > ")[-1].strip().partition(":")[0]
    mine = [at for at in ops if scene.events[at][0] == task]
    found = _pointer(scene, task, name, step)
    verb = "freed it" if freed else "was the last to use it, and freed it"
    cause = (
        f"{who} uses {name}"
        + (f" in {where}" if where else "")
        + f" (step {step}) after {scene.who(last)} {verb} ({scene.at(last)})"
    )
    cause += f"; {who} had found it at step {found} ({deed(scene, found)})." if found is not None else "."
    anchors = {last: "freed here, or right after"}
    anchors |= dict.fromkeys(mine[-2:], f"{who} uses it while it lives")
    if found is not None:
        anchors[found] = f"{who} finds it"
    return Telling(
        cause=cause,
        expected=f"whoever can still reach {name} keeps it alive by a reference",
        seen=f"it is gone when {who} comes to it",
        anchors={**anchors, **dict.fromkeys(others[-3:], "")} | {last: anchors[last]},
        ghosts=(Ghost(scene.who(last), f"(not to free it: {who} can still reach it)", last - 1),),
        objects=(name,),
        moment=last,
    )


def _pointer(scene: Scene, task: int, name: str, step: int) -> int | None:
    """Return the last step before a step at which a task read a pointer to an object."""
    for at in reversed(scene.of_task[task]):
        if at < step and scene.kind(at) == READ:
            value = plain(scene.events[at][2])
            if value == name or (isinstance(value, list) and name in value):
                return at
    return None


def raised(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of an exception that left a task: what its last reads showed, and who had changed that meanwhile."""
    facts = finding.get("facts", {})
    step, who = step_of(scene, finding), str(facts.get("task"))
    task = scene.ids.get(who)
    plainly = told(scene, finding)
    if task is None:
        return plainly
    mine = [at for at in scene.of_task[task] if at < step]
    reads = [at for at in mine if scene.kind(at) == READ]
    where = f"{facts.get('function', 'its code')}" + (f", {facts['file']}:{facts['line']}" if "line" in facts else "")
    cause = f"{who} raised {finding.get('rule')}: {facts.get('text') or facts.get('source', '')} (in {where})"
    anchors = {at: "" for at in mine[-3:] if scene.kind(at) in LOOKS or scene.kind(at) in WRITES}
    over = None if not reads else _overwritten(scene, scene.lane(reads[-1]), reads[-1])
    if over is not None:
        looked, lost, wrote = over
        cause += (
            f"; {scene.who(wrote)} had seen {deed(scene, looked)} at step {looked}, {scene.who(lost)} came in between "
            f"(step {lost}: {deed(scene, lost)}), and {scene.who(wrote)} wrote over that at step {wrote}"
        )
        anchors |= {looked: "sees the old value", lost: "is lost", wrote: f"writes over step {lost}"}
    changed = _changed_meanwhile(scene, task, reads)
    if changed is not None:
        first, writer, second = changed
        was, now = (text_of(plain(scene.events[at][2])) for at in (first, second))
        what = scene.short(scene.lane(second))
        cause += (
            f", after it had read {what} twice: {was} at step {first}, and {now} at step {second}; in between "
            f"{scene.who(writer)} had changed it ({scene.at(writer)})"
        )
        anchors |= {first: "the first look", writer: "changes it in between", second: "the second look"}
    if over is None and changed is None and reads:
        seen = _last_looks(scene, reads)
        cause += f"; it had read {', and '.join(_with_writer(scene, at) for at in seen)}"
        anchors |= dict.fromkeys(seen, f"what {who} sees")
        written = [_others_write(scene, at) for at in seen]
        anchors |= {at: "makes it so" for at in written if at is not None}
    objects = tuple(dict.fromkeys(scene.owner(scene.lane(at)) for at in [*reads[-1:], *(changed or ())]))
    return Telling(
        cause=f"{cause}.",
        expected=f"{facts.get('source') or 'the statement'} does not raise",
        seen=f"{finding.get('rule')}: {facts.get('text', '')}",
        changes=changes_at(scene, sorted(at for at in anchors if scene.kind(at) in WRITES)),
        anchors=anchors,
        objects=objects,
        moment=step,
    )


def _last_looks(scene: Scene, reads: list[int]) -> list[int]:
    """Return the last read of each of the fields that a task read last, in order."""
    by_lane = {scene.lane(at): at for at in reads}
    return sorted(by_lane.values())[-LOOKS_SHOWN:]


def _others_write(scene: Scene, read: int) -> int | None:
    """Return the write that a read saw, if another task did it after set-up."""
    wrote = scene.last_write(scene.lane(read), read)
    ours = wrote is None or scene.events[wrote][0] == scene.events[read][0] or wrote < scene.begins
    return None if ours else wrote


def _with_writer(scene: Scene, read: int) -> str:
    """Say what a read saw, and who had written that; "which nobody had written by then" of what is as it was made."""
    text, wrote = f"{deed(scene, read)} at step {read}", scene.last_write(scene.lane(read), read)
    if wrote is None:
        return f"{text}, which nobody had written by then"
    other = _others_write(scene, read)
    return text if other is None else f"{text}, which {scene.who(other)} had written at step {other}"


def _overwritten(scene: Scene, lane: int, step: int) -> tuple[int, int, int] | None:
    """Return a look, another task's write after it, and the looker's write over that, the last before a step.

    None: what the lane holds at the step was written by who had seen what was there.
    """
    wrote = scene.last_write(lane, step)
    if wrote is None:
        return None
    task, before = scene.events[wrote][0], scene.on(lane, scene.begins, wrote)
    looked = next((at for at in reversed(before) if scene.events[at][0] == task and scene.kind(at) in LOOKS), None)
    lost = [at for at in before if looked is not None and at > looked and scene.kind(at) in WRITES]
    return (looked, lost[-1], wrote) if looked is not None and lost else None


def _changed_meanwhile(scene: Scene, task: int, reads: list[int]) -> tuple[int, int, int] | None:
    """Return two looks of a task at one field, near its end, and another's change in between; None: there are none."""
    for second in reversed(reads[-6:]):
        lane = scene.lane(second)
        before = [at for at in reads if at < second and scene.lane(at) == lane]
        wrote = scene.last_write(lane, second)
        if before and wrote is not None and before[-1] < wrote and scene.events[wrote][0] != task:
            return before[-1], wrote, second
    return None
