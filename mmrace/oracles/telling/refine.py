"""What the protocol adds to tellings of general rules: whose rule it was, and what a kernel path did wrong there.

Invariant: the facts of the general telling stand; only cause, ghost rows and what keeps the breach away are added to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmrace.oracles.telling.numbers import kept_by, rule
from mmrace.runtime.kinds import QUEUE, TEST_AND_SET
from mmrace.story.facts import Ghost, Protection, Telling
from mmrace.story.scene import Scene

COMMITTER = "committer"
BY_STATE = "BH_State and j_list_lock"
FIELD_LOCKS = {
    "b_transaction": BY_STATE, "b_next_transaction": BY_STATE, "b_jlist": BY_STATE, "b_frozen_data": "BH_State",
    "b_committed_data": "BH_State", "b_modified": "BH_State", "b_cp_transaction": "j_list_lock",
}  # fmt: skip
"""Fields of a journal head -> the locks under which 3.3 changes them."""
WAKES = rule(
    "an unlock is two steps: the bit is cleared, then whoever sleeps for it is woken", "buffer.unlock_buffer",
    "filemap.unlock_page",
)  # fmt: skip
PAGE_THEN_HANDLE = rule(
    "the page lock comes before a handle: write_begin locks the page, then starts its handle", "ext3.ext3_write_begin"
)
IN_USE = rule(
    "a buffer that a reference or a journal head keeps is busy, and a busy ring is not stripped", "buffer.drop_buffers",
    "transaction_page.journal_try_to_free_buffers",
)  # fmt: skip

Refiner = Callable[[Scene, Mapping[str, Any], Telling], Telling]


def keeps(*protections: Protection | str) -> Refiner:
    """Return a refiner that says what keeps the breach away.  Args: protections: or numbers of the protocol."""

    def refine(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
        kept = [kept_by(one)[0] if isinstance(one, str) else one for one in protections]  # read when it is asked for
        return replace(told, protects=tuple(kept))

    return refine


def references(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say which rule of references it is: of pages, of buffers, of a frozen count."""
    name, broken = str(finding["facts"].get("object", "")), str(finding.get("rule"))
    if name.startswith("bh:"):
        return replace(told, protects=kept_by("I8"))
    if broken in ("lost get", "freeze over owners", "change while frozen"):
        return replace(told, protects=kept_by("I4", "R1"))
    return replace(told, protects=kept_by("I11"))


def stranger(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say what follows for the buffer."""
    at = scene.functions(told.moment)
    if not str(finding["facts"].get("object", "")).startswith("bh:"):
        return replace(told, protects=kept_by("I14"))
    second = "I8" if any(name.startswith("buffer_migrate") for name in at) else "R12"
    return replace(told, protects=kept_by("I14", second))


def ring(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say what a commit in a ring holds: buffers of its batch, which nobody unlocks before they are submitted."""
    ring = {str(name) for name in finding["facts"].get("cycle", ())}
    base = replace(told, protects=_order_of([wait.wants for wait in told.waits if wait.task in ring]))
    for wait in told.waits:
        task = scene.ids.get(wait.task)
        if not wait.task.startswith(COMMITTER) or task is None or wait.taken is None:
            continue
        batch = [t for t in scene.held(task, scene.end) if scene.short(t.lane).endswith(".BH_Lock")]
        if not batch:
            continue
        names = ", ".join(scene.owner(t.lane) for t in batch)
        asked = next((at for at in reversed(scene.of_task[task]) if scene.kind(at) in (QUEUE, TEST_AND_SET)), scene.end)
        ghost = Ghost(
            wait.task, f"(submit {names}: the end of that I/O would unlock what the other waits for)", asked - 1
        )
        text = f" What {wait.task} holds, {names}, is its batch of data buffers: locked, but not submitted before it "
        text += "went to sleep, so that no end of I/O unlocks it."
        return replace(base, cause=told.cause + text, ghosts=(ghost,))
    return base


def lost_frame(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say who freed a frame that is nowhere now."""
    names = [str(name) for name in finding["facts"].get("objects") or ()]
    freed = [
        step
        for step in scene.record.steps_on((), notes=("page-free",))
        if scene.record.name(scene.events[step][3][0]) in names
    ]
    if not freed:
        return told
    step, who = freed[-1], scene.who(freed[-1])
    before = scene.before(scene.events[step][0], step)
    where = scene.inside(before) if before is not None else ""
    return replace(
        told,
        cause=f"{who} freed {names[0]} at step {step}{where}, and nobody put it on the free list: {told.cause}",
        anchors={**told.anchors, step: "freed here, and gone from here on"},
        ghosts=(Ghost(who, f"put {names[0]} on the free list: never came", step),),
    )


def inversion(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say which order of locks it is that was not kept."""
    return replace(told, protects=_order_of([name for link in told.links for name in (link.held, link.wanted)]))


def _order_of(names: Sequence[str]) -> tuple[Protection, ...]:
    """Return what orders some locks, as far as that has a name."""
    kinds = {name.rpartition(".")[2] for name in names}
    if "PG_locked" in kinds and any(name.startswith("handle on ") for name in names):
        return (PAGE_THEN_HANDLE,)
    return kept_by("R11") if kinds == {"BH_Lock"} else ()


def lost_wakeup(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say of an unlock that it is two steps."""
    locks = [change.what for change in told.changes if change.what.endswith((".BH_Lock", ".PG_locked"))]
    return replace(told, protects=(WAKES,)) if locks else told


def race(scene: Scene, finding: Mapping[str, Any], told: Telling) -> Telling:
    """Say under which locks the kernel changes the field."""
    field = str(finding["facts"].get("object", "")).rpartition(".")[2]
    if field == "b_page":
        return replace(told, protects=kept_by("I6", "R14"))
    locks = FIELD_LOCKS.get(field)
    if locks is None or len(told.sides) != 2:
        return told
    needed = locks.split(" and ")
    ghosts = [
        Ghost(side.task, f"(lock {lock} would have had to come before this)", side.step - 1)
        for side in told.sides
        for lock in needed
        if not any(held.endswith(lock) for held in side.locks)
    ]
    kept = rule(f"{field} is read and changed under {locks}", "jbd.jbd_lock_bh_state")
    said = f" {field} belongs under {locks}: {'; '.join(_who_held(told, lock) for lock in needed)}."
    return replace(told, cause=told.cause + said, habit="", protects=(kept,), ghosts=tuple(ghosts) or told.ghosts)


def _who_held(told: Telling, lock: str) -> str:
    """Say which sides of a race held a lock."""
    having: list[str] = []
    lacking: list[str] = []
    for side in told.sides:
        (having if any(name.endswith(lock) for name in side.locks) else lacking).append(side.task)
    if having and lacking:
        return f"only {having[0]} held {lock}, {lacking[0]} did not"
    return f"both held {lock}" if having else f"neither {lacking[0]} nor {lacking[1]} held {lock}"
