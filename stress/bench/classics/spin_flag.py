"""A task spins until a stage is set.  BUGGY: the signal comes before the scenery, which a moved chair shows.

The spinning task gives way in each turn; a third task moves a chair meanwhile.
"""

from __future__ import annotations

from enum import IntEnum

from mmrace import runtime as rt


class Bits(IntEnum):
    """Signals."""

    SET = 0
    SCENERY = 1
    CHAIR = 2


class Stage(rt.Struct):
    """The signals."""

    bits = rt.flag_word(Bits)


def plays(stage: Stage) -> None:
    """Wait for the signal, then look at the scenery and the chair."""
    while not rt.test_bit(stage.bits, Bits.SET):
        rt.schedule()
    chair = rt.test_bit(stage.bits, Bits.CHAIR)
    rt.bug_on(chair and not rt.test_bit(stage.bits, Bits.SCENERY), "an empty stage")


def sets(stage: Stage, signal_last: bool) -> None:
    """Put the scenery up, and give the signal."""
    if signal_last:
        rt.set_bit(stage.bits, Bits.SCENERY)
    rt.set_bit(stage.bits, Bits.SET)
    if not signal_last:
        rt.set_bit(stage.bits, Bits.SCENERY)


def moves(stage: Stage) -> None:
    """Move the chair in, and look whether all is ready."""
    rt.test_bit(stage.bits, Bits.SET)
    rt.set_bit(stage.bits, Bits.CHAIR)


def _play(signal_last: bool) -> None:
    stage = Stage("stage")
    rt.spawn(plays, stage)
    rt.spawn(sets, stage, signal_last)
    rt.spawn(moves, stage)
    rt.join_others()


def main() -> None:
    """BUGGY: signal first."""
    _play(False)


def mended() -> None:
    """Signal last."""
    _play(True)
