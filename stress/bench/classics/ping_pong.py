"""Two players count a rally while they strike in turn.  BUGGY: a rally of six is more than the board shows."""

from __future__ import annotations

from mmrace import runtime as rt

BOARD, STROKES = 6, 4


class Table(rt.Struct):
    """Whose turn it is, and how long the rally is by now."""

    last: rt.Field[int] = rt.shared(1)
    rally: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()


def strikes(table: Table, me: int, wide: bool) -> None:
    """Strike a few times; a stroke out of turn ends the rally."""
    for _ in range(STROKES):
        rt.mutex_lock(table.lock)
        table.rally = table.rally + 1 if table.last != me else 0
        table.last = me
        rt.bug_on(table.rally >= BOARD and not wide, "the board is full")
        rt.mutex_unlock(table.lock)


def _play(wide: bool) -> None:
    table = Table("table")
    for me in (0, 1):
        rt.spawn(strikes, table, me, wide)
    rt.join_others()


def main() -> None:
    """BUGGY: a narrow board."""
    _play(False)


def mended() -> None:
    """A wide one."""
    _play(True)
