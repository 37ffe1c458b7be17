"""stdout and stderr that cannot be written, and what they can spell.

stdout that nobody reads any more (`mmrace ... | head`) is a wish to stop, as SIGPIPE would be: what was found is kept,
nothing more is printed, and the exit code is 141.  stdout that is full or broken is told on stderr, where the rest of
the text goes, the verdict included; the work goes on, and the exit code is that of a wrong call.  What stderr does not
take is lost.  Invariant: no write raises, whatever is printed where; what an encoding lacks is written in ASCII, or as
an escape.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmrace.runs import stops
from mmrace.runtime.errors import UsageError
from mmrace.runtime.wording import ARROW

OUT, ERR = 1, 2
SPELLING = "mmrace.spelling"
"""How what an encoding lacks is written."""
SPELLED = {ARROW: "->"}


class Stream(io.FileIO):
    """A file descriptor to which writes succeed.  `broken`: whether text went astray, other than by a reader's will."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)
        self.usable, self.broken = True, False

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        """Write; or do with the data what is to be done instead."""
        if self.usable:
            try:
                while (written := super().write(data)) is None:  # somebody made it a descriptor that does not wait
                    select.select([], [self], [])
                return written
            except OSError as error:
                self.usable = False
                self._failed(error)
        if self.broken:
            _tell(bytes(data))
        return memoryview(data).nbytes

    def _failed(self, error: OSError) -> None:
        if self.fileno() != OUT:
            return
        if error.errno == errno.EPIPE:
            stops.ask(signal.SIGPIPE)
            return
        self.broken = True
        _tell(f"mmrace: stdout cannot be written: {error.strerror}; the rest follows here\n".encode())


def _tell(data: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(ERR, data)


def _spell(error: UnicodeError) -> tuple[str | bytes, int]:
    if isinstance(error, UnicodeEncodeError) and error.object[error.start] in SPELLED:
        return SPELLED[error.object[error.start]], error.start + 1
    return codecs.backslashreplace_errors(error)


codecs.register_error(SPELLING, _spell)


@contextmanager
def guarded() -> Iterator[Stream]:
    """Put guarded streams in the place of stdout and stderr, as far as these are the process's own.

    Yields that of stdout.  Raises UsageError if stdout is closed.
    """
    _fill_descriptors()
    if sys.stdout is None:
        raise UsageError(expected="a stdout to write to", got="a closed one", where="stdout", try_="> /dev/null")
    stream = Stream(OUT)
    out, err = sys.stdout, sys.stderr
    if out is sys.__stdout__ and isinstance(out, io.TextIOWrapper):
        sys.stdout = _text(stream, out)
    if err is sys.__stderr__ and isinstance(err, io.TextIOWrapper):
        sys.stderr = _text(Stream(ERR), err)
    try:
        yield stream
    finally:
        sys.stdout.flush()
        if sys.stderr is not None:
            sys.stderr.flush()
        sys.stdout, sys.stderr = out, err


def _fill_descriptors() -> None:
    """Have something at 0, 1 and 2, or the next file that is opened becomes what everybody prints to."""
    for number in (0, OUT, ERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _text(raw: io.RawIOBase, like: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a text stream that writes as `like` does."""
    plain = os.environ.get("LC_ALL") in ("C", "POSIX") and not {"PYTHONIOENCODING", "PYTHONUTF8"} & os.environ.keys()
    strict = plain or like.errors in (None, "strict")
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="ascii" if plain else like.encoding,  # Python takes the locale C for UTF-8; its terminal does not
        errors=SPELLING if strict else like.errors,
        line_buffering=raw.fileno() == ERR or like.isatty(),
    )
