"""The general half does not know the kernel, not even as text: none of the model's names stands in its sources or docs.

Names are collected from the model itself: structs, their fields, flags (members of its enumerations), functions, notes.
A name is *telling* if nobody writes it by chance: it has an underscore inside, a capital or a hyphen (`b_page`,
`PG_locked`, `Page`, "page-free").  Telling names stand nowhere in the general half: not in code, strings, comments or
documents.  The others are plain words ("index", "lock", "words"), which anybody may use for things of his own.  They
are the kernel's only where a record is asked for them, as text: no string of the general half is equal to one, alone or
as a part of a dotted name, but for those of `OWN_WORDS`.
"""

from __future__ import annotations

import ast
import errno
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest

import mmrace
from mmrace.runtime.struct import Struct
from tests.runtime.test_kernel_structs import CLASSES, MODULES

PACKAGE = Path(mmrace.__file__).parent
GENERAL = (
    "runtime", "strategies", "oracles/general", "runs", "search/pool", "search/convert", "search/explore",
    "search/minimise", "threads", "story",
)  # fmt: skip
"""The rooms of the general half, those to come too."""

OWN_WORDS = {
    "clear": "what a bit is, in words",
    "generation": "an option of strategy feedback",
    "host": "a key of a record's header, and `machine` in it",
    "index": "an option of strategy feedback",
    "lock": "what a test-and-set logs whose caller waits",
    "machine": "see host",
    "mutex": "a primitive of the runtime",
    "refcount": "a primitive of the runtime, and a judge",
    "set": "see clear",
    "size": "of a struct's sized part: how many lanes it has",
    "start": "an option of strategy feedback",
    "without": "judges that are switched off: a key of a record's header",
    "words": "a primitive of the runtime",
}
"""Plain words of the general half's own that are also names of the model's, each with its other meaning."""

WORD = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")


def _fields(cls: type) -> Iterator[str]:
    if issubclass(cls, Struct):
        yield from (row.field for row in cls.plan)
        yield from cls.ghosts
        if cls.sized_part is not None:
            yield cls.sized_part[0]


def _names() -> Iterator[str]:
    for cls in CLASSES.values():
        yield cls.__name__
        yield from (member.name for member in cls) if issubclass(cls, Enum) else _fields(cls)
    for module in MODULES:
        for name, value in vars(module).items():
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                yield name
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "note":
                [kind] = [part.value for part in node.args[:1] if isinstance(part, ast.Constant)]
                yield str(kind)


def is_telling(name: str) -> bool:
    """Say whether a name has an underscore inside, a capital or a hyphen."""
    return any(mark.isupper() or mark in "_-" for mark in name.strip("_"))


NAMES = frozenset(_names()) - {*errno.errorcode.values()}
"""The names of errors are those of the machine that mmrace runs on, too."""
TELLING = frozenset(name for name in NAMES if is_telling(name))
PLAIN = frozenset(name.strip("_") for name in NAMES - TELLING)


def telling(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, name) of each telling name in a text, alone or as a part joined by hyphens."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in WORD.findall(line):
            yield from ((number, name) for name in TELLING & {word, *word.split("-")})


def quoted(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, word) of each string in Python source that is a plain name, or has one as a dotted part."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno, word) for word in PLAIN.intersection(node.value.split(".")))


FILES = [
    path for room in GENERAL for path in sorted((PACKAGE / room).rglob("*")) if path.suffix in (".py", ".md")
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_general_half_does_not_name_the_kernel(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [f"{path}:{line}: {name}" for line, name in telling(text)]
    if path.suffix == ".py":
        found += [f"{path}:{line}: {word!r}" for line, word in quoted(text) if word not in OWN_WORDS]
    assert not found, "\n".join(found)


def test_the_names_are_those_of_the_model() -> None:
    assert {"Page", "BufferHead", "b_this_page", "PG_locked", "BH_Lock", "page-free", "migrate_page"} <= TELLING
    assert {"mapping", "private", "flags", "count", "reclaim"} <= PLAIN
    assert len(TELLING) > 500 and len(PLAIN) > 15


def test_the_look_finds_what_a_judge_of_the_kernel_would_write() -> None:
    """As `oracles/protocol` does."""
    source = (PACKAGE / "oracles" / "protocol" / "dirty.py").read_text(encoding="utf-8")
    assert {"Page", "PG_writeback", "NR_FILE_DIRTY"} & {name for _, name in telling(source)} == {"Page", "PG_writeback"}
    assert "flags" in {word for _, word in quoted(source)}
    assert {word for _, word in quoted('record.lanes("Slot", "page"), BENIGN["Page.words"]')} >= {"page", "words"}


def test_every_word_of_its_own_is_used() -> None:
    used = {word for path in FILES if path.suffix == ".py" for _, word in quoted(path.read_text(encoding="utf-8"))}
    assert used & OWN_WORDS.keys() == OWN_WORDS.keys()
