"""The log in a file: JSON lines, added to what is there.

Invariant: a log that cannot be written is one line on stderr, and ends there; what is logged goes on.  Each line is
written at once, so that two commands can share a file.  One that is to be rotated is loguru's own file, with the same
promise: a further command that shares it goes over to the new file when another has rotated it.
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import stat

from loguru import logger

from mmrace.cli import terminal
from mmrace.runtime import files
from mmrace.runtime.errors import UsageError

ROTATIONS = "100 MB, 1 day, 00:00, sunday at 12:00"
RETENTIONS = "10 (files), 2 weeks"


def complain(path: str, error: OSError) -> None:
    """Say why a log ends."""
    terminal.complain(f"mmrace: {path}: {error.strerror or error}: the log ends here, the campaign goes on")


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
            complain(self.path, error)

    def stop(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class RotatedLog:
    """The same, rotated as loguru does: into a file with the date in its name, of which so many, or so old ones, stay.

    It is a logger of its own with one sink, so that what that raises comes here and not to whoever logs.
    Raises OSError if the file cannot be opened, UsageError for what loguru cannot read.
    """

    def __init__(self, path: str, rotation: str, retention: str | None) -> None:
        self.path = path
        there = os.path.realpath(path)  # a rotated link would be renamed, and not what it leads to
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(there).st_mode):
                raise OSError(f"no regular file, which alone can be rotated: {path!r}")
        kept = int(retention) if retention is not None and retention.isdecimal() else retention
        self._logger = copy.deepcopy(logger)
        self._logger.remove()
        self._open = True
        named = there.replace("{", "{{").replace("}", "}}")  # loguru reads {time} in a name
        try:
            self._logger.add(
                named, format="{message}", level=0, rotation=rotation, retention=kept, watch=True, catch=False
            )
        except ValueError as error:
            wrong, got = ("retention", retention) if "retention" in str(error) else ("rotation", rotation)
            raise _unreadable(wrong, got) from error

    def write(self, message: str) -> None:
        """Write a line, after a rotation if one is due."""
        if not self._open:
            return
        try:
            self._logger.opt(raw=True).info(message)
        except OSError as error:
            self.stop()
            complain(self.path, error)

    def stop(self) -> None:
        """Close the file."""
        self._open = False
        with contextlib.suppress(OSError):  # what could not be written is tried once more, in vain
            self._logger.remove()


def log_to(path: str, rotation: str | None, retention: str | None) -> None:
    """Log to a file from now on.  Raises OSError, UsageError."""
    if rotation is not None and (
        "-" in rotation or (":" not in rotation and re.search(r"\d", rotation) and _is_zero(rotation))
    ):
        raise _unreadable("rotation", rotation)
    files.check_growing(path)
    log = LogFile(path) if rotation is None else RotatedLog(path, rotation, retention)
    logger.add(log, level="INFO", serialize=True)


def _is_zero(text: str) -> bool:
    return not re.search("[1-9]", text)


def _unreadable(what: str, got: object) -> UsageError:
    examples = ROTATIONS if what == "rotation" else RETENTIONS
    return UsageError(expected=f"a {what} that loguru can read", got=got, where=f"--log-{what}", try_=examples)
