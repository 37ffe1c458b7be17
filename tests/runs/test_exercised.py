"""Whether a run had anything to interleave: a function of its record, whatever ran it."""

from __future__ import annotations

import pytest

from mmrace import runtime as rt
from mmrace.runs.exercised import exercised
from mmrace.runtime.record import Record
from tests.runtime.engines import ONE_OF_EACH, Setup

ENGINES = pytest.mark.parametrize("run", ONE_OF_EACH, ids=lambda setup: setup.name)


class Cell(rt.Struct):
    x = rt.shared(0)
    lock = rt.mutex()


def _add(cell: Cell) -> None:
    rt.mutex_lock(cell.lock)
    cell.x += 1
    rt.mutex_unlock(cell.lock)


def _two() -> None:
    cell = Cell("cell")
    for _ in range(2):
        rt.spawn(_add, cell)
    rt.join_others()


def _main_and_one() -> None:
    cell = Cell("cell")
    rt.spawn(_add, cell)
    _add(cell)
    rt.join_others()


def _in_turn() -> None:
    cell = Cell("cell")
    for _ in range(2):
        _add(cell)
        rt.spawn(_add, cell)
        rt.join_others()
    _add(cell)


def _beside_an_idler() -> None:
    rt.spawn(rt.schedule)
    _add(Cell("cell"))
    rt.join_others()


@ENGINES
@pytest.mark.parametrize(
    ("program", "expected"), [(_two, True), (_main_and_one, True), (_in_turn, False), (_beside_an_idler, False)]
)
def test_what_spawns_and_joins_put_in_order_is_not_exercised(run: Setup, program: object, expected: bool) -> None:
    assert exercised(run(program).record) is expected  # type: ignore[arg-type]


def test_only_the_explored_part_counts() -> None:
    record: Record = ONE_OF_EACH[0](_two).record
    assert exercised(record)
    record.header["explored"] = [0, 3]
    assert not exercised(record)
