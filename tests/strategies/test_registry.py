"""The registry: what a text means, and that a strategy needs nothing but its own file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.strategies import portfolio, registry
from mmrace.strategies.contract import Registered, Unprofiled
from mmrace.strategies.feedback import Feedback
from mmrace.strategies.random_walk import RandomWalk
from mmrace.strategies.text import StrategyText

ROOT = Path(__file__).resolve().parents[2]

LATEST = """
from mmrace.strategies.contract import Drawing, Registered, Unprofiled


class Latest(Drawing):
    def pick(self, enabled, running, step):
        return max(enabled, key=lambda task: task.id)


STRATEGY = Registered("latest", "the youngest task first", lambda options: Unprofiled(Latest), {"unused": 0})
"""

DROPPED = """
import sys
import mmrace.strategies
mmrace.strategies.__path__.append(sys.argv[1])
from mmrace.strategies import registry
registry.check("latest:unused=2")
assert [one.title for one in registry.entries() if one.name == "latest"] == ["the youngest task first"]
from mmrace import runtime as rt
from mmrace.runtime.fiber import FiberEngine
def main():
    for name in "ab":
        rt.spawn(lambda: None, name=name, cpu=None)
engine = FiberEngine(registry.sampler("latest").strategy(lambda: 0.0, None))
engine.run(main)
turns = [engine.tasks[event[0]].name for event in engine.events]
print(*dict.fromkeys(turns))
"""


def test_a_sampler_dropped_into_the_folder_is_listed_parsed_and_used(tmp_path: Path) -> None:
    (tmp_path / "latest.py").write_text(LATEST)
    command = [sys.executable, "-c", DROPPED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["main", "a", "b"], "")  # each as soon as it was spawned


def test_every_file_of_the_folder_that_has_a_strategy_is_registered() -> None:
    files = [path for path in (ROOT / "mmrace" / "strategies").glob("*.py") if "\nSTRATEGY = " in path.read_text()]
    assert len(files) == len(registry.names()) >= 14


def test_lists_have_what_stands_around_others_first_and_walks_last() -> None:
    kinds = [strategy.kind for strategy in registry.entries()]
    assert list(dict.fromkeys(kinds)) == ["mix", "loop", "sampler", "walk"]
    assert sorted(strategy.name for strategy in registry.entries()) == registry.names()


# -- texts ----------------------------------------------------------------------------------------------------------


def test_a_text_is_a_name_and_options() -> None:
    assert StrategyText.of("pos") == StrategyText("pos")
    assert StrategyText.of("pct:depth=3,x=a:b=c,") == StrategyText("pct", ("depth=3", "x=a:b=c"))
    options = StrategyText.of("s:n=-3,t=x=y").options({"n": 0, "t": "", "kept": 5})
    assert options == {"n": -3, "t": "x=y", "kept": 5}


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("poss", ["a strategy", "did you mean pos", "mmrace list strategies"]),
        ("", ["the name of a strategy"]),
        ("pct:deep=3", ["an option of pct out of depth", "did you mean depth?"]),
        ("pct:depth", ["a value of pct:depth", "try: depth=VALUE"]),
        ("pct:depth=", ["a number for depth"]),
        ("pct:depth=two", ["a number for depth"]),
        ("pct:depth=-1", ["a depth >= 1"]),
        ("round-robin:turn=0", ["a turn >= 1"]),
        ("random-delays:bound=-1", ["a bound >= 1"]),
        ("portfolio:depth=3", ["an option of portfolio", "got 'depth'"]),
        ("feedback:corpses=1", ["did you mean corpus?"]),
        ("feedback:index=-1", ["an index of 0 or more"]),
        ("feedback:base=feedback", ["a strategy that draws single schedules", "try: feedback:base=pos"]),
        ("feedback:base=portfolio", ["a strategy that draws single schedules", "try: feedback:base=pos"]),
        ("dpor", ["a strategy that draws single schedules", "try: mmrace explore"]),
    ],
)
def test_a_text_that_means_nothing_is_refused_with_what_to_try(text: str, needles: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        registry.check(text)
    for needle in needles:
        assert needle in str(caught.value)


@pytest.mark.parametrize("strategy", registry.entries(), ids=lambda strategy: strategy.name)
def test_every_strategy_that_needs_no_telling_is_accepted_by_its_name(strategy: Registered) -> None:
    if "" in strategy.options.values() and strategy.kind == "sampler":
        with pytest.raises(UsageError):
            registry.check(strategy.name)
    else:
        registry.check(strategy.name, systematic=strategy.kind == "walk")
    assert registry.kind_of(strategy.name) == strategy.kind
    assert registry.is_systematic(f"{strategy.name}:any=1") == (strategy.kind == "walk")


def test_an_unknown_name_is_of_no_kind() -> None:
    assert registry.kind_of("gone:by=1") is None
    assert not registry.is_systematic("gone:by=1")


def test_a_sampler_is_no_walk() -> None:
    with pytest.raises(UsageError, match=r"walks a tree.*try: dpor"):
        registry.walk("pos")


def test_a_mix_gives_its_members_in_turn_or_by_the_seed_of_a_single_run() -> None:
    assert [registry.member_by_turn("portfolio", turn) for turn in range(3)] == list(portfolio.TURNS[:3])
    seed = 3 + 5 * len(portfolio.TURNS)
    assert registry.member_by_seed("portfolio", seed) == portfolio.TURNS[3]
    for text in ("pct:depth=3", "gone:by=1", "dpor"):
        assert registry.member_by_turn(text, 1) == registry.member_by_seed(text, 1) == text


def test_feedback_says_what_the_draws_of_one_schedule_depend_on() -> None:
    feedback = Feedback.parse("feedback:base=pct:depth=3,index=7,generation=4")
    assert feedback == Feedback("pct:depth=3", 4, "", 7)
    again = Feedback.parse(feedback.text())
    assert (again.base, again.corpus, again.index) == ("pct:depth=3", "", 7)


# -- what users register --------------------------------------------------------------------------------------------


def test_a_name_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    mine = Registered("mine", "mine", lambda _: Unprofiled(RandomWalk))
    for _ in range(2):  # as a file that is named twice does
        registry.register(mine)
    assert registry.get("mine") is mine
    with pytest.raises(UsageError, match="not taken"):
        registry.register(Registered("mine", "another", lambda _: Unprofiled(RandomWalk)))
