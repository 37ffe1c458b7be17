"""The command line: one file a command, and what they share.

Invariant: whoever asks to stop while the rest is still being imported has his answer at once, without a traceback; so
next to nothing is imported here.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn

from mmrace.runs import stops

EXIT_SIGNALLED = 128  # as `runtime/errors.py` has it, which is not imported yet
_exit = os._exit  # as it is before a user's code is kept from it


def main() -> NoReturn:
    """Run the command line; end with its exit code."""
    before = frozenset(threading.enumerate())
    with stops.handled(at_once=_leave):
        from mmrace.cli.group import run_command  # noqa: PLC0415

        stops.begin()
        code = run_command()
    _end(code, before)


def _end(code: int, before: frozenset[threading.Thread]) -> NoReturn:
    """End with this exit code, whether or not a user's file has left threads that Python would wait for.

    Args: before: threads that were there when the command began; a host program's are its own.
    """
    if any(not thread.daemon for thread in frozenset(threading.enumerate()) - before):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        atexit._run_exitfuncs()
        _exit(code)
    sys.exit(code)


def _leave(number: int) -> NoReturn:
    """End now: nothing was begun yet."""
    os.write(2, b"interrupted\n")
    _exit(EXIT_SIGNALLED + number)
