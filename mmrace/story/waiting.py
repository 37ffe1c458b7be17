"""Tellings of runs that stand still: rings of those who wait for each other, wake-ups that were lost, tries in vain."""

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

QUEUE_SUFFIX = ".queue"
WAKE_ON = "wake on "
LOOKED_BACK = 8  # ops of a sleeper in which it looked at its condition, before or after it queued
_Row = Mapping[str, Any]


def _rows(finding: Mapping[str, Any]) -> list[_Row]:
    rows = finding.get("facts", {}).get("tasks") or ()
    return [row for row in rows if isinstance(row, Mapping)]


def _function(site: object) -> str:
    """Return the outer function of a site."""
    return str(site).split(" > ")[0].partition(":")[0] if site else ""


def _in(function: str) -> str:
    return f", in {function}" if function else ""


def wait_of(scene: Scene, row: _Row) -> Wait:
    """Return a row of a standstill as a fact, with who holds what is wanted, and since when."""
    task, wants = str(row.get("task")), str(row.get("waits_for"))
    lane = scene.find(wants.removeprefix(WAKE_ON).removesuffix(QUEUE_SUFFIX))
    tenure = scene.holder(lane, scene.end) if lane is not None and lane in scene.locks else None
    number = scene.ids.get(task)
    held = () if number is None else scene.held(number, scene.end)
    holds = tuple(f"{scene.short(mine.lane)} since step {mine.taken}" for mine in held)
    where = _function(row.get("at"))
    if tenure is None:
        return Wait(task, wants, where, str(row.get("held_by") or ""), holds=holds)
    holder = scene.record.task_name(tenure.task)
    if tenure.handed is not None:
        holder = f"the I/O {tenure.token} of {holder}"
    return Wait(task, scene.short(tenure.lane), where, holder, tenure.taken, scene.function(tenure.taken), holds)


def _last(scene: Scene, task: str) -> int | None:
    number = scene.ids.get(task)
    return None if number is None else scene.before(number, scene.end)


