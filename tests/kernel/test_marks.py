"""Every mark that kernel code can reach is listed in the MARKS of some kernel module, and the other way round."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

KERNEL = Path(__file__).resolve().parents[2] / "mmrace" / "kernel"
MARKING = ("reached", "_stop")


def module_names() -> list[str]:
    return [
        ".".join(path.relative_to(KERNEL.parents[1]).with_suffix("").parts)
        for path in sorted(KERNEL.rglob("*.py"))
        if path.name != "__init__.py"
    ]


def listed() -> list[str]:
    return [name for module in module_names() for name, _ in getattr(importlib.import_module(module), "MARKS", ())]


def in_source() -> set[str]:
    found: set[str] = set()
    for path in KERNEL.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in MARKING and node.args:
                    found.update(str(part.value) for part in ast.walk(node.args[-1]) if isinstance(part, ast.Constant))
    return found


def test_marks_in_source_are_listed() -> None:
    assert sorted(in_source() - set(listed())) == []


@pytest.mark.slow
def test_listed_marks_are_in_source() -> None:
    assert sorted(set(listed()) - in_source()) == []


def test_marks_are_listed_once() -> None:
    names = listed()
    assert sorted({name for name in names if names.count(name) > 1}) == []
