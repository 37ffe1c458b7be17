"""Tellings of sleepers: a wake-up that was lost, that went to another, or that nobody is left to do.

What a sleeper waits for is what it looked at last; who changed that afterwards should have woken it.  Invariant: a
wake-up is called lost only if what the sleeper looked at was changed after its last look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mmrace.runtime.kinds import CLEAR, KIND_MASK, LOAD, QUEUE, READ, TEST, TEST_AND_CLEAR, WAKE
from mmrace.runtime.wording import ARROW
from mmrace.story.deeds import deed
from mmrace.story.facts import Ghost, Telling, Wait
from mmrace.story.plainly import changes_at
from mmrace.story.scene import LOOKS, WRITES, Scene
from mmrace.story.waiting import QUEUE_SUFFIX, WAKE_ON, WaitRow, inside, last_of, owner_of, rows_of, wait_of

A_CHANGE = "a change of what"
LAST_OPS = 12  # of a task that waits for a change, in which it looked
LOOKS_SHOWN = 3  # of a task that waits for a change of what it saw
LOOKED_BACK = 8  # ops of a sleeper in which it looked at its condition, before or after it queued


def lost_wakeup(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a sleeper whose condition holds: who made it hold, and who should have woken it."""
    lost = {str(name) for name in finding.get("facts", {}).get("lost") or ()}
    rows = rows_of(finding)
    asleep = [row for row in rows if str(row.get("waits_for", "")).startswith(WAKE_ON)]
    asleep.sort(key=lambda row: str(row.get("task")) not in lost)
    waits = tuple(wait_of(scene, one) for one in rows)
    for row in asleep:
        told = _sleeper(scene, row)
        if told is not None:
            return replace(told, waits=waits)
    return _all_asleep(scene, finding, asleep, waits)


def _all_asleep(scene: Scene, finding: Mapping[str, Any], asleep: list[WaitRow], waits: tuple[Wait, ...]) -> Telling:
    """Tell of sleepers of whom none missed anything: whoever would wake them sleeps too, or is gone."""
    anchors: dict[int, str] = {}
    said, objects = [], []
    for row in asleep:
        slept = _slept(scene, row)
        if slept is None:
            continue
        who, queued, looks = str(row.get("task")), slept.queued, slept.looks
        anchors[queued] = f"{who} goes to sleep"
        saw = ""
        if looks:
            anchors[looks[-1]] = f"the last look of {who}"
            saw = f", having seen {deed(scene, looks[-1])} (step {looks[-1]})"
        said.append(f"{who} sleeps on {scene.short(slept.queue)} since {scene.at(queued)}{saw}")
        objects.append(scene.owner(slept.queue))
        wakes = [step for step in scene.on(slept.queue) if scene.kind(step) == WAKE]
        anchors |= dict.fromkeys(wakes[-1:], "the last wake of that queue")
    cause = "; ".join(said) or str(finding.get("title"))
    return Telling(
        cause=f"{cause}; nobody is left who would wake them.",
        expected="whoever sleeps is woken by somebody who still runs",
        seen=str(finding.get("title")),
        anchors=anchors,
        objects=tuple(objects),
        moment=scene.end,
        waits=waits,
    )


