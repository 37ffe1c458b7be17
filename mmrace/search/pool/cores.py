"""The cores that this process may use, and keeping to one of them."""

from __future__ import annotations

import os


def cores() -> list[int]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(engine: str) -> None:
    """Keep a controlled run on one core: its threads hand over, and never run at once."""
    if engine != "free" and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores()[:1])
