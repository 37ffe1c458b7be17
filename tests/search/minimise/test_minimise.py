"""Minimising: how small it gets where the smallest failing schedule is known, and that it stays the same bug."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from mmrace.examples import bounded_queue, lost_update, two_locks
from mmrace.runs import stops
from mmrace.runs.follow_minimal import replay_minimal
from mmrace.runs.minimal import Minimal
from mmrace.runs.run import run_one
from mmrace.runtime.errors import NondeterminismError, NotAsRecorded, UsageError
from mmrace.runtime.param import Value
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget
from tests.search.minimise.failing import at_once, chosen, failing, makers_of, torn, trials_of

Known = tuple[Callable[..., object], str, dict[str, Value], tuple[int, int], dict[str, Value]]

KNOWN: list[Known] = [
    (lost_update.main, "exception", {"tasks": 5}, (1, 0), {"tasks": 2}),
    (two_locks.main, "liveness", {}, (1, 0), {}),
    (torn, "exception", {"idlers": 3}, (2, 0), {"idlers": 0}),
    (chosen, "exception", {"rounds": 6}, (0, 1), {"rounds": 2}),
]


def small(function: Callable[..., object], oracle: str, **params: Value) -> Minimal:
    record, makers, signature = failing(function, oracle, turns=3, **params)
    return minimise(record, makers, signature, Budget())


@pytest.mark.parametrize(("function", "oracle", "params", "steps", "least"), KNOWN, ids=lambda part: str(part)[:20])
def test_the_smallest_schedule_and_program_are_found(
    function: Callable[..., object],
    oracle: str,
    params: dict[str, Value],
    steps: tuple[int, int],
    least: dict[str, Value],
) -> None:
    minimal = small(function, oracle, **params)
    after = minimal.shrunk.after
    assert (after.turns, after.choices) == steps
    assert after.params == least
    assert minimal.shrunk.fewest
    assert minimal.shrunk.complete
    assert (minimal.replayed.same, minimal.replayed.of) == (5, 5)
    assert minimal.finding.oracle == oracle


def test_the_script_of_a_lost_update_is_what_a_person_would_write() -> None:
    record, makers, signature = failing(lost_update.main, "exception", turns=3)
    minimal = minimise(record, makers, signature, Budget())
    assert minimal.script == "main.0 until deposit:balance#2; main.1 until end; rest main main.0 main.1"
    spec = replace(minimal.spec, strategy=f"script:text={minimal.script}")
    result = run_one(spec, makers=makers)
    assert signature in {finding.signature for finding in result.findings}
    assert result.followed is not None
    assert result.followed.done == result.followed.of == 2


def test_what_fails_before_anything_is_explored_has_a_minimal_file_and_no_script() -> None:
    record, makers, signature = failing(at_once, "exception")
    minimal = minimise(record, makers, signature, Budget())
    assert (minimal.shrunk.after.turns, minimal.script, minimal.causal) == (0, "", ())
    assert minimal.shrunk.fewest
    assert minimal.replayed.same == 5


def test_a_choice_becomes_the_lowest_that_fails() -> None:
    minimal = small(chosen, "exception", rounds=6)
    assert [value.value for value in minimal.schedule.choices] == [4]


@pytest.mark.slow
def test_the_queue_that_wakes_the_wrong_one_stays_a_lost_wake_up() -> None:
    record, makers, signature = failing(bounded_queue.main, "liveness", turns=3)
    minimal = minimise(record, makers, signature, Budget(runs=1500))
    assert minimal.signature == signature
    assert minimal.shrunk.after.params == {"pairs": 2}
    assert minimal.shrunk.after.turns <= 3


def test_with_a_budget_of_runs_the_same_record_gives_the_same_file() -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    texts = []
    for _ in range(2):
        plain = minimise(record, makers, signature, Budget(runs=60)).plain()
        plain["shrunk"]["seconds"] = plain["date"] = None
        texts.append(json.dumps(plain))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("runs", [1, 2, 5, 12, 30])
def test_whatever_the_budget_the_finding_and_its_replays_are_kept(runs: int) -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    minimal = minimise(record, makers, signature, Budget(runs=runs))
    assert minimal.signature == signature
    assert minimal.shrunk.runs <= runs
    assert not minimal.shrunk.complete
    assert minimal.replayed.same == 5
    assert minimal.shrunk.after.turns <= minimal.shrunk.before.turns


def test_time_that_is_up_ends_it() -> None:
    ticks = iter(range(10_000))
    record, makers, signature = failing(torn, "exception", turns=3)
    minimal = minimise(record, makers, signature, Budget(seconds=20, clock=lambda: float(next(ticks))))
    assert not minimal.shrunk.complete
    assert minimal.replayed.same == 5


def test_who_asks_to_stop_gets_what_is_smallest_by_then() -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    ticks = iter(range(10_000))

    def clock() -> float:
        if next(ticks) == 20:
            stops.ask(signal.SIGTERM)
        return 0.0

    with stops.handled():
        minimal = minimise(record, makers, signature, Budget(seconds=60, clock=clock))
        assert stops.asked() == signal.SIGTERM
    assert not minimal.shrunk.complete
    assert minimal.shrunk.runs <= 21
    assert minimal.shrunk.after.turns < minimal.shrunk.before.turns
    assert minimal.replayed.same == 5


def test_another_signature_is_refused_with_those_that_there_are() -> None:
    record, makers, signature = failing(torn, "exception")
    with pytest.raises(UsageError, match=signature):
        minimise(record, makers, "0" * 12, Budget())


def test_a_record_of_free_threads_is_refused_with_what_makes_one_that_is_not() -> None:
    record, makers, signature = failing(torn, "exception")
    record.header["engine"] = "free"
    with pytest.raises(UsageError, match="mmrace replay FILE --record"):
        minimise(record, makers, signature, Budget())


def test_a_program_that_fails_no_more_is_said_to_go_otherwise() -> None:
    record, _, signature = failing(torn, "exception")
    name = record.header["program"].removesuffix(".py:main")
    with pytest.raises(NondeterminismError, match=signature):
        minimise(record, makers_of(**{name: chosen_not}), signature, Budget())


def chosen_not(idlers: int = 3) -> None:
    """Do nothing that fails."""


def test_a_minimal_file_is_replayed_strictly_and_one_whose_schedule_was_edited_is_not() -> None:
    record, makers, signature = failing(torn, "exception", turns=3)
    minimal = minimise(record, makers, signature, Budget())
    result, why = replay_minimal(minimal, makers)
    assert not why
    assert signature in {finding.signature for finding in result.findings}
    plain = json.loads(json.dumps(minimal.plain()))
    plain["schedule"]["turns"][0]["visit"] += 1
    with pytest.raises(NotAsRecorded, match="schedule makes another run"):
        replay_minimal(Minimal.parse(json.dumps(plain).encode(), "edited"), makers)


def test_a_data_race_is_found_again_among_schedules_that_are_drawn() -> None:
    """Its signature names sites, so the runs have to keep them."""
    record, makers, signature = failing(lost_update.main, "data-race")
    trials = trials_of(record, makers, signature, "data-race")
    found = trials.sampled(trials.base.params, 40)
    assert found is not None and found.fails
