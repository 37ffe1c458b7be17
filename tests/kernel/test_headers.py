"""A header of the kernel model can be read without the code that works on its structs: it is in no circle of imports.

Circles are for the model's .c files, which call each other as the kernel's do.  Imports for type checking do not count:
structs point at each other.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools.check_layers import Source, imports, read

SOURCES = read(Path(__file__).resolve().parents[2])
MODEL = {name: source for name, source in SOURCES.items() if source.layer == "kernel" and not source.is_package}


def is_header(source: Source) -> bool:
    """Say whether a module stands for headers only, by the last line of its docstring."""
    files = re.search(r"^Source: (.*)", ast.get_docstring(source.tree) or "", re.MULTILINE)
    return files is not None and ".c" not in files[1]


HEADERS = [name for name, source in MODEL.items() if is_header(source)]


def needed(module: str) -> set[str]:
    """Return the modules of the model that importing `module` imports, directly or not."""
    found: set[str] = set()
    todo = [module]
    while todo:
        for item in imports(MODEL[todo.pop()], SOURCES):
            if item.target in MODEL and not item.typing_only and item.target not in found:
                found.add(item.target)
                todo.append(item.target)
    return found


def test_the_headers_are_told_from_their_docstrings() -> None:
    names = {name.removeprefix("mmrace.kernel.") for name in HEADERS}
    assert names >= {"mm.mm", "mm.mm_types", "mm.mmzone", "mm.page_flags", "fs.fs", "fs.buffer_head", "jbd.jbd"}
    assert not names & {"mm.migrate", "mm.filemap", "fs.buffer", "fs.buffer_page", "jbd.commit", "block.device"}


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_in_no_circle_of_imports(header: str) -> None:
    assert header not in needed(header)


def test_a_circle_of_imports_is_seen() -> None:
    assert "mmrace.kernel.mm.filemap" in needed("mmrace.kernel.mm.filemap")
