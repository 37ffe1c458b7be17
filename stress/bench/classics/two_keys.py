"""Ten guards, each with rounds of its own; two of them take two keys.  BUGGY: those two do so in opposite order."""

from __future__ import annotations

from mmrace import runtime as rt

GUARDS, ROUNDS = 10, 4
TAKERS = (3, 7)
"""Which of the guards need both keys."""


class Board(rt.Struct):
    """Two keys."""

    gate = rt.mutex()
    vault = rt.mutex()


class Tower(rt.Struct):
    """What each of the others has for itself."""

    log = rt.words(0)
    door = rt.mutex()


def takes_both(board: Board, gate_first: bool) -> None:
    """Take both keys, and put them back."""
    first, second = (board.gate, board.vault) if gate_first else (board.vault, board.gate)
    rt.mutex_lock(first)
    rt.mutex_lock(second)
    rt.mutex_unlock(second)
    rt.mutex_unlock(first)


def walks_rounds(tower: Tower) -> None:
    """Lock the door of one's own tower, and write down each round."""
    for number in range(ROUNDS):
        rt.mutex_lock(tower.door)
        tower.log.write(0, number)
        rt.mutex_unlock(tower.door)


def _play(in_one_order: bool) -> None:
    board = Board("board")
    for number in range(GUARDS):
        if number in TAKERS:
            rt.spawn(takes_both, board, in_one_order or number == TAKERS[0])
        else:
            rt.spawn(walks_rounds, Tower(f"tower.{number}", log=1))
    rt.join_others()


def main() -> None:
    """BUGGY: one takes the gate's key first, the other that of the vault."""
    _play(False)


def mended() -> None:
    """Both take the gate's key first."""
    _play(True)
