"""Where pages and buffers of a record point, while it is followed: by name, as of the last write that was followed."""

from __future__ import annotations

from mmrace.claims.judges.ops import Watched
from mmrace.oracles.protocol.ring import ring_of

_FILE = "mapping:"
POINTERS = (Watched.page_mapping, Watched.page_private, Watched.b_page, Watched.b_this_page)


class Pointers:
    """What each of `POINTERS` shows, by the name of its owner."""

    def __init__(self) -> None:
        self._shown: dict[Watched, dict[str, str | None]] = {pointer: {} for pointer in POINTERS}

    def write(self, pointer: Watched, owner: str, target: str | None) -> str | None:
        """Enter a write; return what the pointer showed before."""
        shown = self._shown[pointer]
        old = shown.get(owner)
        shown[owner] = target
        return old

    def page_of(self, buffer: str) -> str:
        """Return the page of a buffer, "" if it is not known."""
        return self._shown[Watched.b_page].get(buffer) or ""

    def mapping_of(self, page: str) -> str:
        """Return the mapping of a page, "" if it has none."""
        return self._shown[Watched.page_mapping].get(page) or ""

    def of_file(self, page: str) -> bool:
        """Say whether a page is in a file's mapping; a device's has no inode number for a name."""
        return self.mapping_of(page).removeprefix(_FILE).isdigit()

    def ring(self, page: str) -> tuple[str, ...]:
        """Return the buffers of a page, in the order of its ring."""
        return ring_of(page, self._shown[Watched.page_private], self._shown[Watched.b_this_page])
