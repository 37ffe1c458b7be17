"""Ops in words that a reader who never saw the code understands: locks are locked and unlocked, counts got and put.

`runtime/wording.py` names ops as they are recorded, for those who look them up; here a test-and-set of a lock bit is
"lock", its failed try "trylock ... busy".  Invariant: both fields of an outcome are shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmrace.oracles.general.violations import VIOLATION
from mmrace.runtime.flags import LOCK
from mmrace.runtime.kinds import (
    ACQUIRE,
    ADD,
    CLEAR,
    COUNT,
    FREEZE,
    GET,
    GET_UNLESS_ZERO,
    LOAD,
    NOTE,
    PUT,
    QUEUE,
    READ,
    RELEASE,
    SET,
    SLEEP,
    STORE,
    TEST,
    TEST_AND_CLEAR,
    TEST_AND_SET,
    TRY,
    UNFREEZE,
    WAKE,
    WRITE,
)
from mmrace.runtime.record_file import NOTES_ON_LANES
from mmrace.runtime.visible import one_line
from mmrace.runtime.wording import ARROW, deed_text, plain
from mmrace.story.scene import Scene


def deed(scene: Scene, step: int) -> str:
    """Say what an event is: "lock box:0.LOCKED", "box:0.x = 2 (was 1)"."""
    return one_line(_deed(scene, step))


def _deed(scene: Scene, step: int) -> str:
    event = scene.events[step]
    kind, lane = scene.kind(step), scene.lane(step)
    if kind == NOTE:
        if event[2] == VIOLATION:
            return f"!! {event[3][1]}"
        if event[2] in NOTES_ON_LANES and event[3]:
            return f"-- {_of_a_lane(scene, str(event[2]), event[3])}"
        words = scene.notes.get(event[2])
        return deed_text(event, scene.record) if words is None else f"-- {words(plain(event[3]) or ())}"
    what, a, b = scene.short(lane), plain(event[2]), plain(event[3])
    if lane in scene.locks:
        return _lock(kind, what, a, b) or deed_text(event, scene.record)
    if kind in (READ, LOAD):
        return f"{what} {ARROW} {text_of(a)}"
    if kind == COUNT:
        return f"{what} {ARROW} {a}"
    if kind == TEST:
        return f"{what} {ARROW} {'set' if a else 'clear'}"
    if kind in (WRITE, STORE):
        return f"{what} = {text_of(b)} (was {text_of(a)})"
    if kind in (SET, CLEAR, TEST_AND_SET, TEST_AND_CLEAR):
        wanted = kind in (SET, TEST_AND_SET)
        already = " (it was already)" if bool(a) == wanted else ""
        return f"{what} = {'set' if wanted else 'clear'}{already}"
    return _count(kind, what, a, b) or _queue(scene, step, kind, what) or deed_text(event, scene.record)


def _of_a_lane(scene: Scene, kind: str, facts: Sequence[Any]) -> str:
    """Say what a note of the runtime says of a lock or a count."""
    what, rest = scene.short(facts[0]), [plain(fact) for fact in facts[1:]]
    if kind == "hand-over":
        return f"{what} is now the I/O's: {text_of(rest[0] if rest else None)}"
    if kind == "rename" and len(rest) > 1:
        return f"the reference {rest[0]!r} of {what} is now {rest[1]!r}"
    return f"references of {what} end with the freeze: {text_of(rest[0] if rest else None)}"


def text_of(value: object) -> str:
    """Show a value."""
    return "nothing" if value is None else f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _lock(kind: int, what: str, a: object, b: object) -> str:
    if kind == ACQUIRE:
        return f"lock {what}"
    if kind == TRY:
        return f"trylock {what}: {'taken' if a else 'busy'}"
    if kind in (RELEASE, CLEAR, TEST_AND_CLEAR):
        return f"unlock {what}"
    if kind == TEST_AND_SET:
        if b == LOCK:
            return f"lock {what}" + (": busy, has to wait" if a else "")
        return f"trylock {what}: {'busy' if a else 'taken'}"
    if kind == TEST:
        return f"{what} {ARROW} {'locked' if a else 'not locked'}"
    return ""


def _count(kind: int, what: str, a: object, b: object) -> str:
    if kind == ADD:
        return f"{what} {a:+d} {ARROW} {b}"
    if kind == GET:
        return f"get {what} for {a!r} {ARROW} {b}"
    if kind == PUT:
        return f"put {what} of {a!r} {ARROW} {b}"
    if kind == GET_UNLESS_ZERO:
        return f"get {what} for {a!r} {ARROW} {b}" if b else f"get {what} for {a!r}: refused, it is 0"
    if kind == FREEZE:
        return f"freeze {what} at {a} {ARROW} 0" if b else f"freeze {what}: refused, it is not {a}"
    if kind == UNFREEZE:
        return f"{what} = {a}, a plain store" + (f" that drops {b!r}" if b else "")
    return ""


def _queue(scene: Scene, step: int, kind: int, what: str) -> str:
    if kind == QUEUE:
        return f"queue on {what}, to sleep"
    if kind == SLEEP:
        return f"woken on {what}"
    if kind == WAKE:
        woken = scene.events[step][3] or ()
        return f"wake {what} {ARROW} {', '.join(map(scene.record.task_name, woken)) or 'nobody sleeps there'}"
    return ""
