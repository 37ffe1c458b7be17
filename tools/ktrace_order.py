"""The order of steps of migrations in a log of a real kernel, under the names that the claims' stages have.

    python -m tools.ktrace_order LOG

Purpose: lay what a kernel did beside what the model does (`mmrace/claims/ORDER.md`).  Every move of a page with buffers
that the log has from its first try to the unlock of the old page is one order; each order is printed with how many
moves had it.

Invariant kept: only what was logged is a step; moves that the log cuts off at either end are left out and counted.

Not checked: how often anything happens, or how long it takes.  A log of 6.1 says nothing of the rates of 3.3.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools.ktrace import Event, read_trace

STEPS = {
    "m_src_locked": "lock old",
    "m_src_wb_clear": "writeback looked at",
    "m_dst_locked": "lock new",
    "m_unmap": "unmap",
    "m_bh_refs": "count tested",
    "m_bh_lock_ok": "lock buffers",
    "m_replace": "replace",
    "m_bh_moved": "ring moved",
    "m_copy": "copy",
    "m_flags": "flags",
    "m_bh_unlock": "unlock buffers",
}
"""Event -> step; a step that is many events (one a buffer) counts once."""
_UNLOCK, _BEGIN, _END = "f_unlock", "m_src_try", "m_move_ret"
_IF_MAPPED = "unmap"  # a page that nobody maps has no such step, in 6.1 and after


@dataclass(slots=True)
class _Move:
    """A move in the making.  `steps`: in order; `ring`: its buffers, by address."""

    dst: int = 0
    steps: list[str] = field(default_factory=list)
    moved: bool = False

    def step(self, name: str) -> None:
        """Note a step."""
        if name not in self.steps:
            self.steps.append(name)


def orders(events: Iterable[Event]) -> tuple[Counter[tuple[str, ...]], int]:
    """Return how many moves of pages with buffers had which order of steps, and how many moves were cut off."""
    found: Counter[tuple[str, ...]] = Counter()
    open_moves: dict[int, _Move] = {}
    at: dict[int, int] = {}  # pid -> the page whose buffers it is at: their events do not name it
    for event in events:
        name = event.name
        if name == _UNLOCK:
            _unlock(event.num("folio"), open_moves, found)
            continue
        if not name.startswith("m_"):
            continue
        if "src" in event.args:
            at[event.pid] = event.num("src")
        src = at.get(event.pid)
        if src is None:
            continue
        if name == _BEGIN:
            open_moves[src] = _Move()
        move = open_moves.get(src)
        if move is None:
            continue
        if name in STEPS:
            move.step(STEPS[name])
        if name == "m_dst_locked":
            move.dst = event.num("dst")
        elif name == _END:
            move.moved = event.num("ret") == 0
            if not move.moved:
                del open_moves[src]
    return found, sum(move.moved for move in open_moves.values())


def _unlock(page: int, open_moves: dict[int, _Move], found: Counter[tuple[str, ...]]) -> None:
    """Note the unlock of a page: the new one's is a step, the old one's the last."""
    for move in open_moves.values():
        if move.moved and move.dst == page:
            move.step("unlock new")
    ended = open_moves.pop(page, None)
    if ended is not None and ended.moved:
        ended.step("unlock old")
        if "lock buffers" in ended.steps:
            found[tuple(step for step in ended.steps if step != _IF_MAPPED)] += 1


def where_unmapped(events: Iterable[Event]) -> tuple[int, int]:
    """Return how many unmaps came after the lock of their target, and how many before it."""
    locked: set[int] = set()
    after = before = 0
    for event in events:
        if event.name == _BEGIN:
            locked.discard(event.num("src"))
        elif event.name == "m_dst_locked":
            locked.add(event.num("src"))
        elif event.name == "m_unmap" and "src" in event.args:
            after, before = after + (event.num("src") in locked), before + (event.num("src") not in locked)
    return after, before


def main(arguments: list[str]) -> int:
    """Print the orders of a log."""
    if len(arguments) != 1:
        print(__doc__.split("\n\n")[1].strip(), file=sys.stderr)
        return 2
    events = read_trace(Path(arguments[0])).events
    found, cut = orders(events)
    print(f"{found.total()} moves of pages with buffers, {len(found)} orders; {cut} cut off by the end of the log")
    for order, times in found.most_common():
        print(f"{times}: {', '.join(order)}")
    after, before = where_unmapped(events)
    print(f"unmap: {after} after the lock of the target, {before} before it")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
