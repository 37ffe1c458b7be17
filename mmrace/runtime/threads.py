"""Starting a thread, where the machine may have none left.

Invariant: a thread that was not started is nobody's: whoever wanted it is told at once, with the cause, and has counted
it nowhere.
"""

from __future__ import annotations

import threading

from mmrace.runtime.errors import MachineError


def start(thread: threading.Thread) -> None:
    """Start a thread.  Raises MachineError if there is none left."""
    try:
        thread.start()
    except RuntimeError as error:
        raise MachineError("thread", str(error)) from error
