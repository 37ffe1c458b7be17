"""The telling of a finding whose rule no teller knows: its title, and the last changes of the objects that it names.

Invariant: a finding of any oracle can be told so, a user's own included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmrace.runtime.kinds import GET, GET_UNLESS_ZERO, NOTE, PUT, STORE, WRITE
from mmrace.runtime.wording import plain
from mmrace.story.deeds import text_of
from mmrace.story.facts import Change, Telling
from mmrace.story.scene import WRITES, Scene

CHANGES_MAX = 6
LAST_OPS = 3  # of the task that a finding blames, before the step at which it was seen


def told(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell what the finding itself says."""
    facts = finding.get("facts", {})
    step = step_of(scene, finding)
    names = names_in(scene, facts)
    anchors = dict(near(scene, step, names))
    return Telling(
        cause=f"{finding.get('title', finding.get('rule'))}.",
        changes=changes_at(scene, sorted(anchors)),
        anchors=anchors,
        objects=tuple(names),
        moment=step,
    )


def step_of(scene: Scene, finding: Mapping[str, Any]) -> int:
    """Return the step at which a finding was seen; the end of the record if it has none."""
    step = finding.get("facts", {}).get("step")
    return min(step, scene.end) if isinstance(step, int) and step >= 0 else scene.end


def names_in(scene: Scene, facts: object) -> list[str]:
    """Return the objects of the record that facts name, in order."""
    known = {entry[1] for lane in scene.of_lane if (entry := scene.record.lane(lane)) is not None}
    tasks = {*scene.ids}
    found: list[str] = []
    for text in _texts(facts):
        for word in text.replace(",", " ").split():
            name = word.strip("'\"()[]")
            while name and name not in known:
                name = name.rpartition(".")[0]
            if name and name not in tasks:
                found.append(name)
    return list(dict.fromkeys(found))


def _texts(facts: object) -> Iterator[str]:
    if isinstance(facts, Mapping):
        for value in facts.values():
            yield from _texts(value)
    elif isinstance(facts, list | tuple):
        for value in facts:
            yield from _texts(value)
    elif isinstance(facts, str):
        yield facts


def near(scene: Scene, step: int, names: list[str]) -> Iterator[tuple[int, str]]:
    """Yield the last changes of the named objects before a step, by whichever task, nearest first."""
    for name in names:
        changed = [
            at
            for lane in scene.lanes_named(name)
            for at in scene.on(lane, scene.begins, step)
            if scene.kind(at) in WRITES and scene.changes(at)
        ]
        plain_ones = [at for at in changed if scene.kind(at) not in (GET, PUT, GET_UNLESS_ZERO)]
        for at in sorted(plain_ones or changed)[-LAST_OPS:]:
            yield at, ""


def change_of(scene: Scene, step: int) -> Change | None:
    """Return what an op changed; None if it changed nothing, or no plain value."""
    if scene.kind(step) == NOTE or scene.kind(step) not in WRITES or not scene.changes(step):
        return None
    kind, (_, _, a, b) = scene.kind(step), scene.events[step]
    what, who = scene.short(scene.lane(step)), scene.who(step)
    if kind in (WRITE, STORE):
        return Change(what, text_of(plain(a)), text_of(plain(b)), step, who)
    if scene.lane(step) in scene.locks:
        return Change(what, "locked" if a else "not locked", "not locked" if a else "locked", step, who)
    if isinstance(a, bool):
        return Change(what, "set" if a else "clear", "clear" if a else "set", step, who)
    return None


def changes_at(scene: Scene, steps: list[int]) -> tuple[Change, ...]:
    """Return the changes at some steps, the last ones."""
    found = [change for step in steps if step < scene.end and (change := change_of(scene, step)) is not None]
    return tuple(found[-CHANGES_MAX:])
