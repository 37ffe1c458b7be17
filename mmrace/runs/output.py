"""stdout and stderr of a process that makes runs: to print is never what fails.

A program under test that prints, into a pipe that nobody reads any more, onto a full disk, or letters that its terminal
lacks, has no bug by that.  Invariant: no write raises; what an encoding lacks is written in ASCII, or as an escape.
Not here: what becomes of text that nobody takes (`cli/streams.py`; a worker's is lost).
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys

from mmrace.runtime.wording import ARROW

OUT, ERR = 1, 2
SPELLING = "mmrace.spelling"
"""How what an encoding lacks is written."""
SPELLED = {ARROW: "->"}


class Output(io.FileIO):
    """A file descriptor to which writes succeed.  Subclass it to do something with what could not be written."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self._usable = True

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        """Write; or do with the data what is to be done instead."""
        if self._usable:
            try:
                while (written := super().write(data)) is None:  # somebody made it a descriptor that does not wait
                    select.select([], [self], [])
                return written
            except OSError as error:
                self._usable = False
                self.failed(error)
        self.instead(bytes(data))
        return memoryview(data).nbytes

    def failed(self, error: OSError) -> None:
        """Take note that nothing can be written from now on."""

    def instead(self, data: bytes) -> None:
        """Take what is not written."""


def text(raw: Output, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a text stream that writes as `like` does."""
    plain = os.environ.get("LC_ALL") in ("C", "POSIX") and not {"PYTHONIOENCODING", "PYTHONUTF8"} & os.environ.keys()
    strict = plain or like.errors in (None, "strict")
    return io.TextIOWrapper(
        io.BufferedWriter(raw),  # type: ignore[type-var]
        encoding="ascii" if plain else like.encoding,  # Python takes the locale C for UTF-8; its terminal does not
        errors=SPELLING if strict else like.errors,
        line_buffering=raw.fileno() == ERR or like.isatty(),
    )


def own() -> None:
    """Put such streams in the place of this process's stdout and stderr, for good."""
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = text(Output(OUT), sys.stdout)
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = text(Output(ERR), sys.stderr)


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError) and error.object[error.start] in SPELLED:
        return SPELLED[error.object[error.start]], error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error(SPELLING, _spell)
