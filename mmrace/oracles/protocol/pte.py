"""Ptes as a record has them: words with the number of a page frame and a few bits.

Invariant: the numbers are those of the kernel model (`kernel/mm/pgtable.py`, `swapops.py`); a test holds them to it.
"""

from __future__ import annotations

from typing import NamedTuple

PRESENT, WRITE, ACCESSED, DIRTY = 1 << 0, 1 << 1, 1 << 5, 1 << 6
PFN_SHIFT = 12


class Pte(NamedTuple):
    """What one word says.  `page` "": nothing; an `entry` stands for a page that is being moved."""

    page: str
    entry: bool
    dirty: bool
    accessed: bool

    @property
    def present(self) -> bool:
        """Whether it maps its page."""
        return bool(self.page) and not self.entry


NONE = Pte("", False, False, False)


def pte(word: object) -> Pte:
    """Read a word."""
    if not isinstance(word, int) or not word:
        return NONE
    present = bool(word & PRESENT)
    page = f"page:{word >> PFN_SHIFT}"
    return Pte(page, not present, present and bool(word & DIRTY), present and bool(word & ACCESSED))
