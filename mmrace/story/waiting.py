"""Tellings of runs that stand still: rings of those who wait for each other, wake-ups that were lost, tries in vain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrace.story.deeds import deed
from mmrace.story.facts import Ghost, Telling, Wait
from mmrace.story.scene import LOOKS, Scene

QUEUE_SUFFIX = ".queue"
WAKE_ON = "wake on "
WaitRow = Mapping[str, Any]


def rows_of(finding: Mapping[str, Any]) -> list[WaitRow]:
    rows = finding.get("facts", {}).get("tasks") or ()
    return [row for row in rows if isinstance(row, Mapping)]


def function_of(site: object) -> str:
    """Return the outer function of a site."""
    return str(site).split(" > ")[0].partition(":")[0] if site else ""


def inside(function: str) -> str:
    return f", in {function}" if function else ""


def wait_of(scene: Scene, row: WaitRow) -> Wait:
    """Return a row of a standstill as a fact, with who holds what is wanted, and since when."""
    task, wants = str(row.get("task")), str(row.get("waits_for"))
    lane = scene.find(wants.removeprefix(WAKE_ON).removesuffix(QUEUE_SUFFIX))
    tenure = scene.holder(lane, scene.end) if lane is not None and lane in scene.locks else None
    number = scene.ids.get(task)
    held = () if number is None else scene.held(number, scene.end)
    holds = tuple(f"{scene.short(mine.lane)} since step {mine.taken}" for mine in held)
    where = function_of(row.get("at"))
    if tenure is None:
        return Wait(task, wants, where, str(row.get("held_by") or ""), holds=holds)
    holder = scene.record.task_name(tenure.task)
    if tenure.handed is not None:
        holder = f"the I/O {tenure.token} of {holder}"
    return Wait(task, scene.short(tenure.lane), where, holder, tenure.taken, scene.function(tenure.taken), holds)


def last_of(scene: Scene, task: str) -> int | None:
    number = scene.ids.get(task)
    return None if number is None else scene.before(number, scene.end)


def cycle(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell a ring of tasks each of which waits for what the next one holds."""
    ring = [str(name) for name in finding.get("facts", {}).get("cycle") or ()]
    by_task = {str(row.get("task")): row for row in rows_of(finding)}
    waits = [wait_of(scene, by_task[name]) for name in ring if name in by_task]
    anchors: dict[int, str] = {}
    for wait in waits:
        if wait.taken is not None:
            anchors[wait.taken] = f"{wait.holder} holds it from here on"
        asked = last_of(scene, wait.task)
        if asked is not None:
            before = f"{anchors[asked]}; " if asked in anchors else ""
            anchors[asked] = f"{before}{wait.task} waits for {wait.wants} from here on"
    said = "; ".join(
        f"{wait.task} waits for {wait.wants}{inside(wait.where)}"
        + (f", which {wait.holder} has held since step {wait.taken}{inside(wait.taken_where)}" if wait.taken else "")
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
        objects=tuple(owner_of(scene, wait.wants) for wait in waits),
        moment=scene.end,
        waits=(*waits, *_others(scene, finding, ring)),
    )


def owner_of(scene: Scene, name: str) -> str:
    """Return the object of a lock that is named shortly, or in full."""
    lane = scene.find(name)
    owner = name.rpartition(".")[0]
    return scene.owner(lane) if lane is not None else owner


def _others(scene: Scene, finding: Mapping[str, Any], told: list[str]) -> list[Wait]:
    return [wait_of(scene, row) for row in rows_of(finding) if str(row.get("task")) not in told]


# -- in vain -------------------------------------------------------------------------------------------------------


def in_vain(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of tasks that go on and get nowhere."""
    rows = rows_of(finding)
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
