"""Tellings of references: put twice, never taken, lost under a plain store, never put.

Invariant: each get and put is told with its name, who did it and where; the owners are those of the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrace.runtime.kinds import COUNT, FREEZE, GET, GET_UNLESS_ZERO, NOTE, PUT, UNFREEZE
from mmrace.story.deeds import deed
from mmrace.story.facts import Change, Ghost, Telling
from mmrace.story.plainly import step_of, told
from mmrace.story.scene import Scene
from mmrace.story.state import count_text, is_count

SOON = 3  # ops after a reference was taken: what fails there decides what becomes of it
NEAR = 6  # gets and puts of the same name that are shown beside the one that is never dropped
SHOWN_MAX = 9
"""Gets and puts of the count, beside those of the reference in question, nearest first."""


class Account:
    """The ops on one object's count since it came to life, up to a step."""

    def __init__(self, scene: Scene, name: str, step: int) -> None:
        self.scene, self.name, self.until = scene, name, step
        lanes = [lane for lane in scene.lanes_named(name) if is_count(scene, lane)]
        self.lane = lanes[0] if lanes else -1
        record = scene.record
        notes = record.steps_on((), notes=(*record.tables.allocates, *record.tables.frees, "retire", "rename"))
        mine = [at for at in notes if at <= step and self._concerns(scene.events[at])]
        born = [at for at in mine if scene.events[at][2] in record.tables.allocates]
        self.since = born[-1] if born else 0
        self.notes = [at for at in mine if at > self.since and scene.events[at][2] in ("retire", "rename")]
        self.ops = [at for at in scene.on(self.lane, self.since, step + 1) if scene.kind(at) != COUNT]

    def _concerns(self, event: Any) -> bool:
        facts = event[3]
        return bool(facts) and (facts[0] == self.lane or self.scene.record.name(facts[0]) == self.name)

    def taken(self, ref: str) -> list[int]:
        """Return the steps at which a reference of this name was taken."""
        events, scene = self.scene.events, self.scene
        gets = [
            at for at in self.ops if scene.kind(at) in (GET, GET_UNLESS_ZERO) and events[at][2] == ref and events[at][3]
        ]
        return sorted([*gets, *(at for at in self.notes if events[at][2] == "rename" and events[at][3][2] == ref)])

    def dropped(self, ref: str) -> list[int]:
        """Return the steps at which one was dropped."""
        events, scene, found = self.scene.events, self.scene, []
        for at in self.ops:
            kind = scene.kind(at)
            if (kind == PUT and events[at][2] == ref) or (kind == UNFREEZE and events[at][3] == ref):
                found.append(at)
        for at in self.notes:
            kind, facts = events[at][2], events[at][3]
            if (kind == "retire" and ref in facts[1]) or (kind == "rename" and facts[1] == ref):
                found.append(at)
        return sorted(found)

    def kept(self, ref: str) -> list[int]:
        """Return where those references of a name were taken that nobody dropped.

        A drop takes its own task's latest, else the latest of all: who takes one and lets it go again does both in one
        piece of code.
        """
        events, drops = self.scene.events, {*self.dropped(ref)}
        open_: list[int] = []
        for at in sorted({*self.taken(ref), *drops}):
            if at not in drops:
                open_.append(at)
            elif open_:
                mine = [taken for taken in open_ if events[taken][0] == events[at][0]]
                open_.remove((mine or open_)[-1])
        return open_

    def anchors(self, ref: str) -> dict[int, str]:
        """Return the gets and puts of a reference, and the last ones of others."""
        found = dict.fromkeys(self.ops[-SHOWN_MAX:], "")
        found |= dict.fromkeys(self.taken(ref)[-3:], f"{ref!r} is taken")
        found |= dict.fromkeys(self.dropped(ref)[-3:], f"{ref!r} is dropped")
        return dict(sorted(found.items()))

    def text(self, step: int) -> str:
        """Say what the count is just before a step, and whose."""
        return count_text(self.scene, self.lane, step) if self.lane >= 0 else "unknown"


def _at(scene: Scene, step: int) -> str:
    return f"{scene.who(step)} ({scene.at(step)})"


def _facts(scene: Scene, finding: Mapping[str, Any]) -> tuple[Account, str, int]:
    facts = finding.get("facts", {})
    step = step_of(scene, finding)
    return Account(scene, str(facts.get("object")), step), str(facts.get("ref", "")), step


def _count_change(account: Account, step: int) -> tuple[Change, ...]:
    if account.lane < 0 or step >= account.scene.end:
        return ()
    what = account.scene.short(account.lane)
    return (Change(what, account.text(step), account.text(step + 1), step, account.scene.who(step)),)


