"""A lock that another task releases than the one that took it."""

from __future__ import annotations

from mmrace import runtime as rt
from tests.runtime.engines import Program
from tests.strategies.dpor_programs import played
from tests.strategies.open_lock import Room, room


def _takes(b: Room) -> None:
    b.lock.acquire()
    b.x = 1


def _releases_when_taken(b: Room) -> None:
    for _ in rt.until_changed():
        if b.x:
            break
    b.lock.release()


def _keeps(b: Room) -> None:
    b.lock.acquire()


def _tries(b: Room) -> None:
    b.lock.try_()


def _releases(b: Room) -> None:
    b.lock.release()


PROGRAMS: dict[str, Program] = {
    "lock, write || release when written || lock": played(_takes, _releases_when_taken, _keeps, on=room),
    "release || try || lock": played(_releases, _tries, _keeps, on=room),
}

AT_ONCE = {"lock, write || release when written || lock"}
