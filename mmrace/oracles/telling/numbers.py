"""The protocol's numbers as `mmrace/kernel/PROTOCOL.md` has them: what I14 says, and which functions keep it.

Invariant: the text is read from that file, so that nothing is said twice.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from mmrace.story.facts import Protection

TEXT = Path(__file__).resolve().parents[2] / "kernel" / "PROTOCOL.md"
_ENTRY = re.compile(r"^- \*\*([CIR]\d+)\*\* (.*?)(?=^- \*\*|^#|\Z)", re.MULTILINE | re.DOTALL)
_FUNCTION = re.compile(r"`([a-z_]+\.\w+)`")
_SENTENCE = re.compile(r"(?<=[.*]) (?=[A-Z])")
SENTENCES = {"I": 3, "R": 6, "C": 1}
"""How much of an entry is told: the rest of a claim says how far it is true."""
FUNCTIONS_MAX = 3


@cache
def entries() -> dict[str, Protection]:
    """Return every number with what it says and who keeps it."""
    found = {}
    for number, entry in _ENTRY.findall(TEXT.read_text("utf-8")):
        said, _, rest = " ".join(entry.split()).partition(" Model: ")
        said = " ".join(_SENTENCE.split(said.partition(" Seen by:")[0])[: SENTENCES[number[0]]])
        model = re.split(r"(?:Seen by|marks? `|parts? [CI]|tests? `|oracles? `|scenarios? `|canar)", rest)[0]
        functions = tuple(dict.fromkeys(_FUNCTION.findall(model)))[:FUNCTIONS_MAX]
        found[number] = Protection(number, said.replace("*", "").replace("`", ""), functions)
    return found


def kept_by(*numbers: str) -> tuple[Protection, ...]:
    """Return some entries.  Raises KeyError for a number that the file lacks."""
    return tuple(entries()[number] for number in numbers)


def rule(text: str, *functions: str) -> Protection:
    """Return what keeps something away that has no number of its own."""
    return Protection("", text, functions)
