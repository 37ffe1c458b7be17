"""What holds for every sampler: the draws decide everything, values are uniform, the registry makes them."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from mmrace import runtime as rt
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.kinds import KIND_MASK, OF_LIFE
from mmrace.runtime.strategy import BaseStrategy, SteeredRun, Strategy
from mmrace.runtime.task import Task
from mmrace.strategies import registry
from mmrace.strategies.contract import LaneUse, Profile
from mmrace.strategies.feedback import Corpus, Tape
from mmrace.strategies.feedback import stream as tape
from mmrace.strategies.portfolio import MEMBERS, TURNS, member
from tests.strategies import programs
from tests.strategies.chances import FALSE_ALARM, as_uneven
from tests.strategies.programs import Plan, R, W, cells, lane_of_cell, order_of, play, profile, run, sampler, stream

SAMPLERS = ("random", "pos", "urw", "surw", "pct", "pct:depth=3", "random-delays")
RUNS = 4000


def busy() -> None:
    """Locks, choices, yields, children: a bit of everything, with many schedules."""
    made = cells()

    def child() -> None:
        made.words.write(0, rt.choose(5))

    def body(number: int) -> None:
        for i in range(4):
            made.words.write(i % 2, number)
            rt.spin_lock(made.lock)
            made.words.read(2)
            rt.spin_unlock(made.lock)
            rt.schedule()
        rt.spawn(child, cpu=None)

    for number in range(3):
        rt.spawn(body, number, name=f"t{number}", cpu=None)


def profile_of_busy() -> Profile:
    """About what a profiled run of `busy` shows."""
    ops = {"main": 5, **{f"t{i}": 23 for i in range(3)}, **{f"t{i}.0": 4 for i in range(3)}}
    parents = {name: "main" if "." not in name else name[:2] for name in ops if name != "main"}
    lanes = {lane_of_cell(cell): LaneUse(("t0", "t1", "t2"), 6, 6, {"t0": 2, "t1": 2, "t2": 2}) for cell in range(2)}
    return profile(ops, parents, 60, lanes)


@pytest.mark.parametrize("text", SAMPLERS)
@pytest.mark.parametrize("seed", range(5))
def test_the_same_draws_give_the_same_schedule(text: str, seed: int) -> None:
    made, first = sampler(text), tape(seed, 0, Corpus())
    one = run(busy, made.strategy(first, profile_of_busy()), trimmed=False)
    # exactly the draws of the first run: one more would raise StopIteration
    again = Tape(iter(first.drawn))
    two = run(busy, made.strategy(again, profile_of_busy()), trimmed=False)
    assert one.events == two.events and one.masks == two.masks
    assert again.drawn == first.drawn


@pytest.mark.parametrize("text", SAMPLERS)
def test_engines_of_either_sort_see_the_same_schedule(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sampler(text)
    one = run(busy, made.strategy(stream(1), profile_of_busy()), trimmed=False)
    monkeypatch.setattr(programs, "ENGINE", GateEngine)
    two = run(busy, made.strategy(stream(1), profile_of_busy()), trimmed=False)
    assert one.events == two.events


@pytest.mark.parametrize("text", SAMPLERS)
def test_other_draws_give_other_schedules(text: str) -> None:
    made = sampler(text)
    runs = (run(busy, made.strategy(stream(seed), profile_of_busy()), trimmed=False) for seed in range(20))
    assert len({tuple(event[:2] for event in engine.events) for engine in runs}) > 1


@pytest.mark.slow
@pytest.mark.parametrize("text", SAMPLERS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_each_value_is_chosen_with_equal_chances(text: str, n: int) -> None:
    def main() -> None:
        values.append(rt.choose(n))

    values: list[int] = []
    made = sampler(text)
    for seed in range(RUNS // 4):
        run(main, made.strategy(stream(seed), profile_of_busy()))
    expected = dict.fromkeys(range(n), Fraction(1, n))
    assert as_uneven(Counter(values), expected) > FALSE_ALARM


def test_round_robin_takes_turns_and_chooses_the_ordinary_value() -> None:
    def never() -> float:
        raise AssertionError("round-robin drew something")

    def main() -> None:
        assert rt.choose(3) == 0

    plan: Plan = ((W(),) * 4, (R(),) * 4)
    run(main, sampler("round-robin").strategy(never, None))
    assert order_of(run(play(plan), sampler("round-robin").strategy(never, None))) == (0, 1) * 4
    # t1's first turn began before the strategy was asked
    assert order_of(run(play(plan), sampler("round-robin:turn=2").strategy(never, None))) == (1, 0, 0, 1, 1, 0, 0, 1)


def test_the_portfolio_takes_turns_over_registered_samplers() -> None:
    assert [member(index) for index in range(2 * len(TURNS))] == [*TURNS, *TURNS]
    for text in MEMBERS:
        strategy, options = registry.parse(text)
        assert strategy.kind == "sampler"
        assert sampler(text).strategy(stream(0), profile_of_busy()) is not None
        assert options == dict(strategy.options)


def test_the_portfolio_begins_with_surw_and_gives_it_half_of_its_turns_and_random_walk_none() -> None:
    assert TURNS[0] == "surw" and 2 * TURNS.count("surw") >= len(TURNS)
    assert "random" not in TURNS


class Watching(BaseStrategy):
    """Passes everything on, and keeps whether an op of a task's life was pending."""

    def __init__(self, inner: Strategy) -> None:
        self.inner = inner
        self.asked_of_life, self.asked_when_alone = inner.asked_of_life, inner.asked_when_alone
        self.of_life: list[bool] = []

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the inner strategy's task."""
        self.of_life.append(any(OF_LIFE >> (task.pending & KIND_MASK) & 1 for task in enabled))
        return self.inner.pick(enabled, running, step)

    def attach(self, run: SteeredRun) -> None:
        """Pass the run on."""
        self.inner.attach(run)

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the inner strategy's value."""
        return self.inner.choose(task, n, step)


@pytest.mark.parametrize("text", SAMPLERS)
def test_only_walks_and_pos_and_urw_switch_where_a_task_begins_ends_joins_or_draws_a_value(text: str) -> None:
    """Nobody can meet such an op; POS and URW weigh all ops."""
    watching = Watching(sampler(text).strategy(stream("life"), profile_of_busy()))
    run(busy, watching, trimmed=False)
    assert watching.of_life
    assert any(watching.of_life) == (text in ("random", "pos", "urw"))


def test_samplers_say_whether_they_need_a_profile() -> None:
    needed = {text: sampler(text).profiled for text in (*SAMPLERS, "round-robin")}
    assert [text for text, profiled in needed.items() if not profiled] == ["random", "pos", "round-robin"]
    for text in ("random", "pos", "round-robin"):
        sampler(text).strategy(stream(0), None)
