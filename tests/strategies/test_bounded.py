"""Depth-first search: as many schedules at each bound as a count that knows no engine says, each of them once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from math import comb
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runtime.errors import InternalError
from mmrace.runtime.kinds import KIND_MASK, OF_LIFE, Kind
from mmrace.strategies import preemption, registry
from mmrace.strategies.bounded import Walk
from mmrace.strategies.contract import Systematic
from mmrace.strategies.delay import DelayBounded
from mmrace.strategies.enumerate import Enumerate
from mmrace.strategies.preemption import PreemptionBounded
from tests.runtime.engines import Box, Outcome, Program, box, fiber

ALL = 1000  # a bound that no program here needs
RUNS_MAX = 100_000


def runs(walk: Systematic, main: Program, **options: Any) -> Iterator[Outcome]:
    """Run a program along each schedule of a walk."""
    for _ in range(RUNS_MAX):
        strategy = walk.next()
        if strategy is None:
            return
        outcome = fiber(main, strategy, **options)
        walk.learn(outcome.engine)  # type: ignore[arg-type]
        yield outcome
    raise AssertionError("no end")


# -- programs as data, and a count of their schedules that has nothing to do with the engine --------------------------

Op = tuple[str, int]
Threads = tuple[tuple[Op, ...], ...]  # the first is main; ops: read, yield, spawn i, join i, lock l, unlock l, choose n

READ, YIELD = ("read", 0), ("yield", 0)


def program(threads: Threads) -> Program:
    """Make the program that does these ops."""

    def main() -> None:
        boxes = [box(i) for i in range(3)]
        tasks: dict[int, rt.Task] = {}

        def body(number: int) -> None:
            for name, n in threads[number]:
                if name == "read":
                    _ = boxes[0].x
                elif name == "yield":
                    rt.schedule()
                elif name == "spawn":
                    tasks[n] = rt.spawn(body, n, name=f"t{n}", cpu=n)
                elif name == "join":
                    rt.join(tasks[n])
                elif name == "lock":
                    rt.mutex_lock(boxes[n].mutex)
                elif name == "unlock":
                    rt.mutex_unlock(boxes[n].mutex)
                else:
                    rt.choose(n)

        body(0)

    return main


Cost = Callable[[tuple[int, ...], int, bool, int], int]
"""(enabled, last, last is about to yield, picked) -> cost."""


def preemptions(enabled: tuple[int, ...], last: int, yields: bool, picked: int) -> int:
    if last not in enabled or len(enabled) == 1:
        return 0
    return int(picked == last if yields else picked != last)


def delays(enabled: tuple[int, ...], last: int, yields: bool, picked: int) -> int:
    skipped, turn = 0, last + yields
    while turn % 10 != picked:
        skipped += turn % 10 in enabled
        turn += 1
    return skipped


LIFE = frozenset({"begin", "exit", "spawn", "join", "choose"})


def count(threads: Threads, cost: Cost, value_cost: int = 1, life: bool = True) -> dict[int, int]:
    """Count the schedules of each cost.

    Args: life: what a task does to its own life is a place to switch like others; else it is done at once where another
    task could go on too, and whoever ran before that still counts as the last.
    """
    full = [(("begin", 0), *ops, ("exit", 0)) for ops in threads]

    @cache
    def rest(at: tuple[int, ...], owners: tuple[int | None, ...], last: int) -> Counter[int]:
        spawned = {0} | {n for i, ops in enumerate(full) for name, n in ops[: at[i]] if name == "spawn"}
        enabled = []
        for i in sorted(spawned):
            if at[i] == len(full[i]):
                continue
            name, n = full[i][at[i]]
            if (name == "lock" and owners[n] is not None) or (name == "join" and at[n] < len(full[n])):
                continue
            enabled.append(i)
        if not enabled:
            return Counter({0: 1})
        total: Counter[int] = Counter()
        first = [] if life or len(enabled) == 1 else [i for i in enabled if full[i][at[i]][0] in LIFE][:1]
        yields = at[last] < len(full[last]) and full[last][at[last]][0] == "yield"
        for i in first or enabled:
            name, n = full[i][at[i]]
            holders = list(owners)
            if name == "lock":
                holders[n] = i
            elif name == "unlock":
                holders[n] = None
            after = rest((*at[:i], at[i] + 1, *at[i + 1 :]), tuple(holders), last if first else i)
            for value in range(n if name == "choose" else 1):
                price = 0 if first else cost(tuple(enabled), last, yields, i)
                price += value_cost * min(value, 1)
                for spent, ways in after.items():
                    total[spent + price] += ways
        return total

    return dict(rest((0,) * len(full), (None,) * 3, 0))


def both(*ops: Op) -> Threads:
    """Make a program in which main and another task do the same."""
    return (("spawn", 1), *ops), ops


LOCKED = (("lock", 0), READ, ("unlock", 0))
PROGRAMS: dict[str, Threads] = {
    "reads": both(READ, READ),
    "three": ((("spawn", 1), ("spawn", 2)), (READ, READ), (READ,)),
    "joins": ((("spawn", 1), ("spawn", 2), ("join", 1), READ, ("join", 2)), (READ,), (READ,)),
    "locks": both(*LOCKED),
    "deadlock": (
        (("spawn", 1), ("lock", 0), ("lock", 1), ("unlock", 1), ("unlock", 0)),
        (("lock", 1), ("lock", 0), ("unlock", 0), ("unlock", 1)),
    ),
    "yields": ((("spawn", 1), YIELD, READ), (YIELD, READ, YIELD)),
    "three with a yield": ((("spawn", 1), ("spawn", 2), YIELD), (READ,), (YIELD,)),
    "choices": ((("spawn", 1), ("choose", 3), READ), (READ, ("choose", 2))),
    "spawned by another": ((("spawn", 1), READ), (("spawn", 2), READ), (READ,)),
}
EACH = pytest.mark.parametrize("threads", PROGRAMS.values(), ids=PROGRAMS)


def schedule_of(outcome: Outcome) -> tuple[object, ...]:
    """Return who did what, with the values that were chosen."""
    return tuple((task, kind, b if kind == Kind.CHOOSE else None) for task, kind, _, _, b in outcome.ops())


@pytest.mark.parametrize(("n", "m"), [(0, 0), (1, 0), (0, 3), (2, 2), (3, 2), (3, 4)])
def test_two_tasks_of_n_and_m_ops_have_n_plus_m_over_n_interleavings(n: int, m: int) -> None:
    main = program(((("spawn", 1), *(READ,) * n), (READ,) * m))
    walk = Enumerate()
    found = [schedule_of(outcome) for outcome in runs(walk, main)]
    mine, its = n + 1, m + 2  # main's end, the other's begin and end
    assert len(found) == len(set(found)) == comb(mine + its, mine)
    assert (walk.exhausted, walk.new) == (True, {0: len(found)})


@EACH
def test_enumeration_runs_each_interleaving_once(threads: Threads) -> None:
    walk = Enumerate()
    found = [schedule_of(outcome) for outcome in runs(walk, program(threads))]
    assert len(set(found)) == len(found) == sum(count(threads, preemptions).values())
    assert walk.exhausted


@pytest.mark.slow
@pytest.mark.parametrize(("make", "cost"), [(PreemptionBounded, preemptions), (DelayBounded, delays)])
@EACH
def test_each_bound_adds_the_schedules_of_that_cost(
    make: type[PreemptionBounded], cost: Cost, threads: Threads
) -> None:
    walk = make(ALL)
    new = [schedule_of(outcome) for outcome in runs(walk, program(threads)) if walk.last_is_new]
    assert walk.new == dict.fromkeys(range(max(walk.new) + 1), 0) | count(threads, cost, life=False)
    assert walk.exhausted
    assert len(set(new)) == len(new) == sum(walk.new.values())


def test_preemption_counts_are_those_of_words_by_how_often_a_block_is_cut() -> None:
    """Main reads twice behind its spawn, the other task 3 times: the words of aabbb, behind the spawn as an a."""
    walk = PreemptionBounded(ALL)
    assert len(list(runs(walk, program(((("spawn", 1), READ, READ), (READ,) * 3))))) == walk.runs
    assert walk.new == Counter(_cuts("a" + word) for word in _words("aabbb")) == {0: 1, 1: 2, 2: 4, 3: 2, 4: 1}


def _words(letters: str) -> set[str]:
    if not letters:
        return {""}
    return {c + rest for i, c in enumerate(letters) for rest in _words(letters[:i] + letters[i + 1 :])}


def _cuts(word: str) -> int:
    return sum(a != b and a in word[i + 1 :] for i, (a, b) in enumerate(pairwise(word)))


@EACH
def test_delay_bound_0_is_one_schedule_and_no_task_is_preempted_in_it(threads: Threads) -> None:
    walk = DelayBounded(0)
    [outcome] = runs(walk, program(threads))
    assert (walk.new, walk.exhausted) == ({0: 1}, False)
    events, masks = outcome.record.events, outcome.record.masks
    places = [step for step, (_, op, *_) in enumerate(events) if not OF_LIFE >> (op & KIND_MASK) & 1]
    for last, step in pairwise(places):
        before = events[last][0]
        if events[step][0] != before and masks[step] >> before & 1:
            assert next(op for task, op, *_ in events[step:] if task == before) & KIND_MASK == Kind.YIELD


def test_a_walk_ends_at_its_last_bound_and_says_that_more_is_left() -> None:
    walk = PreemptionBounded(1)
    assert sum(1 for _ in runs(walk, program(PROGRAMS["reads"]))) == walk.runs > sum(walk.new.values())
    assert (sorted(walk.new), walk.exhausted, walk.next()) == ([0, 1], False, None)


def test_an_exhausted_walk_stays_so() -> None:
    walk = Enumerate()
    assert len(list(runs(walk, lambda: None))) == 1
    assert (walk.next(), walk.next(), walk.exhausted) == (None, None, True)


def test_every_combination_of_chosen_values_is_run() -> None:
    def main() -> None:
        rt.note("values", rt.choose(2), rt.choose(3), rt.choose(1))

    everything = {(a, b, 0) for a in range(2) for b in range(3)}
    for walk in (Enumerate(), PreemptionBounded(ALL), DelayBounded(ALL)):
        found = [outcome.notes("values")[0] for outcome in runs(walk, main) if walk.last_is_new]
        assert sorted(found) == sorted(everything)
    assert walk.new == {0: 1, 1: 3, 2: 2}


@pytest.mark.parametrize("make", [PreemptionBounded, DelayBounded])
def test_a_walk_switches_nowhere_but_where_tasks_can_meet(make: type[Walk]) -> None:
    """Three tasks of one op each, spawned and joined: as many schedules as orders of those ops."""

    def main() -> None:
        words = box().words
        for task in [rt.spawn(words.write, 0, value, cpu=value) for value in (1, 2, 3)]:
            rt.join(task)

    walk = make(ALL)
    assert sum(1 for _ in runs(walk, main) if walk.last_is_new) == 6
    assert walk.exhausted


@pytest.mark.parametrize("make", [PreemptionBounded, DelayBounded])
def test_a_walk_lets_a_daemon_run_before_and_after_the_end(make: type[Walk]) -> None:
    """The run does not wait for the daemon: it did nothing, one of its writes, or both."""

    def main() -> None:
        shared = box()

        def idles() -> None:
            shared.words.write(0, 1)
            shared.words.write(0, 2)

        rt.spawn(idles, cpu=1, daemon=True)
        rt.schedule()

    walk = make(ALL)
    done = {sum(kind == Kind.WRITE for _, kind, *_ in outcome.ops()) for outcome in runs(walk, main)}
    assert done == {0, 1, 2}


def lost_update() -> None:
    """BUGGY: two tasks add 1 to the same word, not atomically."""
    shared = box()

    def add() -> None:
        shared.x += 1

    for cpu in (1, 2):
        rt.spawn(add, cpu=cpu)
    rt.join_others()
    rt.note("sum", shared.x)


@pytest.mark.parametrize("make", [PreemptionBounded, DelayBounded])
def test_a_lost_update_is_found_at_bound_1_and_not_before(make: type[PreemptionBounded]) -> None:
    walk = make(1)
    sums: dict[int, set[int]] = {0: set(), 1: set()}
    for outcome in runs(walk, lost_update):
        sums[walk.bound].add(outcome.notes("sum")[0][0])
    assert sums == {0: {2}, 1: {1, 2}}


def test_a_task_that_yields_may_stay_at_a_price() -> None:
    """Otherwise the order that is asserted would exist at no bound: the yielder gets there by the other's release."""

    def main() -> None:
        shared: Box = box()

        def first() -> None:
            rt.mutex_lock(shared.mutex)
            shared.y = 1
            rt.mutex_unlock(shared.mutex)
            shared.x = 1

        def second() -> None:
            while shared.y == 0:
                rt.schedule()
            rt.mutex_lock(shared.mutex)
            rt.schedule()
            shared.x = 2

        rt.spawn(first, cpu=1)
        rt.spawn(second, cpu=2)
        rt.join_others()
        rt.note("x", shared.x)

    walk = PreemptionBounded(2)
    last = {outcome.notes("x")[0][0] for outcome in runs(walk, main)}
    assert last == {1, 2}


