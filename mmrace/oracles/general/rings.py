"""Rings among links: tasks each of which holds what the next one wants, all at the same moment.

No ring: links of one task; links whose held locks share one (a guard lock lets in one of them at a time); links of
which one was over before the other's task was spawned, or joined.  Invariant: each ring comes once, beginning with its
first link.  Not here: whether what was held is a lock at all.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmrace.oracles.general.holding import Link

LINKS_MAX = 4  # tasks in a ring; longer ones are unknown in the kernel's history
SEARCH_MAX = 20_000  # links that the search for rings looks at: some 10 ms

Ring = tuple[Link, ...]


def on_rings(links: list[Link]) -> list[Link]:
    """Drop, until nothing more goes, the links whose wanted lock nobody holds while asking, or the other way round."""
    while True:
        held = {lane for link in links for lane in link.held}
        wanted = {link.wanted for link in links}
        left = [link for link in links if link.wanted in held and not wanted.isdisjoint(link.held)]
        if len(left) == len(links):
            return left
        links = left


def rings(links: list[Link], budget: list[int]) -> Iterator[Ring]:
    """Yield each ring once.  Args: budget: of links to look at, as one number; 0 when it is used up."""
    by_held: dict[int, list[Link]] = {}
    for link in links:
        for lane in link.held:
            by_held.setdefault(lane, []).append(link)
    for first in links:
        yield from _grow((first,), by_held, budget)


def _grow(path: Ring, by_held: dict[int, list[Link]], budget: list[int]) -> Iterator[Ring]:
    for link in by_held.get(path[-1].wanted, ()):
        budget[0] -= 1
        if budget[0] <= 0:
            return
        if link.step > path[0].step and all(_meet(link, other) for other in path):
            longer = (*path, link)
            if link.wanted in path[0].held:
                yield longer
            elif len(longer) < LINKS_MAX:
                yield from _grow(longer, by_held, budget)


def _meet(one: Link, other: Link) -> bool:
    """Say whether two links can stand at the same moment: two tasks, no lock in common, neither over by then."""
    return (
        one.task != other.task
        and one.guards.isdisjoint(other.guards)
        and not other.over >> one.epoch & 1
        and not one.over >> other.epoch & 1
    )
