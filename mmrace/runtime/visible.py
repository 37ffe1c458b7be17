"""Text as a terminal may have it: whatever would steer the terminal, or hide in it, is shown instead of done.

A name, a note, a site, the text of an exception: all of them can come from a file that somebody else wrote.  Invariant:
what `visible` returns holds no control character but tab and newline (`one_line`: neither), no character that changes
the direction of writing, none that has no width, and no half of a surrogate pair; shown twice, it stays as it is.
Who prints calls it at the last moment (`report/terminal.py`, `cli/`); not here: markup of the library that prints.
"""

from __future__ import annotations

import re

_STEERS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls: C0 with ESC but for tab and newline, DEL, C1
    "\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"  # format, bidi
    "\ud800-\udfff"
)
_HIDDEN = re.compile(f"[{_STEERS}]")
_HIDDEN_IN_LINE = re.compile(f"[\t\n{_STEERS}]")


def visible(text: str) -> str:
    """Return a text that is safe to print."""
    return _HIDDEN.sub(_escaped, text)


def one_line(text: str) -> str:
    """Return a text that is safe to print and stays on its line."""
    return _HIDDEN_IN_LINE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
