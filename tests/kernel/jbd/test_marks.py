"""Every mark that the journal and ext3 can reach is declared with its meaning, and every declared one is reachable."""

from __future__ import annotations

import ast
import inspect
from types import ModuleType

import pytest

from mmrace.kernel.fs import ext3
from mmrace.kernel.jbd import checkpoint, commit, journal, transaction, transaction_page


def reached_in(module: ModuleType) -> set[str]:
    """Return the string constants inside the arguments of every `rt.reached` of a module."""
    return {
        constant.value
        for call in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "reached"
        for argument in call.args
        for constant in ast.walk(argument)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }


@pytest.mark.parametrize(
    "module", [checkpoint, commit, ext3, journal, transaction, transaction_page], ids=lambda m: m.__name__
)
def test_marks_are_declared_exactly_once_and_all_are_used(module: ModuleType) -> None:
    declared = [name for name, _ in module.MARKS]
    assert len(declared) == len(set(declared))
    assert set(declared) == reached_in(module)
