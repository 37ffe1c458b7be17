"""A message is filled and handed over by a flag.  BUGGY: the flag is up before the second half is written."""

from __future__ import annotations

from enum import IntEnum

from mmrace import runtime as rt


class Bits(IntEnum):
    """Of the flag word."""

    READY = 0


class Message(rt.Struct):
    """Two halves and a flag, which readers poll a few times."""

    head: rt.Field[int] = rt.shared(0, benign="read after the flag was seen")
    tail: rt.Field[int] = rt.shared(0, benign="read after the flag was seen")
    bits = rt.flag_word(Bits)


LOOKS = 3


def fills(message: Message, flag_last: bool) -> None:
    """Write both halves and raise the flag."""
    message.head = 1
    if not flag_last:
        rt.set_bit(message.bits, Bits.READY)
    message.tail = 1
    if flag_last:
        rt.set_bit(message.bits, Bits.READY)


def reads(message: Message) -> None:
    """Read both halves, if the flag is up."""
    for _ in range(LOOKS):
        if rt.test_bit(message.bits, Bits.READY):
            rt.bug_on(message.head + message.tail != 2, "half a message")
            return


def _play(flag_last: bool) -> None:
    message = Message("message")
    for _ in range(2):
        rt.spawn(reads, message)
    rt.spawn(fills, message, flag_last)
    rt.join_others()


def main() -> None:
    """BUGGY: publishes too early."""
    _play(False)


def mended() -> None:
    """Raises the flag last."""
    _play(True)
