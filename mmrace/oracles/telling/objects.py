"""The state of the kernel's objects: what belongs to a page, its ring and its counts, and no constants."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmrace.story.facts import State
from mmrace.story.scene import Scene
from mmrace.story.state import UNKNOWN, count_text, lock_text, state_of, value

RING_MAX = 16
FIELDS = {
    "Page": ("_count", "PG_locked", "flags", "mapping", "index", "private"),
    "BufferHead": ("b_count", "BH_Lock", "BH_State", "b_state", "b_page", "b_private"),
    "JournalHead": (
        "b_bh", "b_transaction", "b_next_transaction", "b_cp_transaction", "b_jlist", "b_modified", "b_frozen_data",
        "b_committed_data", "b_jcount",
    ),
    "Slot": ("page", "tags"),
    "Transaction": ("t_state", "t_updates"),
    "Journal": ("j_running_transaction", "j_committing_transaction", "j_list_lock", "j_state_lock"),
}  # fmt: skip
"""Struct -> what is shown of it, in order."""
SHOWN = {
    "Page": ("_count", "flags", "mapping", "index", "private"),
    "BufferHead": ("b_count", "b_state", "b_page", "b_private"),
}
"""The fields that these lines come from, where that differs."""


def states(scene: Scene, names: Sequence[str], step: int) -> list[State]:
    """Return the state of objects before a step; a page with its ring."""
    found = []
    for name in names:
        kind = _struct(scene, name)
        fields = SHOWN.get(kind, FIELDS.get(kind, ()))
        state = state_of(scene, name, step, fields)
        if state is None:
            continue
        order = FIELDS.get(kind, ())
        lines = sorted(state.lines, key=lambda line: order.index(line[0]) if line[0] in order else len(order))
        if kind == "Page":
            lines += list(_ring(scene, name, step))
        found.append(State(name, state.step, tuple(lines)))
    return found


def _struct(scene: Scene, name: str) -> str:
    return next((entry[0] for entry in scene.record.lanes_of([name]).values()), "")


def _ring(scene: Scene, page: str, step: int) -> Iterator[tuple[str, str]]:
    """Yield the buffers on a page's ring, each with its lock, count and state."""
    seen: list[str] = []
    name = _field(scene, page, "private", step)
    while isinstance(name, str) and name not in seen and len(seen) < RING_MAX:
        seen.append(name)
        yield f"buffer {name}", buffer_text(scene, name, step)
        name = _field(scene, name, "b_this_page", step)


def _field(scene: Scene, owner: str, field: str, step: int) -> object:
    lane = scene.find(f"{owner}.{field}")
    return None if lane is None else value(scene, lane, step)


def buffer_text(scene: Scene, name: str, step: int) -> str:
    """Say how a buffer is: "locked by committer, since step 12; dirty; count 2: jh, migrate by migrator"."""
    parts = []
    lock = scene.find(f"{name}.b_state.BH_Lock")
    holder = lock_text(scene, lock, step) if lock is not None else ""
    parts.append(f"locked by {holder}" if holder else "not locked")
    for bit in ("BH_Dirty", "BH_JBDDirty"):
        lane = scene.find(f"{name}.b_state.{bit}")
        if lane is not None and value(scene, lane, step) is True:
            parts.append(bit)
    count = scene.find(f"{name}.b_count")
    if count is not None:
        parts.append(f"count {count_text(scene, count, step)}")
    page = _field(scene, name, "b_page", step)
    if page is not UNKNOWN and page is not None:
        parts.append(f"b_page {page}")
    return "; ".join(parts)
