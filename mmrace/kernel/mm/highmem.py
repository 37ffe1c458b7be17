"""The data of a page, word by word.

Invariant: there is a point before each word, so that a half-finished copy can be seen.
Not modelled: mapping a page into kernel addresses (`kmap`).
Source: include/linux/highmem.h, v3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmrace.kernel.mm.mm_types import Page


def copy_highpage(to: Page, from_: Page) -> None:
    """Copy the data of a page word by word, with a point before each word.  Source: include/linux/highmem.h, v3.3."""
    for i in range(len(from_.words)):
        to.words.write(i, from_.words.read(i))


def clear_user_highpage(page: Page) -> None:
    """Zero a page that a program is to have.  Source: include/linux/highmem.h, v3.3."""
    zero_user_segment(page, 0, len(page.words))


def zero_user_segment(page: Page, start: int, end: int) -> None:
    """Zero the words start..end-1 of a page.  Source: include/linux/highmem.h, v3.3."""
    for i in range(start, end):
        page.words.write(i, 0)
