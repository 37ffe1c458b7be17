"""The log in a file: JSON lines, added to what is there.

Invariant: a log that cannot be written is one line on stderr, and ends there; what is logged goes on.  Each line is
written at once, so that two commands can share a file.
"""

from __future__ import annotations

import os

from mmrace.cli import terminal


class LogFile:
    """A sink of loguru.  Raises OSError if the file cannot be opened."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY, 0o666)

    def write(self, message: str) -> None:
        """Write a line."""
        left = message.encode()
        try:
            while left and self._descriptor is not None:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self.stop()
            terminal.complain(f"mmrace: {self.path}: {error.strerror}: the log ends here, the campaign goes on")

    def stop(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
