"""A lost wake-up: whoever opens a door wakes the sleepers first, and one lies down between that and the change.

mmrace explore mmrace/examples/lost_wakeup.py:main --until-found     # BUGGY: ends in FAIL
mmrace explore mmrace/examples/lost_wakeup.py:mended --exhaustive
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from mmrace import runtime as rt


class Flag(IntEnum):
    """The flags of a door."""

    SHUT = 0


class Door(rt.Struct):
    """A door in front of which tasks sleep until it is open."""

    flags = rt.flag_word(Flag, waitable=(Flag.SHUT,))


def guest(door: Door) -> None:
    """Wait until the door is open: look, and lie down if it is shut."""
    rt.wait_on_bit(door.flags, Flag.SHUT)


def hasty_host(door: Door) -> None:
    """Wake whoever sleeps, then open."""
    rt.wake_up_bit(door.flags, Flag.SHUT)
    rt.clear_bit(door.flags, Flag.SHUT)


def host(door: Door) -> None:
    """Open, then wake whoever sleeps."""
    rt.clear_bit(door.flags, Flag.SHUT)
    rt.wake_up_bit(door.flags, Flag.SHUT)


def _play(opens: Callable[[Door], None]) -> None:
    door = Door("door")
    rt.set_bit(door.flags, Flag.SHUT)
    rt.spawn(guest, door, name="guest")
    rt.spawn(opens, door, name="host")
    rt.join_others()


def main() -> None:
    """BUGGY: the guest may sleep for ever, in front of an open door."""
    _play(hasty_host)


def mended() -> None:
    """As `main`, but the door is open before anybody is woken."""
    _play(host)
