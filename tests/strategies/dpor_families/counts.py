"""Reference counts, and numbers that tasks add to."""

from __future__ import annotations

from tests.runtime.engines import Box, Program
from tests.strategies.dpor_programs import played


def _freezer(b: Box) -> None:
    if b.count.freeze(1):
        b.count.unfreeze(1)


def _lookup(b: Box) -> None:
    if b.count.get_unless_zero("lookup"):
        b.count.put("lookup")


def _gets(b: Box) -> None:
    b.count.get("user")


def _puts(b: Box) -> None:
    b.count.put("base")


def _puts_and_gets(b: Box) -> None:
    b.count.put("base")
    b.count.get("new")


def _counts(b: Box) -> None:
    b.count.read()


def _adds(b: Box) -> None:
    b.number.add(1)


def _looks(b: Box) -> None:
    b.number.read()


PROGRAMS: dict[str, Program] = {
    "freeze || get unless zero": played(_freezer, _lookup),
    "freeze || get || put": played(_freezer, _gets, _puts),
    "put, get || get unless zero": played(_puts_and_gets, _lookup),
    "get || get || count": played(_gets, _gets, _counts),
    "add || add || look": played(_adds, _adds, _looks),
}

AT_ONCE = {"freeze || get || put"}
