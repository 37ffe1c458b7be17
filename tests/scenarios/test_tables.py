"""The kernel's tables name what the model has."""

from __future__ import annotations

import pytest

from mmrace.installed import run_one
from mmrace.runtime.struct import StructMeta
from mmrace.scenarios.tables import KERNEL
from tests.runtime.test_kernel_structs import STRUCTS
from tests.runtime.test_record_doc import noted
from tests.scenarios.staged import gate_spec

BY_NAME: dict[str, StructMeta] = {cls.struct_name: cls for cls in STRUCTS.values()}


def bits_of(cls: StructMeta, field: str) -> list[str]:
    [part] = [part for key, _, _, part in cls.plan if key == field and part is not None]
    return part.lane_names(0)


def test_fields_and_bits_of_the_tables_are_those_of_structs() -> None:
    for name in (*KERNEL.published, *KERNEL.racy):
        cls, field = name.split(".")
        assert BY_NAME[cls].slot_of(field) is not None, name
    for name in (*KERNEL.sleeping_locks, *KERNEL.spinning_locks):
        cls, field, bit = name.split(".")
        assert bit in bits_of(BY_NAME[cls], field), name
    for cls, bits in KERNEL.pointed.items():
        [flags] = [bits_of(BY_NAME[cls], key) for key, _, lanes, _ in BY_NAME[cls].plan if lanes > 1]
        assert set(bits) <= set(flags)


@pytest.mark.slow
def test_notes_of_the_tables_are_those_that_the_package_writes() -> None:
    written = {kind for kind, _, _ in noted()}
    assert {*KERNEL.allocates, *KERNEL.frees, *KERNEL.progress, *KERNEL.compared} <= written


def test_a_run_of_a_scenario_carries_them_and_what_its_structs_declare() -> None:
    record = run_one(gate_spec("async-vs-commit", 1), keep_record=True).record
    assert record is not None
    assert record.tables == KERNEL.with_benign(record.tables.benign)
    declared = {f"{name}.{field}": why for name, cls in BY_NAME.items() for field, why in cls.benign_reads}
    del declared["Pageblock.migratetype"]  # there are none where free blocks are single pages
    mapped = run_one(gate_spec("migrate-vs-fault", 1), keep_record=True).record
    assert mapped is not None
    # these two scenarios make an object of every other struct that declares any
    assert {**record.tables.benign, **mapped.tables.benign} == declared
