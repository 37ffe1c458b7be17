"""The two RECORD.md say what is in a record: every kind, every note with its facts, and every key of a real run.

What the kernel model puts in is said beside its scenarios, and by nobody else.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import mmrace
from mmrace import runtime as rt
from mmrace import scenarios
from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import READABLE, SCHEMA, Record
from mmrace.runtime.tables import Tables
from tests.runtime.engines import Box, Flag, box, gate

PACKAGE = Path(mmrace.__file__).parent
DOCUMENT = (PACKAGE / "runtime" / "RECORD.md").read_text(encoding="utf-8")
OF_KERNEL = (PACKAGE / "scenarios" / "RECORD.md").read_text(encoding="utf-8")
TICKED = re.compile(r"`([^`]+)`")


def table(heading: str, document: str = DOCUMENT) -> dict[str, list[str]]:
    """Return the rows of the first table under a heading: ticked words of the first cell -> the other cells."""
    part = document[document.index(f"\n{heading}\n") :]
    rows: dict[str, list[str]] = {}
    for line in part.splitlines()[2:]:
        if line.startswith("#"):
            break
        if line.startswith("| `"):
            first, *rest = [cell.strip() for cell in line.strip("|").split(" | ")]
            for word in TICKED.findall(first):
                assert word not in rows, f"{heading}: {word} twice"
                rows[word] = rest
        elif rows:
            break
    assert rows, f"no table under {heading}"
    return rows


def noted() -> Iterator[tuple[str, int, str]]:
    """Yield (kind, number of facts, place) of each note that the package writes, but for the examples' own."""
    for path in sorted(set(PACKAGE.rglob("*.py")) - set(PACKAGE.glob("examples/*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            name, first = node.func, node.args[0].value
            called = name.attr if isinstance(name, ast.Attribute) else name.id if isinstance(name, ast.Name) else ""
            if called != "note" or not isinstance(first, str):
                continue
            by_model = isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "rt"
            facts = node.args[1:] if by_model else node.args[1].elts if isinstance(node.args[1], ast.Tuple) else []
            yield first, len(facts), f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_every_kind_of_op_is_described_and_no_other() -> None:
    part = DOCUMENT[DOCUMENT.index("| kind | lane |") :]
    rows = re.findall(r"^\| `([A-Z_]+)` \|", part[: part.index("\n\n")], re.MULTILINE)
    assert sorted(rows) == sorted(kind.name for kind in Kind)


@pytest.mark.slow
def test_every_note_is_described_with_its_facts() -> None:
    general, of_kernel = table("### Notes"), table("## Notes", OF_KERNEL)
    assert not general.keys() & of_kernel.keys()
    rows = general | of_kernel
    seen = set()
    for kind, facts, place in noted():
        assert kind in rows, f"{place}: note {kind!r} is not in RECORD.md"
        assert len(TICKED.findall(rows[kind][0])) == facts, f"{place}: note {kind!r} has {facts} facts"
        seen.add(kind)
        assert kind in general or not place.startswith("runtime"), f"{place}: {kind!r} is the runtime's own note"
    made_otherwise = {"violation"}  # Controlled writes its note without the function
    assert set(rows) - seen <= made_otherwise
    assert len(seen) > 15


def test_the_schema_is_the_one_that_is_written_and_read() -> None:
    assert DOCUMENT.startswith(f"# The record of a run: schema `{SCHEMA}`\n")
    assert SCHEMA in READABLE


class _Statistics(rt.Struct):
    number = rt.atomic()


def outcomes() -> Record:
    """Return a record with at least one op of every kind."""

    def main() -> None:
        _Statistics("statistics").number.add(1)
        it = box()
        it.x = 1
        assert (it.x, it.words.read(0)) == (1, 0)
        for op in (rt.test_bit, rt.set_bit, rt.clear_bit, rt.test_and_set_bit, rt.test_and_clear_bit):
            op(it.flags, Flag.DIRTY)
        it.flags.store(it.flags.load())
        it.count.get("slot")
        it.count.get_unless_zero("gup")
        it.count.put("gup")
        assert it.count.freeze(1)
        it.count.unfreeze(it.count.read() + 1)
        rt.spin_lock_irq(it.spin)
        rt.spin_unlock_irq(it.spin)
        assert rt.mutex_trylock(it.mutex)
        entry = rt.prepare_to_wait(it.queue, None)
        rt.wake_up(it.queue)
        rt.sleep_on(entry)
        rt.finish_wait(entry)
        rt.join(rt.spawn(_turn, it, cpu=1))
        rt.choose(2)
        rt.local_irq_disable()
        rt.local_irq_enable()
        rt.preempt_disable()
        rt.preempt_enable()

    return gate(main).record


def _turn(it: Box) -> None:
    rt.schedule()
    rt.spawn(setattr, it, "y", 1, cpu=2)
    for _ in rt.until_changed():
        if it.y and it.mark:
            return
        it.mark = 1


def test_a_field_that_the_table_calls_null_is_null_and_no_other_is_always() -> None:
    part = DOCUMENT[DOCUMENT.index("| kind | lane |") :]
    cells = {
        row.split("|")[1].strip(" `"): [cell.strip() for cell in row.split("|")[3:5]]
        for row in part[: part.index("\n\n")].splitlines()[2:]
    }
    seen: dict[str, list[tuple[Any, Any]]] = {}
    for _, kind, _, a, b in outcomes().plain():
        seen.setdefault(kind, []).append((a, b))
    assert set(seen) - {"NOTE"} == set(cells)
    for kind, described in cells.items():
        for i, text in enumerate(described):
            if text == "null":
                assert all(outcome[i] is None for outcome in seen[kind]), (kind, "ab"[i])
            elif "or null" not in text and '"irq"' not in text and "for the last two" not in text:
                assert all(outcome[i] is not None for outcome in seen[kind]), (kind, "ab"[i])


@pytest.fixture(scope="module")
def real() -> dict[str, Any]:
    """Give header and tail of the file of a real run."""
    record = run_one(RunSpec(program="four", engine="gate", seed=1), keep_record=True).record
    assert record is not None
    lines = list(record.lines())
    return {"header": json.loads(lines[0]), "tail": json.loads(lines[-1])}


def test_the_header_of_a_real_run_is_described(real: dict[str, Any]) -> None:
    assert set(real["header"]) == set(table("## Header")) | set(table("## Header", OF_KERNEL))


def test_the_tail_of_a_real_run_is_described(real: dict[str, Any]) -> None:
    assert set(real["tail"]) == set(table("## Tail"))
    assert set(real["tail"]["verdict"]) == set(table("### Verdict"))
    assert set(real["tail"]["final"]) == {"quiescent", "synced"}
    assert real["tail"]["end"]["how"] in table("### How a run ends")


def test_the_snapshots_of_a_real_run_are_described(real: dict[str, Any]) -> None:
    rows = table("## Snapshots", OF_KERNEL)
    for snapshot in real["tail"]["final"].values():
        assert set(snapshot) == set(rows) - OF_BLOCKS - OF_PRIVATE
        for part in ("pages", "mappings", "buffers", "journals"):
            described = set(TICKED.findall(rows[part][0]))
            for row in snapshot[part]:
                parts = set(row) | {key for slot in row.get("slots", ()) for key in slot}
                assert parts == described, part


OF_BLOCKS = {"free_blocks", "areas", "blocks"}
"""Parts of a snapshot where free blocks are more than single pages."""
OF_PRIVATE = {"private", "anon_vmas"}
"""Parts of a snapshot where a program has memory of its own."""


def test_the_blocks_of_a_real_run_are_described() -> None:
    params = tuple(sorted({**scenarios.get("tight-memory").defaults, "rounds": 1}.items()))
    record = run_one(RunSpec("tight-memory", params, engine="gate", seed=1), keep_record=True).record
    assert record is not None
    rows = table("## Snapshots", OF_KERNEL)
    described = set(TICKED.findall(rows["free_blocks"][0]))
    for snapshot in record.final.values():
        assert set(snapshot) == set(rows) - OF_PRIVATE
        assert snapshot["free_blocks"] and snapshot["areas"]
        assert all(set(row) == described for row in snapshot["free_blocks"])


def test_the_private_memory_of_a_real_run_is_described() -> None:
    record = run_one(RunSpec("anon-vs-migration", engine="fiber", seed=1), keep_record=True).record
    assert record is not None
    rows = table("## Snapshots", OF_KERNEL)
    for snapshot in record.final.values():
        assert set(snapshot) == set(rows) - OF_BLOCKS
        for part in OF_PRIVATE:
            described = set(TICKED.findall(rows[part][0]))
            assert all(set(row) == described for row in snapshot[part])


def test_every_table_is_described(real: dict[str, Any]) -> None:
    assert list(real["header"]["tables"]) == list(table("### Tables")) == [row.name for row in fields(Tables)]
