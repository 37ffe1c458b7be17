"""What a call leaves to the garbage collector: objects that refer to each other in rings that nobody cut."""

from __future__ import annotations

import gc
from collections.abc import Callable


def garbage(call: Callable[[], object]) -> int:
    """Return how many objects a call left to the garbage collector, once what it returned is gone."""
    while gc.collect():  # what others left can come apart in several steps
        pass
    gc.disable()
    try:
        call()
        return gc.collect()
    finally:
        gc.enable()