def test_a_loop_that_waits_by_yielding_ends_at_every_bound() -> None:
    def main() -> None:
        shared = box()

        def wait() -> None:
            while not shared.x:
                rt.schedule()

        rt.spawn(wait, cpu=1)
        shared.x = 1

    for walk in (PreemptionBounded(3), DelayBounded(3)):
        assert all(outcome.how == "finished" for outcome in runs(walk, main, steps_max=100))
        assert walk.runs > 1


# -- a program that is not the same every time ------------------------------------------------------------------------


def wild(change: Callable[[Box, float], object]) -> Program:
    """Make a program that draws behind the runtime's back."""
    draw = random.Random(5).random

    def main() -> None:
        shared = box()

        def work() -> None:
            change(shared, draw())
            for value in range(3):
                shared.y = value

        for cpu in (1, 2):
            rt.spawn(work, name=f"worker{cpu}", cpu=cpu)

    return main


def another_op(shared: Box, drawn: float) -> None:
    if drawn < 0.5:
        shared.y = 0
    else:
        shared.x = 0


def another_length(shared: Box, drawn: float) -> None:
    if drawn < 0.5:
        shared.x = 0


def another_range(shared: Box, drawn: float) -> None:
    rt.choose(2 if drawn < 0.5 else 3)


def another_task(shared: Box, drawn: float) -> None:
    if drawn < 0.5:
        rt.spawn(rt.schedule, cpu=3)
    else:
        rt.spawn(rt.schedule, cpu=3, daemon=True)
        rt.schedule()