def double_put(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a reference that is dropped though nobody holds it."""
    account, ref, step = _facts(scene, finding)
    if step >= scene.end:
        return told(scene, finding)
    before = [at for at in account.dropped(ref) if at < step]
    taken = [at for at in account.taken(ref) if at < step]
    who = _at(scene, step)
    name = account.name
    if before:
        same = scene.who(before[-1]) == scene.who(step)
        first = (
            f"it had dropped already ({scene.at(before[-1])})"
            if same
            else f"{_at(scene, before[-1])} had dropped already"
        )
        cause = f"{who} drops the reference {ref!r} of {name}, which {first}"
        cause += f"; it was taken {_times(len(taken))}" + (
            f", {'last ' if len(taken) > 1 else ''}by {_at(scene, taken[-1])}." if taken else " in this record."
        )
        ghost = Ghost(scene.who(step), "(no second put: the first one dropped it)", step)
    else:
        cause = f"{who} drops the reference {ref!r} of {name}, which nobody had taken."
        ghost = Ghost(scene.who(step), f"(get {name} for {ref!r} would have had to come before the put)", step - 1)
    return Telling(
        cause=cause,
        expected=f"a put of {ref!r} drops a reference of that name that somebody holds",
        seen=f"the count of {name} falls below its owners: it is {account.text(step)}, and {ref!r} is not among them",
        changes=_count_change(account, step),
        anchors={**account.anchors(ref), step: f"drops {ref!r}, which nobody holds"},
        ghosts=(ghost,),
        objects=(name,),
        moment=step,
    )


def _times(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def lost_get(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a reference that a plain store of the count wiped out."""
    account, _, step = _facts(scene, finding)
    if step >= scene.end:
        return told(scene, finding)
    task = scene.events[step][0]
    tests = [
        at
        for at in scene.on(account.lane, account.since, step)
        if scene.events[at][0] == task and scene.kind(at) in (COUNT, FREEZE)
    ]
    tested = tests[-1] if tests else account.since
    between = [
        at
        for at in account.ops
        if tested < at < step
        and scene.events[at][0] != task
        and scene.kind(at) in (GET, GET_UNLESS_ZERO)
        and scene.done(at)
    ]
    who, name, stored = _at(scene, step), account.name, scene.events[step][2]
    lost = "; ".join(f"{_at(scene, at)} took {scene.events[at][2]!r}" for at in between)
    saw = "" if tested not in tests else f" {scene.events[tested][2]}"
    cause = f"{who} stores {stored} as the count of {name}, going by the{saw} that it had seen at step {tested}"
    cause += f"; in between {lost}, and the store wipes that reference out." if lost else "."
    ghosts = []
    if between and scene.kind(tested) == COUNT:
        text = f"(freeze {scene.short(account.lane)}: then the get at step {between[0]} would have been refused)"
        ghosts.append(Ghost(scene.who(step), text, tested))
    return Telling(
        cause=cause,
        expected="nobody gets a reference between the test of the count and the store of a new one",
        seen=f"it stores {stored} and drops {scene.events[step][3]!r} only, where there were {account.text(step)}",
        changes=_count_change(account, step),
        anchors={
            tested: "sees the count", **dict.fromkeys(between, "a reference that the store does not know"),
            step: "stores the count as if nobody had come",
        },
        ghosts=tuple(ghosts),
        objects=(name,),
        moment=step,
    )  # fmt: skip


def leak(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell of a reference that nobody drops: who took it, where, and when its holder last did anything."""
    account, ref, step = _facts(scene, finding)
    taken, dropped = account.taken(ref), account.dropped(ref)
    if not taken:
        return told(scene, finding)
    at = (account.kept(ref) or taken[-1:])[0]
    name, holder, task = account.name, scene.who(at), scene.events[at][0]
    last = scene.before(task, scene.end)
    failed = _failed_after(scene, task, at)
    cause = f"{_at(scene, at)} takes the reference {ref!r} of {name}, and nobody ever drops it"
    cause += f"; right after that {deed(scene, failed)} (step {failed})" if failed is not None else ""
    cause += f"; all others of that name are dropped, the last by {_at(scene, dropped[-1])}" if dropped else ""
    cause += f": {name} can never be freed."
    others = [*account.taken(ref), *account.dropped(ref)]
    near = sorted(others, key=lambda other: abs(other - at))[:NEAR]
    around = dict.fromkeys((*account.ops[-2:], *near), "")
    around |= {failed: f"after this {holder} does not drop it"} if failed is not None else {}
    return Telling(
        cause=cause,
        expected=f"{holder} drops {ref!r} of {name} before it ends",
        seen=f"at the end the count of {name} is {account.text(step)}; {holder} did its last op at step {last}",
        anchors={**around, at: "the reference that is never dropped"},
        ghosts=(
            Ghost(holder, f"put {scene.short(account.lane)} of {ref!r}: never came", at if failed is None else failed),
        ),
        objects=(name,),
        moment=step,
    )


def _failed_after(scene: Scene, task: int, step: int) -> int | None:
    """Return the first op of a task, soon after a step, that failed: why it went another way."""
    at = scene.after(task, step)
    for _ in range(SOON):
        if at is None or not scene.done(at):
            return at
        at = scene.after(task, at)
    return None


def account(scene: Scene, finding: Mapping[str, Any]) -> Telling:
    """Tell any other breach by the last gets and puts of the object."""
    made, ref, step = _facts(scene, finding)
    plain = told(scene, finding)
    if made.lane < 0:
        return plain
    mine = made.anchors(ref)
    if step < scene.end and scene.kind(step) != NOTE:
        mine[step] = "here the ledger and the count part"
    return Telling(
        cause=plain.cause,
        expected="the count is the number of its owners",
        seen=f"the count of {made.name} is {made.text(step)}",
        changes=_count_change(made, step),
        anchors=mine,
        objects=(made.name,),
        moment=step,
    )
