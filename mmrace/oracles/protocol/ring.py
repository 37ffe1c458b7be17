"""The ring of a page's buffers, as pointers replayed from a record have it.

Invariant: it ends where it began, or where a pointer is missing; a ring that does not close is as long as it goes.
"""

from __future__ import annotations

from collections.abc import Mapping


def ring_of(page: str, private: Mapping[str, object], b_this_page: Mapping[str, object]) -> tuple[str, ...]:
    """Return the buffers on a page's ring, by the names that `private` and `b_this_page` point at."""
    found: list[str] = []
    name = private.get(page)
    while isinstance(name, str) and name not in found:
        found.append(name)
        name = b_this_page.get(name)
    return tuple(found)
