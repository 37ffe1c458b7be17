"""Files made wrong: one seed, one number, one mutant.

A mutant is a real file with one to four changes: bytes (bits, cuts, copies, what no text has), lines (swapped, doubled,
spliced in from another file), or values, once it is read as JSON (another number, type, id, name; nested without end,
without a key, with another's).  Invariant: a mutant is a function of (seeds, seed, number).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

CHANGES_MAX = 4
DEEP = (40, 70, 900, 100_000)
_DEEP = "@deep{}@"

BYTES = (
    b"", b"\0", b"\xff\xfe", b"\x1b[2J", b"\xc2\x9b31m", b"\\u001b]0;x\\u0007", b"\\ud800", b"\r", b"\n\n", b"NaN",
    b"-Infinity", b"1e999", b"-1", b"0.5", b"99999999999999999999", b"1" * 5000, b"null", b"true", b"[]", b"{}",
    b'"', b",", b"[" * 3000, b'{"a":' * 3000, b"\xef\xbb\xbf", b"A" * 100_000,
)  # fmt: skip

NUMBERS = (
    -1, 0, 1, 2, 3, 63, 64, 255, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, -(2**63) - 1, 10**4000,
    0.5, -0.0, 1e308, float("nan"), float("inf"),
)  # fmt: skip

TEXTS = (
    "", " ", "\n", "x\nPASS", "\x1b[31mred\x1b[0m", "\x9b2J", "\u202etxt.exe", "\u2066", "\ud800", "\0", "[bold]x[/]",
    "[/]", "[link=http://x]", ":bomb:", "\r", "\t", "A" * 70_000, "../" * 2000, "a/" * 3000, "/", ".", "é中",
    "NOTE", "READ", "CHOOSE", "main", "-1", "1", "PASS", "FAIL", "UNKNOWN", "free", "gate", "fiber", "dpor",
    "portfolio", "pos:depth=1", "guided:record=x", "feedback:corpus=x", "script:text=x until y", "recorded",
    "async-vs-commit", "sys:exit", "os:abort", "function", "scenario", "mmrace-record/1", "mmrace-record/2",
    "mmrace-workload/1", "double-put",
)  # fmt: skip


class Mutator:
    """Makes mutants of files.  Args: texts: further strings to put in, such as paths that it would be wrong to read."""

    def __init__(self, seeds: Sequence[bytes], seed: int, texts: Sequence[str] = ()) -> None:
        self.seeds, self.seed = seeds, seed
        self.texts = (*TEXTS, *texts)

    def mutant(self, number: int) -> bytes:
        """Return one mutant."""
        draw = random.Random(f"{self.seed}/{number}")
        content = draw.choice(self.seeds)
        for _ in range(draw.choice((1, 1, 1, 2, CHANGES_MAX))):
            content = draw.choice((self._bytes, self._lines, self._values, self._values, self._values))(draw, content)
        return content

    # -- bytes and lines --------------------------------------------------------------------------------------------

    def _bytes(self, draw: random.Random, content: bytes) -> bytes:
        at = draw.randrange(len(content) + 1)
        end = min(len(content), at + draw.choice((1, 1, 4, 40, 400)))
        other = draw.choice(self.seeds)
        start = draw.randrange(len(other) + 1)
        return draw.choice((
            content[:at],
            content[:at] + content[end:],
            content[:end] + content[at:],
            content[:at] + draw.choice(BYTES) + content[at:],
            content[:at] + draw.choice(BYTES) + content[end:],
            content[:at] + draw.randbytes(draw.randrange(1, 9)) + content[end:],
            content[:at] + bytes([content[at] ^ 1 << draw.randrange(8)]) + content[at + 1 :] if at < end else content,
            content[:at] + other[start : start + 200] + content[at:],
        ))  # fmt: skip

    def _lines(self, draw: random.Random, content: bytes) -> bytes:
        lines = content.split(b"\n")
        other = draw.choice(self.seeds).split(b"\n")
        a, b = draw.randrange(len(lines)), draw.randrange(len(lines))
        what = draw.randrange(5)
        if what == 0:
            lines[a], lines[b] = lines[b], lines[a]
        elif what == 1:
            lines.insert(b, lines[a])
        elif what == 2:
            del lines[a]
        elif what == 3:
            lines[a] = draw.choice(other)
        else:
            lines[a:b] = other[: draw.randrange(len(other) + 1)]
        return b"\n".join(lines)

    # -- values -----------------------------------------------------------------------------------------------------

    def _values(self, draw: random.Random, content: bytes) -> bytes:
        """Change a value of one document: of a line, or of the whole file if that is one."""
        lines = content.rstrip(b"\n").split(b"\n")
        whole = len(lines) > 1 and lines[0].strip() == b"{"
        # the header and the tail have nearly all of the fields
        at = 0 if whole else draw.choice((0, len(lines) - 1, draw.randrange(len(lines))))
        try:
            changed = _text(self._changed(draw, json.loads(content if whole else lines[at])))
        except (ValueError, RecursionError):  # it was changed already, and is no JSON any more, or too deep for Python
            return self._bytes(draw, content)
        if whole:
            return changed
        lines[at] = changed
        return b"\n".join(lines) + b"\n"

    def _changed(self, draw: random.Random, document: Any) -> Any:
        places: list[tuple[Any, Any]] = []
        _collect(document, places)
        if not places:
            return self._value(draw, document, document)
        holder, key = draw.choice(places)
        if draw.random() < 0.3:  # a field that stands high is one of few
            holder, key = draw.choice([place for place in places if place[0] is document] or places)
        alike = [value for other, place in places if type(value := other[place]) is type(holder[key])]
        what = draw.randrange(16)
        if what == 0:
            del holder[key]
        elif what == 1:
            other, place = draw.choice(places)
            holder[key], other[place] = deepcopy(other[place]), deepcopy(holder[key])
        elif what == 2 and isinstance(holder, dict):
            holder[draw.choice(self.texts)] = holder.pop(key)
        elif what == 3 and isinstance(holder, list):
            holder.insert(draw.randrange(len(holder) + 1), self._value(draw, holder[key], document))
        elif what < 9:  # wrong, and of the right shape
            holder[key] = deepcopy(draw.choice(alike))  # or it would be inside itself
        else:
            holder[key] = self._value(draw, holder[key], document)
        return document

    def _value(self, draw: random.Random, old: Any, document: Any) -> Any:
        near: list[Callable[[], Any]] = [
            lambda: draw.choice(NUMBERS),
            lambda: draw.choice(self.texts),
            lambda: draw.choice((None, True, False, [], {}, [[]], [None], {"": None}, [0, 0], {"how": "crash"})),
            lambda: _DEEP.format(draw.choice(DEEP)),
            lambda: [old] * draw.choice((1, 2, 100)),
            lambda: {"a": old},
        ]
        if isinstance(old, (int, float)):
            near += [lambda: old + draw.choice((-1, 1, 2, 64)), lambda: str(old), lambda: -old, lambda: float(old)]
        if isinstance(old, str):
            near += [lambda: old + draw.choice(self.texts), lambda: old[:-1], lambda: [old], lambda: len(old)]
        try:
            return draw.choice(near)()
        except OverflowError:  # a float of a number without bound
            return 0


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        places.append((value, key))
        _collect(part, places)


def _text(value: Any) -> bytes:
    """Write JSON, nested and long where Python's own writer would not go."""
    text = json.dumps(value, separators=(",", ":"))
    for depth in DEEP:
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            text = text.replace(f'"{_DEEP.format(depth)}"', opening * depth + "0" + closing * depth, 1)
    return text.encode()
