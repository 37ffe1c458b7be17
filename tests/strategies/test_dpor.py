"""Source-DPOR sees all that enumeration sees, on programs for each primitive and on random ones; a rule less, and not.

`python -m tests.strategies.test_dpor` prints what each program costs: executions, how many of them were
abandoned because all enabled tasks slept, and the schedules of the enumeration beside.
"""

from __future__ import annotations

from functools import cache

import pytest

from mmrace.runtime.gate import GateEngine
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.enumerate import Enumerate
from tests.strategies.dpor_digests import Digests
from tests.strategies.dpor_drawn import FAMILIES, Drawn, drawn
from tests.strategies.dpor_families import daemons
from tests.strategies.dpor_families.listed import AT_ONCE, PROGRAMS
from tests.strategies.dpor_families.waits import PROGRAMS_BEYOND
from tests.strategies.dpor_grammar import FRAME, Framed
from tests.strategies.dpor_programs import Seen, enumerated, explore, schedules_about
from tests.strategies.dpor_rules import TAKEN_OUT
from tests.strategies.order.shapes import Shape, shape

SEEDS = 8  # random programs a family
OPS_MAX = 3  # of each task, so that most can be enumerated
SCHEDULES_MAX = 400
GUESS_MAX = 20 * SCHEDULES_MAX  # the estimate knows nothing of locks
RUNS_OUT = 2000  # a rule less may mean no end
BLOCKED_SHARE = 10  # at most one execution in so many is abandoned
LARGE = {"daemon || mutex kept || mutex"}  # thousands of schedules; not for a quick tier

FOUR = "Wx || Wz;Wy || if Rz: if Ry==0: Rx"

LOSES = {
    "acquire races with the acquire before, on the clock before the release": "ABBA",
    "a lock is free again whoever released it": "lock, write || release when written || lock",
    "who waits at the end races with who holds": "mutex held for ever || mutex",
    "a try since does not hide the holder": "mutex held for ever, child tries",
    "a try is no acquire": "lock, write, unlock || try",
    "a get does not commute with a look": "get || get || count",
    "a get does not commute with a put": "freeze || get || put",
    "a get does not commute with a freeze": "freeze || get || put",
    "an addition is seen": "add || add || look",
    "an unfreeze is seen": "freeze || get || put",
    "a get unless zero is seen": "put, get || get unless zero",
    "a plain store touches all bits": "lost waiters bit",
    "a store inside a bit spinlock does not hide who took it": "bit spinlock || plain store inside and outside",
    "queue and wake meet": "lost wake-up",
    "a wake meets who queues": "wait event",
    "exclusive sleepers stand in order": "exclusive sleepers, one wake for the first",
    "the wake of that queue": "two queues",
    "choose has branches": "choose",
    "a sleeping choose met what any branch met": "choose frees || read",
    "a blocked run's races count": FOUR,
    "freed memory is written": "free || read",
    "a use after free meets all ops on it": "free || read",
    "a CPU is exclusive": "interrupt takes a lock held on its CPU",
    "the main task counts on its CPU": "shared CPU, main releases",
    "notes are compared": "notes",
    "who waits when a run is abandoned races with who holds": "bug || mutex twice || mutex, write",
    "others are tried before the step that ends the run": "bug || write, write",
    "the end of a run meets what daemons did": "daemon || task",
    "fixed order behind a step cuts daemons off": "daemon, main reads in fixed order",
    "a daemon's child delays who waits for all": "daemon spawns, main joins and reads",
    "and what would have been the end": "daemon spawns, main does not join",
    "to look who lives is a step's doing": "daemon spawns, main works, joins and reads",
    "who waits for all in vain could have gone on before a birth": "daemon spawns, main waits for it in vain",
    "daemons are not waited for": "daemon, main reads after join",
}
"""Rule -> a program of which an outcome is lost without it."""

COSTS = {
    "a try that failed reads": "lock, write, unlock || try || try",
    "gets commute": "get || get || count",
    "additions commute": "add || add || look",
    "bits are lanes of their own": "wait on bit",
}
"""Rule that only reduces -> a program that costs more without it."""


