"""Where a word that was seen came from: who brought it to the disk, out of which page, and who wrote that, or not.

A value is followed back through copies: the last write of it, and the read by the same task that it came from, and so
on.  Invariant: each hop is two events of the record; where the trail ends, nobody wrote the word before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mmrace.oracles.protocol.register import blocks_of
from mmrace.runtime.kinds import READ, WRITE
from mmrace.runtime.wording import plain
from mmrace.story.scene import Scene

HOPS_MAX = 6
COPY_OPS = 40  # ops of its task between the read of a word and its write elsewhere


@dataclass(frozen=True, slots=True)
class Hop:
    """A word was written on `lane` at step `wrote` with what its task had read at step `read` (None: its own)."""

    lane: int
    wrote: int
    read: int | None


def trail(scene: Scene, lane: int, step: int, value: object) -> tuple[list[Hop], int]:
    """Follow a word that `lane` holds just before a step; return the hops, last first, and the lane where it began."""
    hops: list[Hop] = []
    while len(hops) < HOPS_MAX:
        wrote = last_stored(scene, lane, step, value)
        if wrote is None:
            break
        read = _read_of(scene, wrote, value)
        hops.append(Hop(lane, wrote, read))
        if read is None:
            break
        lane, step = scene.lane(read), read
    return hops, lane


def last_stored(scene: Scene, lane: int, step: int, value: object) -> int | None:
    """Return the last write of a value on a lane before a step, if nothing else was written after it."""
    wrote = next((at for at in reversed(scene.on(lane, 0, step)) if scene.kind(at) == WRITE), None)
    return wrote if wrote is not None and plain(scene.events[wrote][3]) == value else None


def _read_of(scene: Scene, wrote: int, value: object) -> int | None:
    task = scene.events[wrote][0]
    at = scene.before(task, wrote)
    for _ in range(COPY_OPS):
        if at is None:
            return None
        if scene.kind(at) == READ and plain(scene.events[at][2]) == value and scene.lane(at) != scene.lane(wrote):
            return at
        at = scene.before(task, at)
    return None


@dataclass(frozen=True, slots=True)
class Transfer:
    """An I/O of a block: submitted at step `begin` by `task`, over at step `end` (None: never)."""

    begin: int
    end: int | None
    direction: str
    block: int
    task: str


def transfers(scene: Scene, block: int) -> list[Transfer]:
    """Return the transfers of a block, in the order of submission."""
    found: list[Transfer] = []
    for step in scene.record.steps_on((), notes=("io-begin", "io-end")):
        task, _, kind, facts = scene.events[step]
        if block not in blocks_of(facts, kind == "io-end"):
            continue
        if kind == "io-begin":
            found.append(Transfer(step, None, str(facts[0]), block, scene.record.task_name(task)))
            continue
        open_ = next((i for i, one in enumerate(found) if one.end is None and one.direction == str(facts[0])), None)
        if open_ is not None:
            one = found[open_]
            found[open_] = Transfer(one.begin, step, one.direction, block, one.task)
    return found


def notes_of(scene: Scene, kind: str, *facts: object, until: int | None = None) -> Iterator[int]:
    """Yield the steps of notes of a kind whose first facts are these, before a step."""
    for step in scene.record.steps_on((), notes=(kind,)):
        if until is not None and step >= until:
            return
        said = scene.record.name(scene.events[step][3])
        if all(str(mine) == str(wanted) for mine, wanted in zip(said, facts, strict=False)):
            yield step
