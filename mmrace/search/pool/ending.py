"""How a worker process ended, and whether it did so of itself; or whether it is only stopped.

Invariant: what looks like a crash is one, whoever sent the signal; any other signal came from outside.
"""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

CRASHES = frozenset(
    {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
)
"""Signals by which a process ends of itself."""


def told(code: int | None) -> str:
    """Put an exit code, as `multiprocessing` has it, into words."""
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def from_outside(code: int | None) -> bool:
    """Say whether somebody else ended the process: a person, or the machine for want of memory."""
    return code is not None and code < 0 and -code not in CRASHES


def is_stopped(pid: int | None) -> bool:
    """Say whether a process is stopped (Ctrl-Z, a debugger), and so cannot move; False where nobody can tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in ("T", "t")
