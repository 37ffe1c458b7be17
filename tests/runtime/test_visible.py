"""What a terminal would obey is shown to people, and nothing else is changed."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from mmrace.runtime.visible import one_line, visible

SHOWN = {
    "\x1b[31mred": "\\x1b[31mred",
    "\x9b31mred": "\\x9b31mred",
    "over\rwritten": "over\\rwritten",
    "bell\x07": "bell\\x07",
    "nul\x00": "nul\\x00",
    "\u202egnp.exe": "\\u202egnp.exe",
    "\u2066a\u2069": "\\u2066a\\u2069",
    "a\u200bb": "a\\u200bb",
    "half \ud800": "half \\ud800",
    "tag \U000e0041": "tag \\U000e0041",
}


@pytest.mark.parametrize("text", SHOWN)
def test_what_steers_a_terminal_is_shown(text: str) -> None:
    assert visible(text) == one_line(text) == SHOWN[text]
    assert visible(SHOWN[text]) == SHOWN[text]


def test_text_for_people_stays_as_it_is() -> None:
    text = 'bh:main:0.b_state ➜ "été" \\x1b [bold] 中文\tand\nmore'
    assert visible(text) == text
    assert one_line(text) == text.replace("\t", "\\t").replace("\n", "\\n")


def test_no_character_that_people_cannot_see_is_left() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = {char for char in visible(every) if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")}
    assert left == {"\t", "\n"}
    assert all(unicodedata.bidirectional(char) not in BIDI for char in visible(every))


BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Classes of characters that change the direction of what follows."""
