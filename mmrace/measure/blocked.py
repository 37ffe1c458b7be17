"""Where tasks were blocked, and for how many ticks, from a record alone.

A wait begins where a task puts itself on a queue and ends where it leaves that; a sleep for ticks lasts from its note
to its task's next op.  What a queue is of says the place.  Invariant: a pure function of the record; a wait that the
end of the run cut lasts to that end.  Not counted: who waits for a spinlock, a mutex or a CPU, since an op that was
announced and not done is not in a record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from mmrace.runtime import clock
from mmrace.runtime.clock import SLEEP_NOTE
from mmrace.runtime.kinds import DEQUEUE, KIND_MASK, NOTE, QUEUE, SHIFT
from mmrace.runtime.record import Record

PAGE_LOCK, BUFFER_LOCK, WRITEBACK, WRITEPAGE = "page lock", "buffer lock", "writeback", "writepage"
CONGESTION, OTHER = "congestion", "other"
PLACES = (PAGE_LOCK, BUFFER_LOCK, WRITEBACK, WRITEPAGE, CONGESTION, OTHER)
"""Where somebody can be blocked.  "writepage" is a device's full queue: where a writepage sleeps below submit_bio."""

_QUEUES = {
    ("Page", "flags", "PG_locked.queue"): PAGE_LOCK,
    ("Page", "flags", "PG_writeback.queue"): WRITEBACK,
    ("BufferHead", "b_state", "BH_Lock.queue"): BUFFER_LOCK,
    ("RequestQueue", "wait", ""): WRITEPAGE,
}


def blocked(record: Record, tasks: Collection[int]) -> Counter[str]:
    """Return for how many ticks these tasks were blocked in all, by place."""
    ticks: Counter[str] = Counter()
    waits: dict[tuple[int, int], int] = {}  # task, lane of the queue -> since when
    sleeps: dict[int, tuple[int, str]] = {}  # task -> since when, at which place
    now = 0
    for event, now in zip(record.events, clock.times(record), strict=True):
        task, op, a, b = event
        if task not in tasks:
            continue
        if op == NOTE:
            if a == SLEEP_NOTE:
                sleeps[task] = now, CONGESTION if b[1] == CONGESTION else OTHER
            continue
        if task in sleeps:
            since, place = sleeps.pop(task)
            ticks[place] += now - since
        kind, lane = op & KIND_MASK, op >> SHIFT
        if kind == QUEUE:
            waits.setdefault((task, lane), now)
        elif kind == DEQUEUE and (task, lane) in waits:
            ticks[place_of(record, lane)] += now - waits.pop((task, lane))
    for (_, lane), since in waits.items():
        ticks[place_of(record, lane)] += now - since
    for since, place in sleeps.values():
        ticks[place] += now - since
    return ticks


def place_of(record: Record, queue: int) -> str:
    """Say at which place somebody is who is on a queue."""
    cls, _, field, sub = record.lane(queue) or ("", "", "", "")
    return _QUEUES.get((cls, field, sub), OTHER)


def elapsed(record: Record, tasks: Collection[int]) -> int:
    """Return the ticks from the first to the last thing that one of these tasks did; 0 if none did any."""
    times = [now for event, now in zip(record.events, clock.times(record), strict=True) if event[0] in tasks]
    return times[-1] - times[0] if times else 0
