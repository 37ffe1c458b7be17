"""The telling of a data race: both sides, the locks that each held, and why nothing orders them.

Which lock was missing is told by the other accesses: what most of them hold is what the two sides have not in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmrace.oracles.general.judgement import kind_of
from mmrace.runtime.kinds import READ, STORE, WRITE
from mmrace.story.deeds import deed
from mmrace.story.facts import Ghost, Side, Telling
from mmrace.story.plainly import changes_at
from mmrace.story.scene import LOOKS, Scene

ACCESSES_MAX = 400  # of the field, that are asked which locks they hold
MOSTLY = 0.5  # share of them that holds a lock before it is taken for the one that guards the field
_VERBS = {"READ": "reads", "WRITE": "writes", "STORE": "stores"}


def race(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell a race, from its two sides."""
    facts = finding.get("facts", {})
    sides = [_side(scene, side) for side in facts.get("sides", ()) if isinstance(side, Mapping)]
    what = str(facts.get("object"))
    if len(sides) != 2:
        return Telling(cause=f"{finding.get('title')}.", objects=(what.rpartition(".")[0],))
    first, second = sides
    common = sorted(_kinds(first.locks) & _kinds(second.locks))
    guard, times, of = _guard(scene, first.step, second.step)
    holds = [f"{side.task} holds {', '.join(side.locks) or 'no lock'}" for side in sides]
    gap = (
        f"{holds[0]}, {holds[1]}: "
        + (f"both hold one of {', '.join(common)}, but not the same; " if common else "no lock in common; ")
        + f"and nothing that {first.task} does from step {first.step} on (unlock, wake, start or end of a task) is "
        f"waited for by {second.task} before step {second.step}"
    )
    cause = (
        f"{first.task} {first.deed} (step {first.step}{_in(first.where)}) and {second.task} {second.deed} (step "
        f"{second.step}{_in(second.where)}), and nothing orders the two: another run does them the other way round, or "
        "both at once."
    )
    ghosts: list[Ghost] = []
    habit = ""
    if guard:
        lacking = [side for side in sides if guard not in _kinds(side.locks)]
        names = " and ".join(dict.fromkeys(side.task for side in lacking))
        habit = (
            f"{times} of {of} other accesses of this field hold {guard}, {names} "
            f"{'do' if len(lacking) == 2 and lacking[0].task != lacking[1].task else 'does'} not."
        )
        ghosts = [
            Ghost(side.task, f"(lock {guard} would have had to come before this)", side.step - 1) for side in lacking
        ]
    return Telling(
        cause=cause,
        habit=habit,
        expected=f"one of the two accesses of {what} is over before the other begins, by a lock or a wake between them",
        seen=f"{first.task} at step {first.step}, {second.task} at step {second.step}, in no order",
        changes=changes_at(scene, [first.step, second.step]),
        anchors={first.step: "one side of the race", second.step: "the other side"},
        ghosts=tuple(ghosts),
        objects=(scene.owner(scene.lane(second.step)),),
        moment=second.step,
        sides=(first, second),
        gap=gap,
    )


def _in(where: str) -> str:
    return f", in {where}" if where else ""


def _kinds(names: tuple[str, ...]) -> set[str]:
    return {kind_of(name) for name in names}


def _side(scene: Scene, side: Mapping[str, Any]) -> Side:
    step = int(side.get("step", 0))
    verb = _VERBS.get(str(side.get("op")), "changes")
    what = scene.short(scene.lane(step)) if step < scene.end else str(side.get("object"))
    shown = deed(scene, step) if step < scene.end else ""
    outcome = shown.removeprefix(what).strip()
    locks = tuple(scene.short(tenure.lane) for tenure in scene.held(scene.events[step][0], step))
    return Side(str(side.get("task")), f"{verb} {what} {outcome}".strip(), step, scene.call(step), locks)


def _guard(scene: Scene, first: int, second: int) -> tuple[str, int, int]:
    """Return the kind of lock that most other accesses of the field hold, how many do, of how many; "" for none."""
    entry = scene.record.lane(scene.lane(second))
    if entry is None:
        return "", 0, 0
    cls, _, field, _ = entry
    lanes = [lane for lane in scene.of_lane if (scene.record.lane(lane) or ("", "", "", ""))[::2] == (cls, field)]
    steps = [
        step
        for lane in lanes
        for step in scene.on(lane)
        if step not in (first, second) and scene.kind(step) in (READ, WRITE, STORE, *LOOKS)
    ][:ACCESSES_MAX]
    held: Counter[str] = Counter()
    for step in steps:
        held.update({kind_of(scene.short(t.lane)) for t in scene.held(scene.events[step][0], step)})
    sides = [{kind_of(scene.short(t.lane)) for t in scene.held(scene.events[s][0], s)} for s in (first, second)]
    lacking = [(times, lock) for lock, times in held.items() if not (lock in sides[0] and lock in sides[1])]
    times, lock = max(lacking, default=(0, ""))
    return (lock, times, len(steps)) if steps and times / len(steps) > MOSTLY else ("", 0, 0)
