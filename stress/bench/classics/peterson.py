"""Peterson's lock for two tasks.  BUGGY: each gives the turn away before it says that it is interested."""

from __future__ import annotations

from enum import IntEnum

from mmrace import runtime as rt


class Bits(IntEnum):
    """Who is interested, and whose turn it is."""

    FIRST = 0
    SECOND = 1
    TURN = 2


class Hall(rt.Struct):
    """The lock, and who is inside."""

    bits = rt.flag_word(Bits)
    inside: int = rt.ghost(0)


def give_turn(hall: Hall, me: int) -> None:
    """Let the other one go first."""
    if me:
        rt.clear_bit(hall.bits, Bits.TURN)
    else:
        rt.set_bit(hall.bits, Bits.TURN)


def enters(hall: Hall, me: int, in_order: bool) -> None:
    """Enter once, and leave."""
    mine, other = (Bits.SECOND, Bits.FIRST) if me else (Bits.FIRST, Bits.SECOND)
    if in_order:
        rt.set_bit(hall.bits, mine)
        give_turn(hall, me)
    else:
        give_turn(hall, me)
        rt.set_bit(hall.bits, mine)
    while rt.test_bit(hall.bits, other) and rt.test_bit(hall.bits, Bits.TURN) == (not me):
        rt.schedule()
    hall.inside += 1
    rt.bug_on(hall.inside != 1, "two inside")
    rt.test_bit(hall.bits, Bits.TURN)
    hall.inside -= 1
    rt.clear_bit(hall.bits, mine)


def _play(in_order: bool) -> None:
    hall = Hall("hall")
    for me in (0, 1):
        rt.spawn(enters, hall, me, in_order)
    rt.join_others()


def main() -> None:
    """BUGGY: turn first, interest second."""
    _play(False)


def mended() -> None:
    """Interest first."""
    _play(True)
