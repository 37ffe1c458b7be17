"""No state of the kernel model escapes the runtime: a struct has shared fields, embedded primitives and declared ghosts
and nothing else; what is no struct is constant, or belongs to one task, and is listed here with the reason."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from enum import Enum
from types import MemberDescriptorType, ModuleType

import pytest

import mmrace.kernel
from mmrace.runtime.fields import Part, shared
from mmrace.runtime.struct import Struct, StructMeta
from mmrace.runtime.task_ops import Completion
from tests.runtime.engines import Box

BASE_SLOTS = {"base", "code", "dead", "guard", "name_", "size", "touched"}  # of Struct itself, machinery
IMMUTABLE = (int, str, bytes, float, tuple, frozenset, type(None), Enum)

NO_STRUCTS = {
    "mmrace.kernel.block.device.Blocks": "blocks of a medium, each made at first use: the map only grows",
    "mmrace.kernel.fs.ext3.Ext3": "settings of a mounted file system, constant in a run",
    "mmrace.kernel.fs.mpage.MpageBio": "belongs to the task that builds the I/O, until it is submitted",
    "mmrace.kernel.fs.mpage.MpageData": "belongs to the task that walks the pages",
    "mmrace.kernel.jbd.commit._Tags": "belongs to the task that commits; what it stores are ops",
    "mmrace.kernel.jbd.jbd.Handle": "belongs to one task (`Task.info`)",
    "mmrace.kernel.jbd.recovery.RecoveryInfo": "belongs to one recovery, which is no part of a run",
    "mmrace.kernel.mm.migrate._Attempt": "belongs to one task, and is for its notes alone",
    "mmrace.kernel.mm.migrate.Refusal": "a return code, never changed",
    "mmrace.kernel.mm.mmzone.Machine": "built before any task runs",
    "mmrace.kernel.mm.compaction.CompactControl": "belongs to one task",
    "mmrace.kernel.mm.page_writeback.WritebackControl": "belongs to one task",
    "mmrace.kernel.mm.radix_tree.RadixTreeRoot": "slots of a mapping, each made at first use: the map only grows",
    "mmrace.kernel.mm.vmscan.ScanControl": "belongs to one task",
}


def modules() -> Iterator[ModuleType]:
    """Yield every module of the kernel model."""
    for found in pkgutil.walk_packages(mmrace.kernel.__path__, "mmrace.kernel."):
        yield importlib.import_module(found.name)


MODULES = list(modules())
CLASSES = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if inspect.isclass(value) and value.__module__ == module.__name__
}
STRUCTS = {name: cls for name, cls in CLASSES.items() if issubclass(cls, Struct)}
OTHERS = {name: cls for name, cls in CLASSES.items() if name not in STRUCTS}


def undeclared(cls: StructMeta) -> set[str]:
    """Return the slots of a struct class, inherited ones too, that no declaration stands for."""
    slots = {
        name for part in cls.__mro__ for name, value in vars(part).items() if isinstance(value, MemberDescriptorType)
    }
    parts = {key for key, _, _ in cls.parts} | ({cls.sized_part[0]} if cls.sized_part else set())
    return slots - BASE_SLOTS - set(cls.defaults) - set(cls.ghosts) - parts


def constant(cls: type) -> bool:
    """Say whether the objects of a class cannot be changed: enums and frozen dataclasses."""
    params = getattr(cls, "__dataclass_params__", None)
    return issubclass(cls, Enum) or bool(params and params.frozen)


def test_the_model_was_found() -> None:
    assert {name.rpartition(".")[2] for name in STRUCTS} >= {
        "Page", "AddressSpace", "BufferHead", "JournalHead", "Transaction", "Journal", "Zone", "Inode", "Slot",
    }  # fmt: skip


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_has_no_dict_and_no_slot_that_is_not_declared(name: str) -> None:
    cls = STRUCTS[name]
    assert not cls.__dictoffset__, f"{name} has a __dict__: a base without __slots__?"
    assert undeclared(cls) == set(), f"{name}: declare them shared, a primitive, or ghost"


@pytest.mark.parametrize("name", STRUCTS)
def test_a_struct_keeps_no_state_in_its_class(name: str) -> None:
    for key, value in vars(STRUCTS[name]).items():
        if key.startswith("__") or key in ("plan", "defaults", "ghosts", "parts", "fixed_lanes", "sized_part"):
            continue
        assert inspect.isfunction(value) or isinstance(
            value, (property, staticmethod, classmethod, MemberDescriptorType, *IMMUTABLE)
        ), f"{name}.{key} is shared by all objects and is no op"
        assert not isinstance(value, Part)


@pytest.mark.parametrize("name", STRUCTS)
def test_no_default_of_a_field_is_mutable(name: str) -> None:
    for slot, value in {**STRUCTS[name].defaults, **STRUCTS[name].ghosts}.items():
        assert isinstance(value, IMMUTABLE), f"{name}.{slot}: {value!r} would be shared by all objects, and all runs"


@pytest.mark.parametrize("name", STRUCTS)
def test_every_lane_of_a_struct_belongs_to_one_field(name: str) -> None:
    cls = STRUCTS[name]
    lanes = [lane for row in cls.plan for lane in range(row.first, row.first + row.lanes)]
    assert lanes == list(range(cls.fixed_lanes))


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_struct_is_constant_or_excused(name: str) -> None:
    excused = name in NO_STRUCTS
    assert constant(OTHERS[name]) != excused, (
        f"{name}: it is constant, so take it off NO_STRUCTS" if excused
        else f"{name} can be changed and its accesses are no ops: make it a Struct, freeze it, or say why not"
    )  # fmt: skip


def test_every_excuse_is_for_a_class_that_is_there() -> None:
    assert set(NO_STRUCTS) <= set(OTHERS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_has_no_mutable_global(module: ModuleType) -> None:
    for name, value in vars(module).items():
        if not name.startswith("__"):
            assert not isinstance(value, (list, dict, set, bytearray)), f"{module.__name__}.{name} outlives a run"


def test_the_check_notices_a_slot_a_dict_and_a_shared_default() -> None:
    class Slotted(Struct):
        __slots__ = ("hidden",)
        x = shared(0)

    class Mixin:
        pass

    class Mixed(Struct, Mixin):
        x = shared(0)

    class Listed(Struct):
        x = shared([0])

    assert undeclared(Slotted) == {"hidden"}
    assert Mixed.__dictoffset__
    assert not isinstance(Listed.defaults["_x"], IMMUTABLE)


@pytest.mark.parametrize("cls", [Box, Completion], ids=lambda cls: cls.__name__)
def test_the_check_passes_a_struct_that_declares_all(cls: StructMeta) -> None:
    assert undeclared(cls) == set()
    assert not cls.__dictoffset__
