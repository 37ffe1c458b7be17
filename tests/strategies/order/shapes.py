"""The shape of a partial order: which step of which task comes before which, without the order of the run."""

from __future__ import annotations

from mmrace.strategies.order.partial_order import PartialOrder

Name = tuple[int, int]  # task, ordinal of the step in it
Shape = frozenset[tuple[Name, frozenset[Name]]]


def shape(order: PartialOrder) -> Shape:
    """Return each step with all that happens before it; equal for runs that differ in independent steps only."""
    names: list[Name] = []
    for place, task in enumerate(order.task):
        names.append((task, order.task[:place].count(task)))
    return frozenset(
        (name, frozenset(names[before] for before in range(place) if order.clock[place] >> before & 1))
        for place, name in enumerate(names)
    )
