"""What a call leaves to the garbage collector: objects that refer to each other in rings that nobody cut."""

from __future__ import annotations

import gc
from collections.abc import Callable


def garbage(call: Callable[[], object]) -> int:
    """Return how many objects a call left to the garbage collector, once what it returned is gone."""
    while gc.collect():  # what others left can come apart in several steps
        pass
    gc.freeze()  # none of it is the call's; looking through it once more took nine tenths of the time
    gc.disable()
    try:
        call()
        return gc.collect()
    finally:
        gc.enable()
