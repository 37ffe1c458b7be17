"""Objects as they were just before a step, worked out from the events before it.

Invariant: only what the record shows is said; a field that nobody touched before the step is shown by what somebody
read of it later, until somebody writes it, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmrace.oracles.general.ledger import Ledgers
from mmrace.runtime.kinds import (
    ADD,
    CLEAR,
    COUNT,
    FREEZE,
    GET,
    GET_UNLESS_ZERO,
    LOAD,
    NOTE,
    PUT,
    READ,
    SET,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    UNFREEZE,
    WRITE,
)
from mmrace.runtime.wording import plain
from mmrace.story.deeds import text_of
from mmrace.story.facts import State
from mmrace.story.scene import Scene

COUNTS = (GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE, COUNT)
UNKNOWN = object()
WORDS_SHOWN = 4  # of an array: the rest is summed up
LINES_MAX = 14  # of one object


def value(scene: Scene, lane: int, step: int) -> Any:
    """Return what a lane held just before a step, `UNKNOWN` if the record does not tell."""
    for at in reversed(scene.on(lane, 0, step)):
        found = _left(scene, at)
        if found is not UNKNOWN:
            return found
    for at in scene.on(lane, step):
        found = _met(scene, at)
        if found is not UNKNOWN:
            return found
    return UNKNOWN


def _left(scene: Scene, step: int) -> Any:
    """Return what a lane holds after an op on it."""
    kind, (_, _, a, b) = scene.kind(step), scene.events[step]
    if kind in (READ, TEST, COUNT, LOAD):
        return plain(a)
    if kind in (WRITE, STORE):
        return plain(b)
    if kind in (SET, TEST_AND_SET):
        return True
    if kind in (CLEAR, TEST_AND_CLEAR):
        return False
    if kind in (GET, PUT, GET_UNLESS_ZERO, ADD):
        return b
    if kind == FREEZE and b:
        return 0
    return a if kind == UNFREEZE else UNKNOWN


def _met(scene: Scene, step: int) -> Any:
    """Return what a lane held before an op on it."""
    kind, (_, _, a, b) = scene.kind(step), scene.events[step]
    if kind in (READ, TEST, COUNT, LOAD, WRITE, STORE, SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR):
        return plain(a)
    if kind == ADD:
        return b - a
    if kind in (GET, PUT) and isinstance(b, int):
        return b + (1 if kind == PUT else -1)
    return UNKNOWN


def owners(scene: Scene, lane: int, step: int) -> list[tuple[str, str]]:
    """Return who holds the references of a count just before a step: (name, task that took it, "" if nobody knows)."""
    record = scene.record
    ledgers = Ledgers(record, {lane: scene.owner(lane)})
    kinds = (GET, PUT, GET_UNLESS_ZERO, FREEZE, UNFREEZE)
    notes = ("retire", "rename", *record.tables.frees)
    for at in record.steps_on((lane,), *kinds, notes=notes):
        if at >= step:
            break
        ledgers.take(scene.events[at])
    holders = ledgers.by_lane[lane].holders
    return [
        (ref, record.task_name(task) if task >= 0 else "") for ref, tasks in sorted(holders.items()) for task in tasks
    ]


def is_count(scene: Scene, lane: int) -> bool:
    """Say whether a lane is a reference count."""
    return any(scene.kind(step) in COUNTS for step in scene.of_lane.get(lane, [])[:1])


def count_text(scene: Scene, lane: int, step: int) -> str:
    """Say what a count is, and whose: "2: slot, lookup by reader"."""
    number = value(scene, lane, step)
    held = [f"{ref} by {task}" if task else ref for ref, task in owners(scene, lane, step)]
    return f"{'unknown' if number is UNKNOWN else number}: {', '.join(held) or 'nobody'}"


def lock_text(scene: Scene, lane: int, step: int) -> str:
    """Say who holds a lock: "committer, since step 12"."""
    tenure = scene.holder(lane, step)
    if tenure is None:
        return ""
    who = scene.record.task_name(tenure.task)
    if tenure.handed is not None and tenure.handed < step:
        return f"the I/O {tenure.token}, handed over by {who} at step {tenure.handed}"
    return f"{who}, since step {tenure.taken}"


def state_of(scene: Scene, name: str, step: int, fields: Iterable[str] = ()) -> State | None:
    """Return the state of an object; None if nothing is known of it.

    Args: fields: of it that are shown, in order; all of them if it says none.
    """
    lines: list[tuple[str, str]] = []
    set_bits: dict[str, list[str]] = {}
    wanted = list(fields)
    for lane in scene.lanes_named(name):
        entry = scene.record.lane(lane)
        if entry is None or entry[3].endswith(".queue") or (wanted and entry[2] not in wanted):
            continue
        _, _, field, sub = entry
        if is_count(scene, lane):
            lines.append((field, count_text(scene, lane, step)))
        elif lane in scene.locks:
            holder = lock_text(scene, lane, step)
            if holder:
                lines.append((sub or field, f"held by {holder}"))
        elif sub and not sub.startswith("["):
            bits = set_bits.setdefault(field, [])
            if value(scene, lane, step) is True:
                bits.append(sub)
        elif (now := value(scene, lane, step)) is not UNKNOWN and not _is_queue(scene, lane):
            lines.append((f"{field}{sub}", text_of(now)))
    lines += [(field, ", ".join(bits) or "no bit that was asked for is set") for field, bits in set_bits.items()]
    if wanted:
        lines.sort(key=lambda line: wanted.index(line[0]) if line[0] in wanted else len(wanted))
    return State(name, step, tuple(_shortened(lines))) if lines else None


def _is_queue(scene: Scene, lane: int) -> bool:
    return all(scene.kind(step) not in (READ, WRITE, NOTE) for step in scene.of_lane.get(lane, [])[:1])


def _shortened(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    words = [line for line in lines if line[0].endswith("]")]
    rest = [line for line in lines if not line[0].endswith("]")]
    if len(words) > WORDS_SHOWN:
        words = [*words[:WORDS_SHOWN], ("", f"and {len(words) - WORDS_SHOWN} words more")]
    if len(rest) > LINES_MAX:
        rest = [*rest[:LINES_MAX], ("", f"and {len(rest) - LINES_MAX} fields more")]
    return [*rest, *words]
