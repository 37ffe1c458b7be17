"""Numbers as people read them.

Invariant: one way to write a count, a share, a size and a duration in the whole program.
"""

from __future__ import annotations

from datetime import UTC, datetime

KIB = 1024
MANY_MIB = 10_000
MINUTE_S = 60
HOUR_S = 3600
CERTAIN = 0.995  # from here on two digits would say 100 or more
EXACT_BELOW = 10  # a second: below that a whole number says little


def count(number: float) -> str:
    """Write a whole number with thin groups: 1,234,567."""
    return f"{number:,.0f}"


def many(number: int, one: str, several: str = "") -> str:
    """Write a number of things.  Args: one, several: what one of them is called, and more (one's name with an s)."""
    return f"{count(number)} {one if number == 1 else several or f'{one}s'}"


def runs(number: int) -> str:
    """Write a number of runs."""
    return many(number, "run")


def rate(number: int, seconds: float) -> str:
    """Write how many there were in a second."""
    each = number / seconds if seconds else 0.0
    return count(each) if each >= EXACT_BELOW else f"{each:.1f}"


def share(part: int, whole: int) -> str:
    """Write a share in per cent; a share of nothing is a dash."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def size(number: int) -> str:
    """Write bytes as MiB with one decimal, or from many on as GiB."""
    mebibytes = number / KIB / KIB
    return f"{mebibytes:.1f} MiB" if mebibytes < MANY_MIB else f"{mebibytes / KIB:.1f} GiB"


def duration(seconds: float) -> str:
    """Write seconds, or minutes and seconds, or from an hour on hours and minutes."""
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds >= HOUR_S:
        hours, rest = divmod(round(seconds / MINUTE_S), MINUTE_S)
        return f"{hours} h {rest:02d} min"
    minutes, rest = divmod(round(seconds), MINUTE_S)
    return f"{minutes} min {rest:02d} s"


def moment(seconds: float) -> str:
    """Write a point in time, given in unix seconds: 2026-11-30 21:45:13, in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
    except (OverflowError, ValueError, OSError):  # whoever wrote that has no calendar
        return f"{seconds:.6g} s"


def chance(part: float) -> str:
    """Write a chance in per cent, with two digits that mean something."""
    return f"{100 * part:.2g} %" if part < CERTAIN else "100 %"


def between(low: float, high: float) -> str:
    """Write an interval of a chance."""
    return f"{chance(low)} to {chance(high)}"
