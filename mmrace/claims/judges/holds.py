"""Who held which lock or bit when: the spans of a record, asked by step.

Invariant: a span begins at the op that took the lock and ends at the op that dropped it, or with the record; from a
hand-over on the lock belongs to the I/O, not to the task.  Not checked: that a lock is dropped by its holder;
`lock_discipline.py` does that.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

NEVER = 1 << 62


@dataclass(slots=True)
class Span:
    """A time in which a bit was set or a lock held: steps start <= step < end; from step `handed` on by its I/O."""

    start: int
    task: int
    end: int = NEVER
    handed: int = NEVER


class Holds:
    """Spans by lane, in order."""

    def __init__(self) -> None:
        self.spans: dict[int, list[Span]] = {}

    def take(self, lane: int, step: int, task: int) -> None:
        """A lock was taken, or a bit set."""
        spans = self.spans.setdefault(lane, [])
        if spans and spans[-1].end == NEVER:
            spans[-1].end = step
        spans.append(Span(step, task))

    def drop(self, lane: int, step: int) -> None:
        """A lock was dropped, or a bit cleared."""
        spans = self.spans.get(lane)
        if spans and spans[-1].end == NEVER:
            spans[-1].end = step

    def hand_over(self, lane: int, step: int) -> None:
        """A lock belongs to its I/O from here on."""
        spans = self.spans.get(lane)
        if spans and spans[-1].end == NEVER:
            spans[-1].handed = step

    def at(self, lane: int, step: int) -> Span | None:
        """Return the span that `step` is in; the step that takes is in it, the one that drops is not."""
        spans = self.spans.get(lane, ())
        i = bisect_right(spans, step, key=_start) - 1
        return spans[i] if i >= 0 and step < spans[i].end else None

    def holder(self, lane: int, step: int) -> int | None:
        """Return the task that holds a lock at `step`; None if no task does, though its I/O may."""
        span = self.at(lane, step)
        return span.task if span is not None and step <= span.handed else None

    def overlapping(self, lane: int, first: int, last: int) -> list[Span]:
        """Return the spans that have a step in common with first..last."""
        return [span for span in self.spans.get(lane, ()) if span.start <= last and span.end > first]


def _start(span: Span) -> int:
    return span.start
