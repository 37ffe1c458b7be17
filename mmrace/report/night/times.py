"""Points in time as a page has them: in UTC, whatever number a store holds.

Invariant: no number raises.
"""

from __future__ import annotations

from datetime import UTC, datetime

MINUTE = "%Y-%m-%d %H:%M"


def when(seconds: float | None, shape: str = MINUTE) -> str:
    """Write a moment, to the minute unless told otherwise."""
    if seconds is None:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(shape)
    except (OverflowError, OSError, ValueError):  # no clock has shown it
        return f"second {seconds:.3g}"
