"""Tellings of locks that were misused: let go by another, or held where the task may sleep or be interrupted.

Invariant: who held the lock, and since when, is read off the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrace.runtime.kinds import TEST_AND_SET, TRY
from mmrace.story.facts import Ghost, Telling
from mmrace.story.plainly import changes_at, step_of, told
from mmrace.story.scene import DROPS, Scene
from mmrace.story.tenures import Tenure


def stranger(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a lock that is let go by a task that does not hold it."""
    facts = finding.get("facts", {})
    lane, task, step = (
        scene.find(str(facts.get("object"))),
        scene.ids.get(str(facts.get("task"))),
        step_of(scene, finding),
    )
    if lane is None or task is None:
        return told(scene, finding)
    drops = [at for at in scene.on(lane, 0, step + 1) if scene.events[at][0] == task and scene.kind(at) in DROPS]
    drop = drops[-1] if drops and step - drops[-1] <= 1 else step  # of a lock that refuses, there is only the note
    tenure = scene.holder(lane, drop)
    if tenure is None:
        return _nobodys(scene, finding, lane, drop)
    what, who, holder = scene.short(lane), str(facts.get("task")), scene.record.task_name(tenure.task)
    tries = [
        at
        for at in scene.on(lane, tenure.taken, drop)
        if scene.events[at][0] == task and scene.kind(at) in (TEST_AND_SET, TRY) and not scene.done(at)
    ]
    where = scene.function(drop) or str(facts.get("at", "")).split(" > ")[0].strip().partition(":")[0]
    handed = tenure.handed is not None and tenure.handed < drop
    now = f"the I/O of {holder}" if handed else holder
    since = f"since step {tenure.taken}{scene.inside(tenure.taken)}"
    since += f", and had handed to its I/O at step {tenure.handed}" if handed else ""
    cause = f"{who} unlocks {what} (step {drop}, in {where}), which {holder} has held {since}"
    cause += f", after {who}'s own try at step {tries[-1]} had failed" if tries else ""
    cause += f": {who} lets go of a lock that is not its own."
    anchors = {tenure.taken: f"{holder} has the lock from here on", drop: "unlocks what is not its own"}
    if tenure.handed is not None and handed:
        anchors[tenure.handed] = "the end of that I/O is to unlock it"
    if tries:
        anchors[tries[-1]] = f"fails: {now} has it"
    return Telling(
        cause=cause,
        expected=f"{what} is unlocked by {now}" + ("" if handed else ", who locked it"),
        seen=f"{who} unlocked it; from then on anybody may lock it, while {now} still relies on it",
        changes=changes_at(scene, [drop]) if drop < scene.end else (),
        anchors=anchors,
        ghosts=(Ghost(holder, f"unlock {what}: only {now} may, when it is done", drop),),
        objects=(scene.owner(lane),),
        moment=drop,
    )


def _nobodys(scene: Scene, finding: Mapping[str, Any], lane: int, drop: int) -> Telling:
    """Tell of a lock that is let go though nobody holds it."""
    what, who, plainly = scene.short(lane), str(finding["facts"].get("task")), told(scene, finding)
    task = scene.ids[who]
    before = [tenure for tenure in scene.tenures.get(lane, ()) if tenure.taken < drop]
    tries = [
        at for at in scene.on(lane, 0, drop) if scene.events[at][0] == task and scene.kind(at) in (TEST_AND_SET, TRY)
    ]
    failed = [at for at in tries if not scene.done(at)]
    cause = f"{who} unlocks {what} (step {drop}), which nobody holds"
    cause += f": {who}'s own try at step {failed[-1]} had failed" if failed else ""
    anchors = {failed[-1]: "in vain"} if failed else {}
    last = before[-1] if before else None
    if last is not None and last.released is not None:
        cause += f", and {scene.who(last.taken)}, who held it then, let go at step {last.released}"
        anchors |= {last.taken: "", last.released: "from here on nobody has it"}
    expected = f"{what} is unlocked by who locked it"
    return replace(plainly, cause=f"{cause}.", expected=expected, anchors=anchors, objects=(scene.owner(lane),))


def sleeps(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a task that may sleep where it must not."""
    facts = finding.get("facts", {})
    step, who = step_of(scene, finding), str(facts.get("task"))
    task = scene.ids.get(who)
    if task is None:
        return told(scene, finding)
    named = {str(name) for name in facts.get("held") or ()}
    held = [
        tenure
        for tenure in scene.held(task, step)
        if scene.record.lane_name(tenure.lane) in named or _spins(scene, tenure)
    ]
    last = scene.before(task, step)
    place = scene.function(last) if last is not None else ""
    why = [f"the spinlock {scene.short(t.lane)} held since step {t.taken}{scene.inside(t.taken)}" for t in held]
    if facts.get("irqs_off"):
        why.append("interrupts off")
    if facts.get("in_irq"):
        why.append("an interrupt being served")
    if facts.get("rcu"):
        why.append("an RCU read section open")
    lock = scene.short(held[-1].lane) if held else "what keeps it from sleeping"
    anchors = {t.taken: "from here on it may not sleep" for t in held}
    if last is not None:
        anchors.setdefault(last, "the last op before it may sleep")
    return Telling(
        cause=f"{who} comes to where it may sleep{f', in {place}' if place else ''} (right after step {last}), with "
        f"{' and '.join(why) or 'preemption off'}: whoever spins for that meanwhile spins until {who} is woken.",
        expected=f"{who} lets go of {lock} before it may sleep",
        seen=f"it still has it: {', '.join(scene.short(t.lane) for t in held) or 'preemption is off'}",
        anchors=anchors,
        ghosts=(Ghost(who, f"(unlock {lock} would have had to come here)", step - 1),),
        objects=tuple(scene.owner(t.lane) for t in held),
        moment=step,
    )


def _spins(scene: Scene, tenure: Tenure) -> bool:
    """Say whether a lock is a spinlock, as far as the program's tables tell."""
    entry = scene.record.lane(tenure.lane)
    return entry is not None and ".".join((entry[0], *entry[2:])) in scene.record.tables.spinning_locks


def irq_unsafe(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a spinlock that an interrupt may find taken on its own CPU."""
    facts = finding.get("facts", {})
    step, irq = step_of(scene, finding), int(facts.get("irq_step", 0))
    lock = facts.get("lock")
    cause = (
        f"{facts.get('irqs_on')} takes {lock} with interrupts on ({scene.at(step)}), and {facts.get('in_irq')} takes "
        f"it in an interrupt ({scene.at(irq)}): on one CPU the interrupt would spin for its own CPU's task for ever."
    )
    return Telling(
        cause=cause,
        expected=f"interrupts are off wherever {lock} is taken",
        seen=f"they are on at step {step}",
        anchors={step: "taken with interrupts on", irq: "taken in an interrupt"},
        ghosts=(Ghost(str(facts.get("irqs_on")), "(interrupts off would have had to come here)", step - 1),),
        objects=(scene.owner(scene.lane(step)),),
        moment=step,
    )
