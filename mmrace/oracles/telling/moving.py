"""The stories of moves: a page that was not moved and is not as it was, a slot that shows the wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mmrace.oracles.telling.data import notes_of
from mmrace.oracles.telling.numbers import kept_by
from mmrace.runtime.kinds import COUNT, FREEZE, GET, GET_UNLESS_ZERO, TEST_AND_SET, WRITE
from mmrace.runtime.wording import plain
from mmrace.story.deeds import deed
from mmrace.story.facts import Ghost, Telling
from mmrace.story.plainly import changes_at
from mmrace.story.scene import WRITES, Scene


def _begin(scene: Scene, task: int, step: int) -> int:
    """Return where the attempt of a migrator that ends at a step began."""
    mine = [at for at in notes_of(scene, "migrate-begin", until=step) if scene.events[at][0] == task]
    return mine[-1] if mine else 0


def failed_move(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell of a slot that shows the new page after a move that failed: why it could not be moved back."""
    facts = finding["facts"]
    step, who = int(facts["step"]), str(facts["task"])
    task = scene.ids[who]
    begin = _begin(scene, task, step)
    mine = [at for at in scene.of_task[task] if begin < at < step]
    slots = scene.record.lanes("Slot", "page")
    moved = [at for at in mine if scene.kind(at) == WRITE and scene.lane(at) in slots]
    base = replace(general, protects=kept_by("C11", "I12"))
    if not moved:
        return base
    move = moved[0]
    slot, page = scene.owner(scene.lane(move)), str(plain(scene.events[move][3]))
    old = str(plain(scene.events[move][2]))
    busy = next((at for at in mine if at > move and scene.kind(at) == TEST_AND_SET and not scene.done(at)), None)
    anchors = {move: f"the move: {slot} shows {page} from here on"}
    cause = f"{who} put {page} into {slot} at step {move}{scene.inside(move)}"
    ghosts: tuple[Ghost, ...] = ()
    if busy is not None:
        lock = scene.short(scene.lane(busy))
        tenure = scene.holder(scene.lane(busy), busy)
        holder = scene.record.task_name(tenure.task) if tenure else "nobody"
        cause += f", and only then tried {lock}, which {holder} held (step {busy})"
        anchors[busy] = f"only now it finds that {holder} has the buffer"
        if tenure is not None:
            anchors[tenure.taken] = f"{holder} has it from here on"
        ghosts = (Ghost(who, f"(try {lock} here, before the move: busy, and nothing is touched yet)", move - 1),)
    count = scene.find(f"{page}._count")
    tests = [
        at
        for at in scene.on(count or -1, busy or move, step)
        if scene.events[at][0] == task and scene.kind(at) in (COUNT, FREEZE)
    ]
    gets = [
        at
        for at in scene.on(count or -1, move, (tests or [step])[-1])
        if scene.events[at][0] != task and scene.kind(at) in (GET, GET_UNLESS_ZERO) and scene.done(at)
    ]
    if tests and gets:
        cause += (
            f"; to move back it needs the count of {page} to be its own, but {scene.who(gets[-1])} had found the new "
            f"page there and taken {scene.events[gets[-1]][2]!r} (step {gets[-1]}), so the count test at step "
            f"{tests[-1]} failed: {slot} still shows {page}, which has no data"
        )
        anchors |= {gets[-1]: f"a lookup finds {page}, public and without data", tests[-1]: "the way back is barred"}
    else:
        cause += f"; the move failed, and {slot} was not set back"
    return replace(
        base,
        cause=f"{cause}.",
        expected=f"after a move that failed {slot} shows {old}, as before",
        seen=f"it shows {page}",
        anchors=anchors,
        ghosts=ghosts,
        changes=changes_at(scene, moved),
        objects=(slot, page, old),
        moment=step,
    )


def left_behind(scene: Scene, finding: Mapping[str, Any], general: Telling) -> Telling:
    """Tell of a refused page that is not as it was: what the migrator changed and did not take back."""
    facts = finding["facts"]
    step, begin, who = int(facts["step"]), int(facts.get("since", 0)), str(facts["task"])
    task, page = scene.ids[who], str(facts["page"])
    anchors: dict[int, str] = {}
    said = []
    for entry in facts.get("left", ()):
        name, _, how = str(entry).partition(" ")
        ref = how.partition("'")[2].partition("'")[0]
        mine = [
            at
            for at in scene.of_task[task]
            if begin < at < step
            and scene.kind(at) in WRITES
            and scene.short(scene.lane(at)) == name
            and (not ref or ref in map(str, scene.events[at][2:]))
        ]
        if mine:
            anchors[mine[-1]] = "not taken back"
            said.append(f"{deed(scene, mine[-1])} ({scene.at(mine[-1])})")
    refused = [at for at in scene.of_task[task] if begin < at < step and not scene.done(at)]
    if refused:
        anchors.setdefault(refused[-1], f"why it is not moved: {facts.get('reason')}")
    done = "; ".join(said) or ", ".join(map(str, facts.get("left", ())))
    return replace(
        general,
        cause=f"{who} gave up the move of {page} ({facts.get('reason')}), and did not take back what it had done: "
        f"{done}.",
        expected=f"after a refused move {page} is as it was at step {begin}",
        seen=f"it differs in {', '.join(map(str, facts.get('left', ())))}",
        anchors=anchors,
        ghosts=tuple(Ghost(who, "(take this back)", step - 1) for _ in [0] if said),
        changes=changes_at(scene, sorted(anchors)),
        objects=(page,),
        moment=step,
        protects=kept_by("I12"),
    )