def stuck(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of tasks that wait, though no ring keeps them: a wake-up that nobody is left to do, or a lock not let go."""
    if any(str(row.get("waits_for", "")).startswith(WAKE_ON) for row in rows_of(finding)):
        return lost_wakeup(scene, finding)
    waits = tuple(wait_of(scene, row) for row in rows_of(finding))
    first = next((wait for wait in waits if not wait.wants.startswith("end of")), waits[0] if waits else None)
    anchors = {wait.taken: f"{wait.holder} takes it" for wait in waits if wait.taken is not None}
    if first is None:
        return Telling(cause=f"{finding.get('title')}.", moment=scene.end)
    asked = last_of(scene, first.task)
    if asked is not None:
        anchors[asked] = f"the last that {first.task} does"
    held = f", which {first.holder} has held since step {first.taken}" if first.taken is not None else ""
    looks = _last_looks(scene, first.task) if first.wants.startswith(A_CHANGE) else []
    if looks:
        held += f", having seen {', '.join(deed(scene, step) for step in looks)}"
        anchors |= dict.fromkeys(looks, f"what {first.task} sees, and waits to change")
    return Telling(
        cause=f"{first.task} waits for {first.wants}{inside(first.where)}{held}; nobody is left who could let it go "
        "on.",
        expected=f"somebody lets {first.task} go on",
        seen=f"{first.task} waits for ever",
        anchors=anchors,
        objects=(owner_of(scene, first.wants), *(scene.owner(scene.lane(step)) for step in looks)),
        moment=scene.end,
        waits=waits,
    )


def _sleeper(scene: Scene, row: WaitRow) -> Telling | None:
    """Tell of one sleeper."""
    slept = _slept(scene, row)
    if slept is None:
        return None
    task, queue, queued, looks, who = slept.task, slept.queue, slept.queued, slept.looks, str(row.get("task"))
    made = _made_true(scene, task, looks)
    wakes = [step for step in scene.on(queue) if scene.kind(step) == WAKE]
    anchors = {queued: f"{who} goes to sleep"}
    if looks:
        anchors[looks[-1]] = f"the last look of {who} at what it waits for"
    if made is None:
        return None
    maker = scene.who(made)
    anchors[made] = f"what {who} waits for is true from here on"
    early = [step for step in wakes if made < step < queued]
    after = [step for step in wakes if step > max(made, queued)]
    if early and not after:
        anchors[early[-1]] = f"wakes whoever sleeps; {who} does not yet"
        why = f"the only wake after that came at step {early[-1]}, before {who} was on the queue"
    elif after:
        woken = deed(scene, after[0]).partition(ARROW)[2].strip()
        anchors[after[0]] = f"wakes {woken}, not {who}"
        why = f"the wake after that, at step {after[0]}, went to {woken}"
    else:
        why = f"after that nobody wakes {scene.short(queue)}"
    cause = (
        f"{who} sleeps until {_wanted(scene, made)} ({scene.at(queued)}); {maker} brought that at "
        f"step {made}{scene.inside(made)}, and {why}: {who} sleeps for ever."
    )
    ghost = Ghost(maker, f"wake {scene.short(queue)}: never came", made if made > queued else max(early, default=made))
    return Telling(
        cause=cause,
        expected=f"{maker} wakes {scene.short(queue)} after step {made}",
        seen=f"{who} is asleep at the end of the run, though its condition holds",
        changes=changes_at(scene, [made]),
        anchors=anchors,
        ghosts=(ghost,),
        objects=(scene.owner(queue),),
        moment=scene.end,
        progress=(
            f"last of {who}: step {scene.before(task, scene.end)}, {deed(scene, queued)}",
            f"should have been woken by {maker}, after step {made}: {deed(scene, made)}",
            f"wakes of that queue in the whole run: {len(wakes)}"
            + (f", the last at step {wakes[-1]}" if wakes else ""),
        ),
    )


def _wanted(scene: Scene, made: int) -> str:
    """Say what a step made true."""
    kind, what = scene.kind(made), scene.short(scene.lane(made))
    if kind in (CLEAR, TEST_AND_CLEAR):
        return f"{what} is clear"
    return f"{what} changes"


def _last_looks(scene: Scene, task: str) -> list[int]:
    """Return the last looks of a task, among its last ops."""
    number = scene.ids.get(task)
    mine = [] if number is None else scene.of_task[number][-LAST_OPS:]
    return [step for step in mine if scene.kind(step) in LOOKS][-LOOKS_SHOWN:]


class _Slept(NamedTuple):
    """A task went to sleep on a queue at step `queued`, and looked at its condition at these steps."""

    task: int
    queue: int
    queued: int
    looks: list[int]


def _slept(scene: Scene, row: WaitRow) -> _Slept | None:
    """Return where a row's task went to sleep last; None if the record does not tell."""
    name = str(row.get("waits_for", "")).removeprefix(WAKE_ON)
    queue, task = scene.find(name), scene.ids.get(str(row.get("task")))
    if queue is None or task is None:
        return None
    sleeps = [step for step in scene.on(queue) if scene.kind(step) == QUEUE and scene.events[step][0] == task]
    return _Slept(task, queue, sleeps[-1], _looks(scene, task, sleeps[-1], name)) if sleeps else None


def _looks(scene: Scene, task: int, queued: int, name: str) -> list[int]:
    """Return the steps at which a sleeper looked at its condition: the bit of its queue, or what it read last."""
    bit = scene.find(name.removesuffix(QUEUE_SUFFIX)) if name.endswith(QUEUE_SUFFIX) else None
    if bit is not None:
        return [step for step in scene.on(bit) if scene.events[step][0] == task]
    mine = scene.of_task[task]
    recent = [step for step in mine if step > queued][:LOOKED_BACK] or [s for s in mine if s < queued][-LOOKED_BACK:]
    return [step for step in recent if scene.kind(step) in (READ, TEST, LOAD)]


def _made_true(scene: Scene, task: int, looks: list[int]) -> int | None:
    """Return the last change, by another task, of what a sleeper looked at, after its last look."""
    changed = [
        step
        for lane in {scene.lane(look) for look in looks}
        for step in scene.on(lane, looks[-1])
        if scene.events[step][0] != task and scene.events[step][1] & KIND_MASK in WRITES and scene.changes(step)
    ]
    return max(changed, default=None)
