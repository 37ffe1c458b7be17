"""Stable pages: write(2) changes no page of its file while that page is under writeback.

3.3 waits for that, for devices and file systems that sum up what they were given.  Invariant: what a write changes
beside the file, in blocks of the device, is not judged: metadata waits for its buffer alone.
Not checked: changes by others than write(2), pages that are written without PG_writeback, as by a commit.
"""

from __future__ import annotations

from typing import NamedTuple

from mmrace.runtime.kinds import CLEARS, KIND_MASK, NOTE, SETS, SHIFT, STORE, WRITE
from mmrace.runtime.record import Record

_ENDS = frozenset({"write-end", "write-failed"})


class Changed(NamedTuple):
    """A page that a write(2) changed under writeback."""

    step: int
    task: int
    page: str


def changed_under_writeback(record: Record) -> tuple[int, list[Changed]]:
    """Return how many words of pages writers changed, and the first change of each page that was under writeback."""
    data, mappings = record.word_lanes("Page", "words"), record.lanes("Page", "mapping")
    bits, words = record.bit_lane("Page", "flags", "PG_writeback"), record.lanes("Page", "flags")
    mapping_of: dict[str, object] = {}
    writeback: set[str] = set()
    writing: dict[int, str] = {}  # task -> mapping
    checked = 0
    found: dict[str, Changed] = {}
    events = record.events
    lanes = {*data, *mappings, *bits, *words}
    for step in record.steps_on(lanes, WRITE, *SETS, *CLEARS, STORE, notes=("write-begin", *_ENDS)):
        task, op, a, b = events[step]
        lane, kind = op >> SHIFT, op & KIND_MASK
        if op == NOTE:
            if a == "write-begin":
                writing[task] = f"mapping:{b[0]}"
            else:
                writing.pop(task, None)
        elif kind == WRITE:
            if lane in data:
                page = data[lane][0]
                if task in writing and mapping_of.get(page) == writing[task]:
                    checked += 1
                    if page in writeback:
                        found.setdefault(page, Changed(step, task, page))
            elif lane in mappings:
                mapping_of[mappings[lane]] = record.name(b)
        elif kind == STORE:
            if not b and lane in words:  # freed
                writeback.discard(words[lane])
        elif lane in bits:
            (writeback.add if kind in SETS else writeback.discard)(bits[lane])
    return checked, list(found.values())
