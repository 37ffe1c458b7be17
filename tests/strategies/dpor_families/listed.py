"""All programs of all families, by name."""

from __future__ import annotations

from tests.runtime.engines import Program
from tests.strategies.dpor_families import (
    bits,
    choices,
    counts,
    cpus,
    daemons,
    ends,
    locks,
    memory,
    notes,
    open_locks,
    plain,
    waits,
)

_FAMILIES = (plain, locks, open_locks, cpus, counts, bits, waits, memory, ends, daemons, choices, notes)

PROGRAMS: dict[str, Program] = {name: main for family in _FAMILIES for name, main in family.PROGRAMS.items()}
"""Name -> program.  Those of `AT_ONCE` have too many schedules to see them all: tasks begin and end at once there."""

AT_ONCE = {name for family in _FAMILIES for name in getattr(family, "AT_ONCE", ())}