def cycle(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell a ring of tasks each of which waits for what the next one holds."""
    ring = [str(name) for name in finding.get("facts", {}).get("cycle") or ()]
    by_task = {str(row.get("task")): row for row in _rows(finding)}
    waits = [wait_of(scene, by_task[name]) for name in ring if name in by_task]
    anchors: dict[int, str] = {}
    for wait in waits:
        if wait.taken is not None:
            anchors[wait.taken] = f"{wait.holder} holds it from here on"
        asked = _last(scene, wait.task)
        if asked is not None:
            before = f"{anchors[asked]}; " if asked in anchors else ""
            anchors[asked] = f"{before}{wait.task} waits for {wait.wants} from here on"
    said = "; ".join(
        f"{wait.task} waits for {wait.wants}{_in(wait.where)}"
        + (f", which {wait.holder} has held since step {wait.taken}{_in(wait.taken_where)}" if wait.taken else "")
        for wait in waits
    )
    number = {2: "neither", 1: "it cannot go on: it"}.get(len(waits), "none of them")
    ghosts = []
    if waits and waits[0].taken is not None:
        text = f"unlock {waits[0].wants}: never comes, {waits[0].holder} waits itself"
        ghosts.append(Ghost(waits[0].holder.rpartition(" ")[2], text, scene.end))
    return Telling(
        cause=f"{said}: {number} can go on.",
        expected="whoever waits for a lock is let on by its holder, who waits for nobody that waits for it",
        seen="; ".join(f"{wait.task} -> {wait.wants} -> {wait.holder or 'nobody'}" for wait in waits),
        anchors=anchors,
        ghosts=tuple(ghosts),
        objects=tuple(_owner_of(scene, wait.wants) for wait in waits),
        moment=scene.end,
        waits=(*waits, *_others(scene, finding, ring)),
    )


def _owner_of(scene: Scene, name: str) -> str:
    """Return the object of a lock that is named shortly, or in full."""
    lane = scene.find(name)
    owner = name.rpartition(".")[0]
    return scene.owner(lane) if lane is not None else owner


def _others(scene: Scene, finding: Mapping[str, Any], told: list[str]) -> list[Wait]:
    return [wait_of(scene, row) for row in _rows(finding) if str(row.get("task")) not in told]


# -- lost wake-ups -------------------------------------------------------------------------------------------------


def lost_wakeup(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a sleeper whose condition holds: who made it hold, and who should have woken it."""
    lost = {str(name) for name in finding.get("facts", {}).get("lost") or ()}
    rows = _rows(finding)
    asleep = [row for row in rows if str(row.get("waits_for", "")).startswith(WAKE_ON)]
    asleep.sort(key=lambda row: str(row.get("task")) not in lost)
    waits = tuple(wait_of(scene, one) for one in rows)
    for row in asleep:
        told = _sleeper(scene, row)
        if told is not None:
            return replace(told, waits=waits)
    return _all_asleep(scene, finding, asleep, waits)


def _all_asleep(scene: Scene, finding: Mapping[str, Any], asleep: list[_Row], waits: tuple[Wait, ...]) -> Telling:
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
    if any(str(row.get("waits_for", "")).startswith(WAKE_ON) for row in _rows(finding)):
        return lost_wakeup(scene, finding)
    waits = tuple(wait_of(scene, row) for row in _rows(finding))
    first = next((wait for wait in waits if not wait.wants.startswith("end of")), waits[0] if waits else None)
    anchors = {wait.taken: f"{wait.holder} takes it" for wait in waits if wait.taken is not None}
    if first is None:
        return Telling(cause=f"{finding.get('title')}.", moment=scene.end)
    asked = _last(scene, first.task)
    if asked is not None:
        anchors[asked] = f"the last that {first.task} does"
    held = f", which {first.holder} has held since step {first.taken}" if first.taken is not None else ""
    return Telling(
        cause=f"{first.task} waits for {first.wants}{_in(first.where)}{held}; nobody is left who could let it go on.",
        expected=f"somebody lets {first.task} go on",
        seen=f"{first.task} waits for ever",
        anchors=anchors,
        objects=(_owner_of(scene, first.wants),),
        moment=scene.end,
        waits=waits,
    )


def _sleeper(scene: Scene, row: _Row) -> Telling | None:
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


class _Slept(NamedTuple):
    """A task went to sleep on a queue at step `queued`, and looked at its condition at these steps."""

    task: int
    queue: int
    queued: int
    looks: list[int]


def _slept(scene: Scene, row: _Row) -> _Slept | None:
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


# -- in vain -------------------------------------------------------------------------------------------------------


def in_vain(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of tasks that go on and get nowhere."""
    rows = _rows(finding)
    waits = tuple(wait_of(scene, row) for row in rows)
    said, anchors, objects = [], {}, []
    for row in rows:
        task = scene.ids.get(str(row.get("task")))
        lane = row.get("lane")
        if task is None:
            continue
        last = [step for step in scene.of_task[task] if lane is None or scene.lane(step) == lane][-4:]
        anchors.update(dict.fromkeys(last, f"{row.get('task')} again"))
        if isinstance(lane, int):
            tenure = scene.holder(lane, scene.end)
            by = f", held by {scene.record.task_name(tenure.task)} since step {tenure.taken}" if tenure else ""
            said.append(f"{row.get('task')} tried {scene.short(lane)} {row.get('tries', 'many')} times in vain{by}")
            objects.append(scene.owner(lane))
            if tenure:
                anchors[tenure.taken] = "held from here on"
            continue
        looked = [step for step in last if scene.kind(step) in LOOKS]
        what = f" ({deed(scene, looked[-1])})" if looked else ""
        said.append(f"{row.get('task')} looks again and again{what}")
        objects += [scene.owner(scene.lane(step)) for step in looked]
    return Telling(
        cause=f"{'; '.join(said) or finding.get('title')}, and nothing that anybody else does changes that.",
        expected="whoever goes on gets somewhere",
        seen=str(finding.get("title")),
        anchors=anchors,
        objects=tuple(objects),
        moment=scene.end,
        waits=waits,
    )
