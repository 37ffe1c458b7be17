"""Numbers as people read them.

Invariant: one way to write a count, a share, a size and a duration in the whole program.
"""

from __future__ import annotations

KIB = 1024
MINUTE_S = 60
HOUR_S = 3600


def count(number: float) -> str:
    """Write a whole number with thin groups: 1,234,567."""
    return f"{number:,.0f}"


def runs(number: int) -> str:
    """Write a number of runs."""
    return f"{count(number)} run" + ("" if number == 1 else "s")


def share(part: int, whole: int) -> str:
    """Write a share in per cent; a share of nothing is a dash."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def size(number: int) -> str:
    """Write bytes as MiB with one decimal."""
    return f"{number / KIB / KIB:.1f} MiB"


def duration(seconds: float) -> str:
    """Write seconds, or minutes and seconds, or from an hour on hours and minutes."""
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds >= HOUR_S:
        hours, rest = divmod(round(seconds / MINUTE_S), MINUTE_S)
        return f"{hours} h {rest:02d} min"
    minutes, rest = divmod(round(seconds), MINUTE_S)
    return f"{minutes} min {rest:02d} s"
