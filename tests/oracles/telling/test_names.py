"""What tellers of the kernel model name is there: functions, fields, notes, numbers of the protocol."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import mmrace.kernel
from mmrace import scenarios
from mmrace.kernel.fs.buffer_head import BufferHead
from mmrace.kernel.jbd.jbd import Journal, JournalHead, Transaction
from mmrace.kernel.mm.mm_types import Page
from mmrace.kernel.mm.radix_tree import Slot
from mmrace.oracles.telling import BOOK, refine
from mmrace.oracles.telling.notes import WORDS
from mmrace.oracles.telling.numbers import entries, kept_by
from mmrace.oracles.telling.objects import FIELDS
from mmrace.oracles.telling.promises import WAITS, WRITE_AHEAD
from mmrace.scenarios.maker import JUDGES
from mmrace.story.facts import Protection

STRUCTS = {cls.__name__: cls for cls in (Page, BufferHead, JournalHead, Slot, Transaction, Journal)}
RULES = (refine.WAKES, refine.PAGE_THEN_HANDLE, refine.IN_USE, WAITS, WRITE_AHEAD)


def functions() -> set[str]:
    """Return every function of the model, as "module.function"."""
    found = set()
    for info in pkgutil.walk_packages(mmrace.kernel.__path__, "mmrace.kernel."):
        module = importlib.import_module(info.name)
        found |= {f"{info.name.rpartition('.')[2]}.{name}" for name in vars(module)}
    return found


@pytest.mark.parametrize("kept", [*RULES, *entries().values()], ids=lambda kept: kept.ref or kept.text[:20])
def test_what_keeps_a_breach_away_is_a_function_of_the_model(kept: Protection) -> None:
    assert {*kept.functions} <= functions()
    assert kept.text.endswith(".") or kept in RULES


def test_numbers_of_the_protocol_are_read_with_text_and_functions() -> None:
    [stranger] = kept_by("I14")
    assert stranger.text.startswith("A page or buffer is unlocked by who locked it")
    assert "ownership.buffer_lock_to_io" in stranger.functions and "Model:" not in stranger.text
    assert {"I1", "R14", "C7"} <= entries().keys() and len(entries()) > 40


def test_the_fields_that_are_shown_are_fields_of_the_structs() -> None:
    for name, fields in FIELDS.items():
        cls = STRUCTS[name]
        bits = {field for field in fields if field.startswith(("PG_", "BH_"))}
        assert {*fields} - bits <= {row.field for row in cls.plan} | {"page", "tags"}, name
    assert refine.FIELD_LOCKS.keys() <= {row.field for row in JournalHead.plan}


def test_the_notes_that_have_words_are_those_of_the_records() -> None:
    text = (Path(str(scenarios.__file__)).parent / "RECORD.md").read_text("utf-8")
    assert WORDS.keys() <= {*re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)}


def test_every_refiner_is_of_an_oracle_of_the_model() -> None:
    assert {oracle for oracle, _ in BOOK.refiners} <= {*JUDGES, "crash"}


def test_every_number_that_a_refiner_asks_for_is_in_the_protocol() -> None:
    folder = Path(str(refine.__file__)).parent
    asked = {
        number
        for path in folder.glob("*.py")
        for call in re.findall(r"(?:kept_by|keeps)\(([^)]*)\)", path.read_text("utf-8"))
        for number in re.findall(r'"([CIR]\d+)"', call)
    }
    assert len(asked) > 10 and asked <= entries().keys()
