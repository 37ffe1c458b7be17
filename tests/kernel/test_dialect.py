"""A reader can tell the kernel's functions from the model's own: those have an underscore, these name their source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MM = Path(__file__).resolve().parents[2] / "mmrace" / "kernel" / "mm"
FILES = sorted(path for path in MM.glob("*.py") if path.name != "__init__.py")
PLUMBING = {"new_page", "page_machine", "free_pages", "costly_order", "prepare_anon", "load_word", "store_word"}
"""What builds the model, finds its way in it, or is a program on top of it, and is called from other modules."""


def functions(path: Path) -> dict[str, str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.FunctionDef)}


def is_own(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_function_of_the_kernel_names_the_file_that_has_it_and_one_of_the_model_has_an_underscore(path: Path) -> None:
    sourced = {name for name, text in functions(path).items() if "Source: " in text}
    assert sourced == {name for name in functions(path) if not is_own(name) and name not in PLUMBING}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_source_is_a_file_and_a_version(path: Path) -> None:
    for name, text in functions(path).items():
        source = text.partition("Source: ")[2]
        assert not source or ((".c" in source or ".h" in source) and source.rstrip().endswith("v3.3.")), (name, source)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_module_says_what_it_keeps_and_where_it_comes_from(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert "\nInvariant: " in text and "\nSource: " in text
