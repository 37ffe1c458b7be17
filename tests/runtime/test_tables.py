"""A program's tables: written, read, refused; and where a record has them from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmrace import runtime as rt
from mmrace.runtime.record import Record
from mmrace.runtime.tables import EMPTY, READ, SCHEMA_2, WRITE, Tables, of_schema_2
from tests.runtime.engines import gate

FULL = Tables(
    benign={"Box.y": "why", "Box.x": "because"},
    racy=("Box.z",),
    published=("Box.link",),
    sleeping_locks=("Box.flags.LOCKED",),
    spinning_locks=("Box.flags.SPIN",),
    transient=("lookup",),
    lasting=("slot",),
    foreign=("gup",),
    allocates=("made",),
    frees=("gone",),
    progress=("turn",),
    compared={"saw": READ, "wrote": WRITE},
    pointed={"Box": ("LOCKED", "DIRTY")},
    subjects=("box",),
)


def test_what_was_written_is_what_is_read() -> None:
    assert Tables.of(json.loads(json.dumps(FULL.plain()))) == FULL
    assert Tables.of(EMPTY.plain()) == EMPTY == Tables.of({})


def test_every_table_of_the_full_one_says_something() -> None:
    assert all(FULL.plain().values())


def test_the_order_of_what_maps_is_that_of_names() -> None:
    assert list(FULL.plain()["benign"]) == ["Box.x", "Box.y"]


def test_a_table_of_later_is_left_out() -> None:
    assert Tables.of({"published": ["Box.x"], "later": 7}) == Tables(published=("Box.x",))


@pytest.mark.parametrize("plain", [{"published": {"Box.x": "why"}}, {"benign": ["Box.x"]}, {"frees": "gone"}])
def test_a_value_of_another_shape_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(TypeError, match=next(iter(plain))):
        Tables.of(plain)


@pytest.mark.parametrize(
    "make",
    [lambda: Tables(published=("x",)), lambda: Tables(benign={"Box.flags.LOCKED": ""}), lambda: Tables(
        sleeping_locks=("Box.flags",))],
)  # fmt: skip
def test_a_name_of_another_form_is_refused(make: type[Tables]) -> None:
    with pytest.raises(rt.UsageError, match="a name like"):
        make()


def test_a_record_has_the_tables_of_its_engine_in_its_file_too(tmp_path: Path) -> None:
    record = gate(lambda: None, tables=FULL).record
    record.write(tmp_path / "run.jsonl")
    assert record.tables == Record.read(tmp_path / "run.jsonl").tables == FULL


def test_a_record_of_a_program_that_says_nothing_has_empty_ones() -> None:
    assert gate(lambda: None).record.tables == EMPTY
    assert Record({}, [], table={}, tasks=[]).tables == EMPTY


def test_a_record_of_an_older_schema_has_those_of_its_time() -> None:
    for schema in ("mmrace-record/1", "mmrace-record/2"):
        assert Record({"schema": schema}, [], table={}, tasks=[]).tables == of_schema_2()
    assert of_schema_2().plain() == {**json.loads(SCHEMA_2.read_text(encoding="utf-8")), "lasting": [], "racy": []}
