"""The migration race in forty lines: a migrator that cannot have all locks lets go of one that it never had.

mmrace explore mmrace/examples/page_move.py:main --until-found       # BUGGY: ends in FAIL
mmrace explore mmrace/examples/page_move.py:mended --exhaustive

A page has two buffers. The commit locks each of them while that is written to the disk, and not the page. The migrator
must not wait for such a buffer, so it only tries their locks; where one is busy it backs out. The patch of 2011 backed
out by unlocking the whole ring. The same with all that belongs to it is the scenario `async-vs-commit`, variant
`async-backout`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from mmrace import runtime as rt


class State(IntEnum):
    """The state of a buffer: its lock."""

    LOCK = 0


class Buffer(rt.Struct):
    """A block of a page in memory."""

    state = rt.flag_word(State, waitable=(State.LOCK,))


class Page(rt.Struct):
    """A page, and where its data is."""

    place = rt.shared("here", benign="the commit writes by buffers, whatever page they are of by then")
    lock = rt.mutex()


BackOut: TypeAlias = Callable[[list[Buffer], list[Buffer]], None]
"""(all buffers of a page, those that are held) -> some are unlocked."""


def commit(buffers: list[Buffer]) -> None:
    """Lock each buffer, write it, unlock it; the page is left alone."""
    for buffer in buffers:
        rt.bit_lock(buffer.state, State.LOCK)
        rt.note("written", repr(buffer))
        rt.bit_unlock(buffer.state, State.LOCK)


def hasty_back_out(buffers: list[Buffer], held: list[Buffer]) -> None:
    """Unlock the whole ring, from its head on."""
    for buffer in buffers:
        rt.bit_unlock(buffer.state, State.LOCK)


def back_out(buffers: list[Buffer], held: list[Buffer]) -> None:
    """Unlock what was locked."""
    for buffer in held:
        rt.bit_unlock(buffer.state, State.LOCK)


def migrate(page: Page, buffers: list[Buffer], back_out_: BackOut) -> None:
    """Move a page, if all its buffers can be locked without waiting."""
    rt.mutex_lock(page.lock)
    held: list[Buffer] = []
    for buffer in buffers:
        if not rt.bit_trylock(buffer.state, State.LOCK):
            back_out_(buffers, held)
            break
        held.append(buffer)
    else:
        page.place = "there"
        back_out(buffers, held)
    rt.mutex_unlock(page.lock)


def _play(back_out_: BackOut) -> None:
    page, buffers = Page("page"), [Buffer(f"buffer:{i}") for i in range(2)]
    rt.spawn(commit, buffers, name="commit")
    rt.spawn(migrate, page, buffers, back_out_, name="migrator")
    rt.join_others()


def main() -> None:
    """BUGGY: the migrator unlocks a buffer that the commit has locked and is writing."""
    _play(hasty_back_out)


def mended() -> None:
    """As `main`, but the migrator unlocks only what it has locked."""
    _play(back_out)
