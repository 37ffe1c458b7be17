"""The stories of writeback: a dirty page that it passes by, a tag that was forgotten, a change while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrace.oracles.telling.data import notes_of
from mmrace.oracles.telling.numbers import kept_by
from mmrace.runtime.kinds import SETS
from mmrace.story.facts import Ghost, Telling
from mmrace.story.plainly import step_of
from mmrace.story.scene import Scene

DIRTY_TAG = "PAGECACHE_TAG_DIRTY"
MARKING_OPS = 20  # of a task between PG_dirty and the tag: it takes tree_lock and looks at the page meanwhile
PASSES_SHOWN = 2


def untagged(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say which page was dirtied without the tag of its slot, if one was."""
    base = replace(told, protects=kept_by("I9", "I15"))
    tags = scene.record.bit_lane("Slot", "tags", DIRTY_TAG)
    bits = scene.record.bit_lane("Page", "flags", "PG_dirty")
    for lane, page in bits.items():
        for step in scene.on(lane):
            if scene.kind(step) not in SETS or not scene.changes(step) or _tags(scene, step, tags):
                continue
            who = scene.who(step)
            text = f"{who} dirtied {page} (PG_dirty, {scene.at(step)}), and set no {DIRTY_TAG} in its slot after that"
            return replace(
                base,
                cause=f"{text}: {told.cause}",
                anchors={**told.anchors, step: "dirty from here on, and not tagged"},
                ghosts=(Ghost(who, f"set {DIRTY_TAG} in the slot of {page}: never came", step),),
                objects=tuple(dict.fromkeys((*told.objects, page))),
            )
    return base


def _tags(scene: Scene, step: int, tags: Mapping[int, str]) -> bool:
    """Say whether a task sets some tag soon after a step."""
    task, at = scene.events[step][0], scene.after(scene.events[step][0], step)
    for _ in range(MARKING_OPS):
        if at is None:
            return True  # it did not get there: nobody can tell
        if scene.lane(at) in tags and scene.kind(at) in SETS:
            return True
        at = scene.after(task, at)
    return False


def _last_set(scene: Scene, page: str, bit: str, step: int) -> int | None:
    """Return the last step before a step at which a bit of a page was set."""
    lane = scene.find(f"{page}.flags.{bit}")
    steps = [] if lane is None else scene.on(lane, 0, step)
    return next((at for at in reversed(steps) if scene.kind(at) in SETS and scene.changes(at)), None)


def passed_by(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Tell of a dirty page that the flusher went by, again and again."""
    facts, step = finding["facts"], step_of(scene, finding)
    page, who = str(facts["page"]), str(facts["task"])
    task = scene.ids[who]
    dirtied = _last_set(scene, page, "PG_dirty", step)
    since = dirtied if dirtied is not None else 0
    begun = [at for at in notes_of(scene, "flush-begin", until=step) if scene.events[at][0] == task and at > since]
    ended = [at for at in notes_of(scene, "flush-end", until=step + 1) if scene.events[at][0] == task and at > since]
    by = f" since {scene.who(since)} dirtied it ({scene.at(since)})" if dirtied is not None else ""
    passes = ", ".join(f"{first} to {last}" for first, last in zip(begun, ended, strict=False))
    anchors = dict.fromkeys(begun[-PASSES_SHOWN:], "begins to write the file's dirty pages")
    anchors |= dict.fromkeys(ended[-PASSES_SHOWN:], f"has been through them: {page} is as dirty as before")
    if dirtied is not None:
        anchors[dirtied] = "dirty from here on"
    return replace(
        told,
        cause=f"{page} is dirty{by}, and nobody was in the way, yet {who} went through the file {facts.get('rounds')} "
        f"times" + (f" (steps {passes})" if passes else "") + " without writing it.",
        expected=f"{who} writes a dirty page of its file that nobody holds back",
        seen=f"{page} is still dirty at step {step}",
        anchors=anchors,
        ghosts=(Ghost(who, f"write {page}: never came", step - 1),),
        objects=(page,),
        moment=step,
    )


def meanwhile(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Tell of a page that is changed or moved while it is under writeback: since when it is."""
    facts, step = finding["facts"], step_of(scene, finding)
    page = next((str(name) for name in facts.get("objects", ()) if str(name).startswith("page:")), "")
    begun = _last_set(scene, page, "PG_writeback", step)
    base = replace(told, protects=kept_by("I15", "R7"))
    if begun is None:
        return base
    who = str(facts["task"])
    return replace(
        base,
        cause=f"{who} came to {page} at step {step}{scene.inside(step)}, and did not wait for its writeback, which "
        f"{scene.who(begun)} had begun at step {begun}{scene.inside(begun)}: {told.cause}",
        expected=f"{who} waits until the writeback of {page} has ended",
        seen="it goes on while that is on its way to the disk",
        anchors={**told.anchors, begun: "under writeback from here on", step: "and still is"},
        ghosts=(Ghost(who, f"(wait until {page} is not under writeback)", step - 1),),
        objects=(page,),
        moment=step,
    )
