"""A block of a file as a register that many write: which versions may be seen, given what was acknowledged when.

A version w is superseded for whoever began to look at a step if some other write that began after w ended was
acknowledged before that.  Invariant: writes that overlapped each other may land in either order.
"""

from __future__ import annotations

_OPEN = 1 << 62  # end of a write that has not been acknowledged


class Block:
    """The writes to one block of one file, by the steps at which they began and ended."""

    __slots__ = ("begin", "end", "floor", "running", "writer")

    def __init__(self) -> None:
        self.writer: dict[object, str] = {}
        self.begin: dict[object, int] = {0: -1}
        self.end: dict[object, int] = {0: -1}
        self.floor = -1  # the latest begin of an acknowledged write: what ended before it is superseded
        self.running = 0

    def write_began(self, version: object, step: int, writer: str) -> None:
        self.writer[version] = writer
        self.begin[version] = step
        self.end[version] = _OPEN
        self.running += 1

    def write_ended(self, version: object, step: int) -> None:
        self.end[version] = step
        self.running -= 1
        self.floor = max(self.floor, self.begin.get(version, -1))

    def allowed(self, floor: int) -> list[object]:
        """Return the versions that a reader whose floor is `floor` may see, oldest first."""
        return [version for version, end in self.end.items() if end >= floor]

    def origin(self, version: object) -> str:
        """Say who wrote a version, and at which steps."""
        writer, begin, end = self.writer.get(version), self.begin.get(version), self.end.get(version)
        if writer is None:
            return "there from the start" if version in self.end else "written by nobody"
        return f"{writer}, steps {begin} to {end}" if end != _OPEN else f"{writer}, from step {begin} on, not ended"

    def fault(self, version: object, floor: int) -> str:
        """Say which rule `version` breaks for a reader whose floor is `floor`, "" if none."""
        end = self.end.get(version)
        if end is None:
            return "never written"
        return "stale" if end < floor else ""