@cache
def reduced(name: str) -> tuple[Seen, Dpor]:
    """Search a program."""
    search = Dpor()
    return explore(PROGRAMS[name], search), search


@cache
def full(name: str) -> Seen:
    """Enumerate a program."""
    return enumerated(PROGRAMS[name], name in AT_ONCE)


@cache
def compared(family: str) -> tuple[list[tuple[Drawn, Seen, Seen]], int]:
    """Search and enumerate random programs; return also how many were too large."""
    pairs: list[tuple[Drawn, Seen, Seen]] = []
    large = 0
    for seed in range(SEEDS):
        main = drawn(family, seed, OPS_MAX)
        if schedules_about(main, main.apart) > GUESS_MAX:
            large += 1
            continue
        every = enumerated(main, main.apart, SCHEDULES_MAX)
        if every.done:
            pairs.append((main, explore(main, Dpor()), every))
        else:
            large += 1
    return pairs, large


# -- complete ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in PROGRAMS]
)
def test_dpor_sees_what_enumeration_sees(name: str) -> None:
    every, (seen, search) = full(name), reduced(name)
    assert every.done and seen.done and search.exhausted
    assert seen.outcomes == every.outcomes
    if name not in AT_ONCE:
        assert seen.runs < every.runs


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_dpor_sees_what_enumeration_sees_of_random_programs(family: str) -> None:
    pairs, large = compared(family)
    assert pairs, f"{large} of {SEEDS} programs were too large"
    for main, seen, every in pairs:
        assert seen.done and seen.outcomes == every.outcomes, main


def test_deadlocks_and_lost_wake_ups_are_among_them() -> None:
    kinds = {end[1] for name in PROGRAMS for end in reduced(name)[0].ends}
    assert kinds >= {"cycle", "stuck", "lost-wakeup"}


def test_a_program_of_four_outcomes_has_four() -> None:
    assert len(reduced(FOUR)[0].outcomes) == 4


@pytest.mark.slow
def test_few_executions_are_abandoned() -> None:
    seen = [reduced(name)[0] for name in PROGRAMS]
    seen += [pair[1] for family in FAMILIES for pair in compared(family)[0]]
    runs, blocked = sum(one.runs for one in seen), sum(one.blocked for one in seen)
    assert blocked * BLOCKED_SHARE <= runs, f"{blocked} of {runs}"


def test_a_retry_is_let_go_by_a_store_to_what_it_looked_at_only() -> None:
    main = PROGRAMS_BEYOND["retry || store elsewhere"]
    assert explore(main, Dpor()).outcomes == enumerated(main).outcomes


# -- no more than complete ---------------------------------------------------------------------------------------------


CPUS_APART = [
    name for name in PROGRAMS
    if not any(word in name for word in ("CPU", "interrupt", "daemon", "free ", "frees", "bug")) and name not in AT_ONCE
]  # fmt: skip
"""Programs in which the class is a matter of lanes alone, and all runs can be seen."""


@pytest.mark.parametrize("name", CPUS_APART)
def test_each_class_is_executed_once(name: str) -> None:
    mine, every = Digests(), Digests()
    explore(PROGRAMS[name], Dpor(), watch=mine.watch)
    explore(PROGRAMS[name], Enumerate(), watch=every.watch)
    assert len(mine.values()) == len(set(mine.values()))
    assert set(mine.values()) == set(every.values())


@pytest.mark.parametrize("name", daemons.CLASSES)
def test_each_class_is_executed_once_where_daemons_are(name: str) -> None:
    mine, every = Digests(), Digests()
    explore(PROGRAMS[name], Dpor(), watch=mine.watch)
    explore(PROGRAMS[name], Framed(FRAME), watch=every.watch)
    assert len(mine.values()) == len(set(mine.values()))
    assert set(mine.values()) == set(every.values())


