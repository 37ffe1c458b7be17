"""Whether a run had anything to interleave: a function of its record, whatever ran it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runs.exercised import exercised
from mmrace.runtime.kinds import SHIFT
from mmrace.runtime.record import Record
from tests.runtime.engines import ONE_OF_EACH, Setup

ENGINES = pytest.mark.parametrize("run", ONE_OF_EACH, ids=lambda setup: setup.name)


class Bits(IntEnum):
    UP = 0


class Word(rt.Struct):
    state = rt.flag_word(Bits)


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


def _apart() -> None:
    for name in "ab":
        rt.spawn(_add, Cell(name))
    rt.join_others()


def _only_readers() -> None:
    cell = Cell("cell")
    for _ in range(2):
        rt.spawn(lambda: cell.x)
    rt.join_others()


def _reader_and_writer() -> None:
    cell = Cell("cell")
    rt.spawn(lambda: cell.x)
    cell.x = 1
    rt.join_others()


def _bit_and_word() -> None:
    word = Word("word")
    rt.spawn(rt.test_bit, word.state, Bits.UP)
    word.state.store(0)
    rt.join_others()


def _twins_of_one_name() -> None:
    cells = [Cell("cell") for _ in range(3)]
    for cell in cells:
        cell.x = 0
    for cell in cells:
        rt.spawn(_add, cell)
    rt.join_others()


MEET = (_two, _main_and_one, _reader_and_writer, _bit_and_word)
APART = (_in_turn, _beside_an_idler, _apart, _only_readers, _twins_of_one_name)


@ENGINES
@pytest.mark.parametrize(("program", "expected"), [(p, True) for p in MEET] + [(p, False) for p in APART])
def test_only_what_two_tasks_do_to_one_object_in_no_fixed_order_is_exercised(
    run: Setup, program: Callable[[], object], expected: bool, tmp_path: Path
) -> None:
    record = run(program).record
    assert exercised(record) is expected
    record.write(tmp_path / "record")
    read = Record.read(tmp_path / "record")
    assert exercised(read) is expected
    lanes = {op >> SHIFT for _, op, _, _ in record.events if op >= 0}
    assert [read.first_lane(lane) for lane in lanes] == [record.first_lane(lane) for lane in lanes]


def test_only_the_explored_part_counts() -> None:
    record: Record = ONE_OF_EACH[0](_two).record
    assert exercised(record)
    record.header["explored"] = [0, 3]
    assert not exercised(record)
