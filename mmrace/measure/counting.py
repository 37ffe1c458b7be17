"""What one run of the load came to: counts and ticks by name, from its record.

Invariant: everything comes from the record; what did not happen is 0, so that every run has the same names.
"""

from __future__ import annotations

from collections.abc import Mapping

from mmrace.measure.blocked import PLACES, blocked, elapsed
from mmrace.runtime.record import Record
from mmrace.scenarios import counters

ALLOC, FALLBACK, STALLS = "THP allocated", "THP fallback", "compaction stalls"
SUCCESS, MOVED, REFUSED = "success %", "pages moved", "pages refused"
FAILED, BLOCKED, ELAPSED = "refused %", "blocked", "elapsed"
_FROM_VMSTAT = {ALLOC: "THP_FAULT_ALLOC", FALLBACK: "THP_FAULT_FALLBACK", STALLS: "COMPACTSTALL"}
_REFUSED = "migrations.refused."


def counted(record: Record, stalled: str) -> dict[str, int]:
    """Return the counts of a run.  Args: stalled: name of the actor whose stalls are counted, and its helpers'."""
    tasks = {int(task["id"]) for task in record.tasks if str(task["name"]).partition(".")[0] == stalled}
    found = counters.counters(record)
    made = {name: found.get(f"vm.{event}", 0) for name, event in _FROM_VMSTAT.items()}
    made[MOVED] = found.get("migrations.moved", 0)
    reasons = {name.removeprefix(_REFUSED): number for name, number in found.items() if name.startswith(_REFUSED)}
    made[REFUSED] = sum(reasons.values())
    made |= {f"{REFUSED}: {reason}": number for reason, number in reasons.items()}
    ticks = blocked(record, tasks)
    made |= {f"{BLOCKED}: {place}": ticks[place] for place in PLACES}
    made[BLOCKED] = ticks.total()
    made[ELAPSED] = elapsed(record, tasks)
    return made


def with_shares(made: Mapping[str, int]) -> dict[str, float]:
    """Return the counts of a run and the shares that follow; a share of nothing is left out."""
    shown: dict[str, float] = dict(made)
    for name, part, rest in ((SUCCESS, ALLOC, FALLBACK), (FAILED, REFUSED, MOVED)):
        whole = made.get(part, 0) + made.get(rest, 0)
        if whole:
            shown[name] = 100 * made.get(part, 0) / whole
    return shown
