"""What becomes of text that stdout does not take.

stdout that nobody reads any more (`mmrace ... | head`) is a wish to stop, as SIGPIPE would be: what was found is kept,
nothing more is printed, and the exit code is 141.  stdout that is full or broken is told on stderr, where the rest of
the text goes, the verdict included; the work goes on, and the exit code is that of a wrong call.  What stderr does not
take is lost.  Invariant: no write raises, whatever is printed where (`runs/output.py`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmrace.runs import stops
from mmrace.runs.output import ERR, OUT, Output, text
from mmrace.runtime.errors import UsageError


class Stdout(Output):
    """stdout.  `broken`: whether it cannot be written, other than by a reader's will."""

    def __init__(self) -> None:
        super().__init__(OUT)
        self.broken = False

    def failed(self, error: OSError) -> None:
        """Ask to stop if nobody reads; else say what is wrong."""
        if error.errno == errno.EPIPE:
            stops.ask(signal.SIGPIPE)
            return
        self.broken = True
        self.instead(f"mmrace: stdout cannot be written: {error.strerror}; the rest follows here\n".encode())

    def instead(self, data: bytes) -> None:
        """Write to stderr what stdout should have."""
        if self.broken:
            with contextlib.suppress(OSError):
                os.write(ERR, data)


@contextmanager
def guarded() -> Iterator[Stdout]:
    """Put streams that never raise in the place of stdout and stderr, as far as these are the process's own.

    Yields that of stdout.  Raises UsageError if stdout is closed.
    """
    _fill_descriptors()
    if sys.stdout is None:
        raise UsageError(expected="a stdout to write to", got="a closed one", where="stdout", try_="> /dev/null")
    stdout = Stdout()
    out, err = sys.stdout, sys.stderr
    if out is sys.__stdout__ and isinstance(out, io.TextIOWrapper):
        sys.stdout = text(stdout, out)
    if err is sys.__stderr__ and isinstance(err, io.TextIOWrapper):
        sys.stderr = text(Output(ERR), err)
    try:
        yield stdout
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
