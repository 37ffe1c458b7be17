"""The contract of strategies: engines keep it, the defaults are what they say, and nobody asks for more by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmrace
from mmrace import runtime as rt
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.strategy import BaseStrategy, SteeredRun
from mmrace.strategies.contract import Standing, Systematic
from mmrace.strategies.delay import DelayBounded
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.enumerate import Enumerate
from tests.runtime.engines import Outcome, Program, box, fiber, gate

PACKAGE = Path(mmrace.__file__).parent
CLOSED = ("runtime", "strategies", "runs", "search", "claims")
ASKED = {"engine", "strategy", "search", "sampler", "chosen", "counts", "live"}
"""What engines and strategies are called in these folders, which ask them for what the contracts have only."""


class First(BaseStrategy):
    """The enabled task that was spawned first; remembers what it was asked."""

    def __init__(self) -> None:
        self.runs: list[SteeredRun] = []
        self.asked: list[int] = []
        self.sets: list[list[str]] = []

    def attach(self, run: SteeredRun) -> None:
        self.runs.append(run)

    def pick(self, enabled: list[rt.Task], running: rt.Task, step: int) -> rt.Task:
        self.asked.append(step)
        self.sets.append([task.name for task in enabled])
        return min(enabled, key=lambda task: task.id)


def two_tasks() -> None:
    shared = box()

    def body() -> None:
        shared.x += 1
        rt.note("value", rt.choose(4))

    with rt.fixed_order():
        body()
    for name in ("a", "b"):
        rt.spawn(body, name=name, cpu=None)


@pytest.mark.parametrize("on", [gate, fiber])
def test_an_engine_attaches_its_strategy_once_and_before_the_run(on: type) -> None:
    strategy = First()
    outcome: Outcome = on(two_tasks, strategy)
    [run] = strategy.runs
    assert [task.name for task in run.tasks] == ["main", "a", "b"]
    assert run.events == outcome.record.events and run.end["how"] == "finished"


@pytest.mark.parametrize(("alone", "fixed"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_strategy_is_asked_when_it_says_so_and_takes_the_ordinary_value(alone: bool, fixed: bool) -> None:
    strategy = First()
    strategy.asked_when_alone, strategy.asked_in_fixed_order = alone, fixed
    outcome = fiber(two_tasks, strategy)
    [(went, back)] = [tuple(strategy.runs[0].windows)]
    alone_asked = [names for names in strategy.sets if len(names) == 1]
    assert bool(alone_asked) == alone
    assert any(went <= step < back for step in strategy.asked) == (alone and fixed)
    assert outcome.notes("value") == [(0,)] * 3


@pytest.mark.parametrize("needs", [False, True])
def test_an_engine_keeps_sites_and_all_points_for_a_strategy_that_needs_them(needs: bool) -> None:
    strategy = First()
    strategy.needs_sites = needs
    outcome = fiber(two_tasks, strategy, promoted=frozenset())
    assert bool(outcome.record.sites) == needs
    assert (strategy.runs[0].promoted is None) == needs  # type: ignore[attr-defined]


def walk(search: Systematic, main: Program, runs: int) -> Iterator[Standing]:
    """Yield how far a search got after each of its first runs, and after it said that nothing is left."""
    for _ in range(runs):
        strategy = search.next()
        if strategy is None:
            yield search.standing()
            return
        engine = fiber(main, strategy).engine
        assert isinstance(engine, Controlled)
        search.learn(engine)
        yield search.standing()


def test_searches_say_how_far_they_got() -> None:
    def main() -> None:
        shared = box()
        for value in (1, 2):
            rt.spawn(shared.words.write, 0, value, cpu=None)

    def longer() -> None:
        shared = box()
        for value in (1, 2, 3):
            rt.spawn(shared.words.write, 0, value, cpu=None)

    *under_way, end = walk(Dpor(), main, 100)
    assert under_way and {(now.exhausted, now.new, now.bound, now.reduced) for now in under_way[:-1]} == {
        (False, True, None, True)
    }
    assert end == Standing(exhausted=True, reduced=True)
    *under_way, end = walk(Enumerate(), main, 10_000)
    assert under_way and {now.exhausted for now in under_way} == {False}
    assert (end.exhausted, end.bound, end.reduced) == (True, 0, False)
    found = list(walk(DelayBounded(1), longer, 10_000))
    assert [now.bound for now in found] == sorted(now.bound for now in found if now.bound is not None)
    assert (found[-1].exhausted, found[-1].bound) == (False, 1)
    assert False in [now.new for now in found]  # the schedule of bound 0 comes again at bound 1


def _asked_by_name(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield each place of a file where an attribute is looked for by name, with the names in what is asked for it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            place = f"{path.relative_to(PACKAGE)}:{node.lineno}: {ast.unparse(node)}"
            yield place, set(re.findall(r"\w+", ast.unparse(node.args[0])))


def test_nobody_looks_for_attributes_of_engines_and_strategies_by_name() -> None:
    places = [place for folder in CLOSED for path in (PACKAGE / folder).rglob("*.py") for place in _asked_by_name(path)]
    assert places  # of functions, of fields of structs: the search for such places finds some
    assert [place for place, asked in places if asked & ASKED] == []