@pytest.mark.parametrize("name", CPUS_APART)
def test_each_partial_order_is_executed_once(name: str) -> None:
    search = Dpor()
    taken: list[Shape] = []
    back = search._back

    def shaped() -> None:
        if search._engine.end["how"] != "abandoned":
            taken.append(shape(search.order))
        back()

    search._back = shaped  # type: ignore[method-assign]
    explore(PROGRAMS[name], search)
    assert len(set(taken)) == len(taken) == search.counts.classes


# -- one rule less -----------------------------------------------------------------------------------------------------


def test_every_rule_has_its_witness() -> None:
    assert {*LOSES, *COSTS} == set(TAKEN_OUT)


@pytest.mark.parametrize("rule", LOSES)
def test_an_outcome_is_lost_without_the_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = LOSES[rule]
    every = full(name)
    TAKEN_OUT[rule](monkeypatch)
    seen = explore(PROGRAMS[name], Dpor(), runs_max=RUNS_OUT)
    assert seen.outcomes != every.outcomes
    assert not seen.outcomes - every.outcomes


@pytest.mark.parametrize("rule", LOSES)
def test_nothing_is_lost_with_the_rule(rule: str) -> None:
    name = LOSES[rule]
    assert reduced(name)[0].outcomes == full(name).outcomes


@pytest.mark.parametrize("rule", COSTS)
def test_executions_rise_without_the_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = COSTS[rule]
    with_rule = reduced(name)[0]
    TAKEN_OUT[rule](monkeypatch)
    without = explore(PROGRAMS[name], Dpor(), runs_max=RUNS_OUT)
    assert without.runs > with_rule.runs
    assert without.outcomes == with_rule.outcomes


# -- engines -----------------------------------------------------------------------------------------------------------

ON_BOTH = (
    "ABBA", "lost wake-up", "choose", "interrupt takes a lock held on its CPU", "sleeping bit lock", "free || read",
    "shared CPU, waits with preemption off", "spawn, join", FOUR,
)  # fmt: skip


@pytest.mark.parametrize("name", ON_BOTH)
def test_gate_and_fiber_search_alike(name: str) -> None:
    fiber = explore(PROGRAMS[name], Dpor(), keep=True)
    gate = explore(PROGRAMS[name], Dpor(), keep=True, engine=GateEngine)
    assert [(run.events, run.masks, run.end) for run in gate.engines] == [
        (run.events, run.masks, run.end) for run in fiber.engines
    ]


# -- what it costs -----------------------------------------------------------------------------------------------------


def table() -> str:
    """Say what each program costs."""
    rows: list[tuple[str, ...]] = [("program", "executions", "classes", "blocked", "schedules", "outcomes")]
    for name in PROGRAMS:
        seen, search = reduced(name)
        every = full(name)
        schedules = f"{every.runs}{'*' if name in AT_ONCE else ''}"
        counts = search.counts
        outcomes = f"{len(seen.outcomes)}/{len(every.outcomes)}"
        numbers = (counts.runs, counts.classes, counts.blocked, schedules, outcomes)
        rows.append((name, *map(str, numbers)))
    total = [0, 0, 0, 0]
    for family in FAMILIES:
        pairs, _ = compared(family)
        sums = (
            sum(seen.runs for _, seen, _ in pairs), sum(seen.runs - seen.blocked for _, seen, _ in pairs),
            sum(seen.blocked for _, seen, _ in pairs), sum(all_.runs for *_, all_ in pairs),
        )  # fmt: skip
        outcomes = f"{sum(len(seen.outcomes) for _, seen, _ in pairs)}/{sum(len(all_.outcomes) for *_, all_ in pairs)}"
        rows.append((f"random: {family} ({len(pairs)})", *map(str, sums), outcomes))
        total = [a + b for a, b in zip(total, sums, strict=True)]
    seen_all = [reduced(name)[0] for name in PROGRAMS]
    blocked = total[2] + sum(seen.blocked for seen in seen_all)
    runs = total[0] + sum(seen.runs for seen in seen_all)
    lines = [f"{row[0]:48}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
    lines += ["* begin and end of tasks not enumerated", f"abandoned: {blocked} of {runs} ({blocked / runs:.1%})"]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
