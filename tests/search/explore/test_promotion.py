"""Switch points are looked for by schedules like others, and learnt from every run, the same for any `--jobs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmrace.examples import lost_update
from mmrace.runs import functions, named
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.profile import RACING
from mmrace.runs.program import Makers
from mmrace.runs.replay import REPLAYS
from mmrace.runs.run import run_one
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.promotion import EVERY, FIRST, LOOK, LOOKS, Promotion
from tests.programs import rare_race
from tests.search.explore.explorations import Notes, Watching

RARE_MAX = 6_000
"""Schedules that miss the rare bug with a chance below 1e-6: one run in 80 shows the race, so that 2,048 do but for a
chance of 1e-11, and one in 270 of the rest then meets the bug (4e-7)."""


def explorer(program: Callable[[], None], folder: Path, jobs: int = 0, **more: Any) -> Watching:
    """Make the exploration of a function; without workers unless told."""
    name, digest = named.name_of(program)
    ask = Ask(name, maker=functions.KIND, digest=digest, jobs=jobs, **more)
    return Watching(ask, Makers(FunctionMaker({} if jobs else {name: program})), folder, Notes())


# -- what is a look, and when a generation ends -------------------------------------------------------------------


def learning(strategy: str = "pos", promote: str = RACING) -> Promotion:
    return Promotion(Ask("alpha", strategy=strategy, promote=promote))


def test_looks_come_first_and_then_leave_three_quarters_to_the_search() -> None:
    plan = learning()
    looks = [index for index in range(1000) if plan.is_look(index)]
    assert looks[:FIRST] == list(range(FIRST)) and len(looks) == LOOKS
    assert all(plan.looks(n) == len([index for index in looks if index < n]) for n in range(1000))
    assert all(plan.looks(n) <= FIRST + n / EVERY for n in range(1000))


def test_each_turn_of_the_strategy_is_one_schedule() -> None:
    plan = learning()
    drawn = [index for index in range(1000) if not plan.is_look(index)]
    assert [plan.turn(index) for index in drawn] == list(range(len(drawn)))
    assert [plan.index_of(turn) for turn in range(len(drawn))] == drawn


def test_generations_grow_so_that_few_are_waited_for() -> None:
    plan, ends = learning(), [0]
    while ends[-1] < 100_000:
        end = plan.end(ends[-1])
        assert end is not None and plan.end(end - 1) == end
        ends.append(end)
    assert ends[:5] == [0, FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST] and len(ends) < 20


def test_a_field_is_a_switch_point_from_the_next_generation_on() -> None:
    plan = learning()
    plan.name({"Box.y", "Box.x"})
    assert plan.text == "none"
    plan.learn(FIRST)
    assert plan.text == "Box.x,Box.y"
    plan.name({"Box.x"})
    plan.learn(2 * FIRST)
    plan.name({"Box.z"})
    plan.learn(4 * FIRST)
    assert plan.since == {FIRST: ("Box.x", "Box.y"), 4 * FIRST: ("Box.z",)}


@pytest.mark.parametrize(
    ("strategy", "promote"), [("pos", "all"), ("pos", "Box.x"), ("dpor", RACING), ("script:text=rest fair", RACING)]
)
def test_nothing_is_looked_for_where_switch_points_are_settled(strategy: str, promote: str) -> None:
    plan = learning(strategy, promote)
    assert not plan.learning
    assert (plan.is_look(0), plan.turn(7), plan.end(0)) == (False, 7, None)


# -- in an exploration -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_field_whose_race_few_runs_show_becomes_a_switch_point_and_its_bug_is_found(tmp_path: Path) -> None:
    """BUG once: 24 walks missed the race, and no schedule of thousands could switch there, though many showed it."""
    made = explorer(rare_race.main, tmp_path, runs=RARE_MAX, without=("data-race",), until_found=True)
    result = made.run()
    assert [hit.finding.oracle for hit in result.hits.values()] == ["bug-on"]
    assert "Door.passed" in (result.promoted or ())
    [(signature, hit)] = result.hits.items()
    assert result.replayed[signature] == (REPLAYS, REPLAYS)
    again = run_one(hit.spec, makers=made.makers)
    assert signature in [finding.signature for finding in again.findings], "its command stands alone"


def test_looks_are_judged_counted_and_kept_as_other_schedules(tmp_path: Path) -> None:
    made = explorer(lost_update.main, tmp_path, runs=FIRST, strategy="pos")
    result = made.run()
    assert (result.tally.runs, result.looks, result.classes.runs) == (FIRST, FIRST, FIRST)
    assert list(result.by_strategy) == [LOOK]
    assert result.verdict == "FAIL"
    for signature, hit in result.hits.items():
        assert hit.spec.strategy == LOOK and "--promote" not in hit.spec.command()
        assert result.replayed[signature] == (REPLAYS, REPLAYS)


def test_until_found_stops_at_what_a_look_found(tmp_path: Path) -> None:
    result = explorer(lost_update.main, tmp_path, runs=100, strategy="pos", until_found=True).run()
    assert result.hits and result.tally.runs <= FIRST


def test_every_run_counts_and_none_is_made_before_the_time_begins(tmp_path: Path) -> None:
    """BUG once: 24 uncounted walks came first; on a rich cast the time was up before the first schedule."""
    made = [0]

    def program() -> None:
        made[0] += 1
        rare_race.main()

    exploration = explorer(program, tmp_path, strategy="pos", seconds=10.0)
    exploration.clock = lambda: float(made[0])  # each run takes a second
    exploration._began = 0.0
    result = exploration.run()
    assert result.tally.runs == made[0] == len(exploration.seen)
    assert 10 <= made[0] < LOOKS and result.looks < made[0]
    assert result.verdict == "PASS"


@pytest.mark.parametrize("jobs_share", [FIRST, FIRST + 1, FIRST + 3])
def test_the_time_is_obeyed_while_a_profile_is_made(tmp_path: Path, jobs_share: int) -> None:
    """BUG once: four looks and a profile of six runs came first, whatever the time, and looks alone were PASS."""
    made = [0]

    def program() -> None:
        made[0] += 1
        rare_race.main()

    exploration = explorer(program, tmp_path, strategy="surw", seconds=float(jobs_share))
    exploration.clock = lambda: float(made[0])  # each run takes a second, those of a profile too
    exploration._began = 0.0
    result = exploration.run()
    assert made[0] <= jobs_share + 1
    assert (result.tally.runs, result.looks, result.verdict) == (FIRST, FIRST, "UNKNOWN")
    why = f"only schedules that look for racing fields were run ({FIRST}), none of surw: the time was up before"
    assert result.unknown_because().startswith(why)


def test_no_time_at_all_is_unknown_and_says_what_to_try(tmp_path: Path) -> None:
    exploration = explorer(lost_update.main, tmp_path, seconds=0.1)
    exploration.clock, exploration._began = lambda: 1.0, 0.0
    result = exploration.run()
    assert (result.tally.runs, result.verdict) == (0, "UNKNOWN")
    assert (
        result.unknown_because()
        == "no schedule was run: the time was up before; try: a longer --for, or smaller parameters"
    )


def test_the_search_begins_after_two_looks(tmp_path: Path) -> None:
    result = explorer(lost_update.main, tmp_path, runs=FIRST + 1).run()
    assert (result.looks, result.by_strategy[LOOK][0], result.by_strategy["surw"][0]) == (2, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["portfolio", "feedback:generation=20"])
def test_switch_points_are_the_same_whatever_the_number_of_workers(tmp_path: Path, strategy: str) -> None:
    """One run in six shows the race: that 128 do not has a chance of 1e-10."""
    what: dict[str, Any] = {"runs": 200, "strategy": strategy, "seed": 4, "params": (("stages", 3),)}
    here, there = (explorer(rare_race.main, tmp_path / str(jobs), jobs, **what) for jobs in (0, 2))
    results = here.run(), there.run()
    assert here.seen == there.seen and here.seen.keys() == set(range(200))
    assert results[0].since == results[1].since and results[0].looks == results[1].looks == LOOKS
    assert results[0].hits.keys() == results[1].hits.keys()
    assert "Door.passed" in (results[0].promoted or ())
