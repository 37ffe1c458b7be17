"""Exact chances of every order of a plan, calculated from the definitions of the algorithms.

Invariant: nothing here is shared with the samplers; each algorithm is written again, over enumerated draws.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import permutations, product
from math import factorial, perm

from tests.strategies.programs import Op, Order, Plan

Chances = dict[Order, Fraction]


def all_orders(plan: Plan) -> list[Order]:
    """List all interleavings."""
    return sorted(random_walk(plan))


def uniform(orders: Iterable[Order]) -> Chances:
    """Give each order the same chance."""
    listed = list(orders)
    return dict.fromkeys(listed, Fraction(1, len(listed)))


def random_walk(plan: Plan) -> Chances:
    """Each enabled task with equal chances."""
    found: Chances = {}

    def go(order: Order, chance: Fraction) -> None:
        enabled = [task for task in range(len(plan)) if order.count(task) < len(plan[task])]
        if not enabled:
            found[order] = chance
        for task in enabled:
            go((*order, task), chance / len(enabled))

    go((), Fraction(1))
    return found


def conflict(a: Op, b: Op) -> bool:
    """Say whether two ops race."""
    return a[0] == b[0] and (a[1] or b[1])


def pos(plan: Plan) -> Chances:
    """POS: priorities are independent uniform numbers, of which only the order matters.

    A fresh number falls into each gap between all earlier ones, dropped ones included, with equal chances: that is
    what independence says.  `line` holds them in rising order: the task whose pending op has it, or None if dropped.
    """
    found: Chances = {}

    def go(order: Order, line: tuple[int | None, ...], chance: Fraction) -> None:
        left = [task for task in range(len(plan)) if order.count(task) < len(plan[task])]
        if not left:
            found[order] = found.get(order, Fraction(0)) + chance
            return
        fresh = next((task for task in left if task not in line), None)
        if fresh is not None:
            for gap in range(len(line) + 1):
                go(order, (*line[:gap], fresh, *line[gap:]), chance / (len(line) + 1))
            return
        best = next(task for task in reversed(line) if task is not None)
        done = plan[best][order.count(best)]
        dropped = {task for task in left if task != best and conflict(done, plan[task][order.count(task)])} | {best}
        go((*order, best), tuple(None if task in dropped else task for task in line), chance)

    go((), (), Fraction(1))
    return found


def pct(plan: Plan, depth: int, k: int) -> Chances:
    """PCT: every order of first priorities, every tuple of different change points, counted where two are enabled."""
    found: Counter[Order] = Counter()
    n = len(plan)
    for ranks in permutations(range(n)):
        for changes in permutations(range(1, k + 1), depth - 1):
            priority = [depth + rank for rank in ranks]
            found[_by_priority(plan, priority, depth, changes)] += 1
    total = factorial(n) * perm(k, depth - 1)
    return {order: Fraction(count, total) for order, count in found.items()}


def _by_priority(plan: Plan, priority: list[int], depth: int, changes: tuple[int, ...]) -> Order:
    order: Order = ()
    points = 0
    while left := [task for task in range(len(plan)) if order.count(task) < len(plan[task])]:
        if len(left) > 1:
            points += 1
            for i, change in enumerate(changes, start=1):
                if change == points:
                    priority[max(left, key=priority.__getitem__)] = depth - i
        order += (max(left, key=priority.__getitem__),)
    return order


def delays(plan: Plan, bound: int, k: int) -> Chances:
    """Delay bounding: 1..bound delays, each at any of k points; tasks in turn by number, each to its end.

    The last task begins: it was started last, so it runs when the sampler is asked first.
    """
    found: Chances = {}
    for n in range(1, bound + 1):
        for changes in product(range(1, k + 1), repeat=n):
            order = _in_turn(plan, changes)
            found[order] = found.get(order, Fraction(0)) + Fraction(1, bound * k**n)
    return found


def _in_turn(plan: Plan, changes: tuple[int, ...]) -> Order:
    order: Order = ()
    points = 0
    turn = len(plan) - 1
    while left := [task for task in range(len(plan)) if order.count(task) < len(plan[task])]:
        ring = sorted(left, key=lambda task: (task - turn) % len(plan))
        at = 0
        if len(left) > 1:
            points += 1
            at = changes.count(points)
        turn = ring[at % len(ring)]
        order += (turn,)
    return order


def chance(chances: Chances, wanted: Callable[[Order], bool]) -> Fraction:
    """Return the chance of the orders that are wanted."""
    return sum((p for order, p in chances.items() if wanted(order)), Fraction(0))