@pytest.mark.parametrize("change", [another_op, another_length, another_range, another_task])
@pytest.mark.parametrize("text", ["enumerate", "preemption", "delay"])
def test_a_run_that_leaves_its_path_is_an_error_with_both_sides(
    text: str, change: Callable[[Box, float], object]
) -> None:
    with pytest.raises(rt.NondeterminismError) as caught:
        for _ in runs(registry.walk(text), wild(change)):
            pass
    assert "worker" in caught.value.expected
    assert caught.value.expected != caught.value.got


def test_a_choice_that_comes_at_another_step_is_an_error_though_it_looks_the_same() -> None:
    lengths = iter([1, 2])

    def main() -> None:
        shared = box()
        for _ in range(next(lengths)):
            _ = shared.x
        rt.spawn(rt.schedule, name="other", cpu=1)

    with pytest.raises(rt.NondeterminismError, match=r"at step 3 enabled \{.*at step 4 enabled \{"):
        for _ in runs(Enumerate(), main):
            pass


def test_a_run_that_ends_on_its_path_is_an_error() -> None:
    turns = iter([False, True])

    def main() -> None:
        rt.spawn(rt.schedule, name="other", cpu=1)
        rt.bug_on(next(turns), "the end")
        rt.schedule()

    with pytest.raises(rt.NondeterminismError, match=r"enabled \{.*other.*the end of the run"):
        for _ in runs(Enumerate(), main):
            pass


def test_the_divergence_is_told_to_whoever_learns_too() -> None:
    walk, main = PreemptionBounded(preemption.BOUND), wild(another_op)
    with pytest.raises(rt.NondeterminismError) as caught:
        while (strategy := walk.next()) is not None:
            walk.learn(fiber(main, strategy, raising=False).engine)  # type: ignore[arg-type]
    assert "write box:0." in str(caught.value)


def test_a_schedule_has_to_be_learned_before_the_next_one() -> None:
    walk = Enumerate()
    walk.next()
    with pytest.raises(InternalError, match="learned"):
        walk.next()


@pytest.mark.parametrize(
    ("text", "kind", "bound"),
    [
        ("delay", DelayBounded, 3),
        ("delay:bound=5", DelayBounded, 5),
        ("preemption", PreemptionBounded, 2),
        ("preemption:bound=0", PreemptionBounded, 0),
        ("enumerate", Enumerate, 0),
    ],
)
def test_they_are_known_by_name(text: str, kind: type[Walk], bound: int) -> None:
    made = registry.walk(text)
    assert registry.is_systematic(text) and type(made) is kind
    assert made.bound_max == bound
