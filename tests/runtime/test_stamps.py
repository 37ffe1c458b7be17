"""Version stamps: under `free` each event carries them, and they order the record."""

from __future__ import annotations

from pathlib import Path

from mmrace.runtime.record import Record
from tests.runtime.contended import contended
from tests.runtime.engines import free, walk


def test_each_event_of_a_free_run_carries_stamps_in_the_order_of_the_record() -> None:
    record = free(contended, "chaos", 3).record
    numbers = [number for number, _ in record.stamps]
    assert len(numbers) == len(record.events)
    assert numbers == sorted(set(numbers))


def test_an_op_names_the_op_before_it_on_its_object_which_came_earlier() -> None:
    record = free(contended, "gentle", 5).record
    known = {number for number, _ in record.stamps} | {0}
    assert all(before in known and before < number for number, before in record.stamps)
    assert any(before for _, before in record.stamps)


def test_stamps_survive_the_file(tmp_path: Path) -> None:
    record = free(contended, "off", 1).record
    record.write(tmp_path / "free.jsonl")
    assert Record.read(tmp_path / "free.jsonl").stamps == record.stamps


def test_a_controlled_run_has_masks_and_no_stamps() -> None:
    record = walk(contended, 1).record
    assert record.masks
    assert not record.stamps
