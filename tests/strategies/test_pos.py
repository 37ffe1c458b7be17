"""POS: orders with exactly the chances of the paper's algorithm; only racing ops are redrawn, and the done one."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from fractions import Fraction

import pytest

from mmrace import runtime as rt
from tests.strategies import exact
from tests.strategies.chances import FALSE_ALARM, as_uneven
from tests.strategies.programs import Order, Plan, R, W, cells, order_of, orders, run, sampler, stream

RUNS = 3000

LOST_UPDATE: Plan = ((R(), W()), (R(), W()))
READS_FIRST: Plan = ((R(1), R(1), W()), (W(),))
INDEPENDENT: Plan = ((W(0), W(0)), (W(1), W(1)))
MIXED: Plan = ((W(0), R(1)), (W(1), R(0)))
THREE_TASKS: Plan = ((W(0), R(1)), (R(0),), (W(1),))
PLANS = {
    "lost update": LOST_UPDATE,
    "reads first": READS_FIRST,
    "independent": INDEPENDENT,
    "mixed": MIXED,
    "three tasks": THREE_TASKS,
}


@pytest.mark.slow
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_pos_draws_each_order_with_its_exact_chance(plan: Plan) -> None:
    assert as_uneven(orders("pos", plan, RUNS), exact.pos(plan)) > FALSE_ALARM


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lost update", "reads first", "mixed"])
def test_a_random_walk_is_not_taken_for_pos(name: str) -> None:
    assert as_uneven(orders("random", PLANS[name], RUNS), exact.pos(PLANS[name])) < FALSE_ALARM


def loses_update(order: Order) -> bool:
    """Say whether both tasks read before either writes."""
    return set(order[:2]) == {0, 1}


def test_pos_finds_a_lost_update_with_its_chance_of_a_third() -> None:
    # After the first read the other task's pending read is no race, so it keeps its number x, the lower of two; the
    # reader's write draws afresh, and loses to x with chance E[min of two] = 1/3.
    assert exact.chance(exact.pos(LOST_UPDATE), loses_update) == Fraction(1, 3)
    counts = Counter(map(loses_update, orders("pos", LOST_UPDATE, RUNS).elements()))
    assert as_uneven(counts, {True: Fraction(1, 3), False: Fraction(2, 3)}) > FALSE_ALARM


def test_pos_redraws_the_running_task_after_a_read() -> None:
    # t0 has many reads, t1 one write on another cell.  Its number x never changes; t0 has n fresh ones: t1 is last
    # exactly if x is the lowest of n + 1.  Without the redraw t0 would go on whenever it went first: chance 1/2.
    n = 7
    last: Counter[bool] = Counter()
    for order, count in orders("pos", ((R(0),) * n, (W(1),)), RUNS).items():
        last[order[-1] == 1] += count
    assert as_uneven(last, {True: Fraction(1, n + 1), False: Fraction(n, n + 1)}) > FALSE_ALARM


def test_pos_uses_up_the_number_of_an_op_done_while_it_was_the_only_one() -> None:
    """t1 waits with a high number or a low one, then works alone while t0 waits for the lock that it took."""
    counts: Counter[bool] = Counter()

    def main() -> None:
        made = cells()

        def first() -> None:
            made.words.write(0, 1)
            rt.spin_lock(made.lock)
            rt.spin_unlock(made.lock)
            made.words.write(2, 1)

        def second() -> None:
            made.words.write(1, 1)
            rt.spin_lock(made.lock)
            for _ in range(3):
                made.words.read(3)
            rt.spin_unlock(made.lock)
            made.words.write(4, 1)

        rt.spawn(first, name="t0", cpu=0)
        rt.spawn(second, name="t1", cpu=1)

    for seed in range(RUNS):
        engine = run(main, sampler("pos").strategy(stream("only", seed), None))
        order = order_of(engine)
        # only the runs in which t0 came to the lock while t1 had it, which the prefix 1 1 0 shows
        if order[:3] == (1, 1, 0) and order[3:7] == (1, 1, 1, 1):
            counts[order[7] == 1] += 1
    # t1's unlock may be followed by its own write or by t0's lock: both numbers are fresh
    assert sum(counts.values()) > 200
    assert as_uneven(counts, {True: Fraction(1, 2), False: Fraction(1, 2)}) > FALSE_ALARM


class Bits(IntEnum):
    """Bits of a word."""

    FIRST = 0
    SECOND = 1


class Flagged(rt.Struct):
    """A flag word."""

    flags = rt.flag_word(Bits)


def test_pos_redraws_a_bit_op_after_a_store_of_its_word() -> None:
    """t0 stores the word, then writes its cell; t1 changes a bit: the store and the bit op race, as one cell's do."""

    def main() -> None:
        flags, words = Flagged("flagged").flags, cells().words

        def first() -> None:
            flags.store(0)
            words.write(1, 1)

        rt.spawn(first, name="t0")
        rt.spawn(rt.set_bit, flags, Bits.SECOND, name="t1")

    counts: Counter[Order] = Counter()
    for seed in range(RUNS):
        counts[order_of(run(main, sampler("pos").strategy(stream("word", seed), None)))] += 1
    assert as_uneven(counts, exact.pos(((W(0), W(1)), (W(0),)))) > FALSE_ALARM
