"""What every test gets and leaves.

It gets Ctrl-C, also where the tests were started in the background of a shell, which ignores it.  It leaves no thread
behind that blocks outside the runtime: as long as there is one, the engines of later tests guard their ops.
"""

from __future__ import annotations

import multiprocessing.sharedctypes  # noqa: F401  (what pytester's tests import first is imported again after them)
import signal
import threading
from collections.abc import Iterator

import pytest

from mmrace.runtime import leftover

pytest_plugins = ["pytester"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _nobody_left_behind() -> Iterator[None]:
    """Wait for those that the test has let come back; a test that leaves one blocked runs into its timeout here."""
    yield
    left = set(leftover._left)
    for thread in threading.enumerate():
        if thread.ident in left:
            thread.join()
