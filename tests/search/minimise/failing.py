"""Small programs whose smallest failing schedules are known, and records of them that are far from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mmrace import installed
from mmrace import runtime as rt
from mmrace.runs import functions
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunSpec
from mmrace.runtime.param import Value
from mmrace.runtime.record import Record
from mmrace.search.minimise.trials import Budget, Case, Trials, case_of
from mmrace.strategies.guided import preemptions_of

SEEDS = 200  # of the random walk: each program here fails in one of ten, so that all pass in less than one of 10^9


class Pair(rt.Struct):
    """Two numbers."""

    x = rt.shared(0)
    y = rt.shared(0)


def _write_both(pair: Pair) -> None:
    pair.x = 1
    pair.y = 1
    pair.x = 2
    pair.y = 2


def _look(pair: Pair) -> None:
    x = pair.x
    y = pair.y
    assert (x, y) != (1, 2), "torn"


def torn(idlers: int = 3) -> None:
    """BUGGY: fails if the reader comes behind the first write, and then waits for the last: two turning points."""
    pair = Pair("pair")
    for number in range(idlers):
        rt.spawn(_idle, name=f"idler.{number}")
    rt.spawn(_write_both, pair, name="writer")
    rt.spawn(_look, pair, name="reader")
    rt.join_others()


def _idle() -> None:
    for _ in range(3):
        rt.schedule()


def chosen(rounds: int = 5) -> None:
    """BUGGY: fails in the second round or later if a choice out of ten is 4 or more; no schedule matters."""
    pair = Pair("pair")
    rt.spawn(_look, pair, name="reader")
    for number in range(rounds):
        value = rt.choose(10)
        assert number < 1 or value < 4, "too much"
    rt.join_others()


def at_once() -> None:
    """BUGGY: fails before anything is explored."""
    with rt.fixed_order():
        pair = Pair("pair")
        pair.x = 1
        raise AssertionError("at once")


def makers_of(**known: Callable[..., object]) -> Makers:
    """Return the makers of functions by name."""
    return installed.makers_with(FunctionMaker(here={f"{name}.py:main": fn for name, fn in known.items()}))


def failing(
    function: Callable[..., object], oracle: str, *, turns: int = 0, **params: Value
) -> tuple[Record, Makers, str]:
    """Return a record of a random walk in which an oracle found something, with at least so many turning points."""
    name = f"{function.__module__.rpartition('.')[2]}_{function.__name__}"
    makers = makers_of(**{name: function})
    spec = RunSpec(f"{name}.py:main", tuple(sorted(params.items())), engine="fiber", maker=functions.KIND)
    for seed in range(SEEDS):
        result = run_one(replace(spec, seed=seed), makers=makers)
        found = [finding.signature for finding in result.findings if finding.oracle == oracle]
        if found and result.record is not None and len(preemptions_of(result.record)) >= turns:
            return result.record, makers, found[0]
    raise AssertionError(f"{name} never failed by {oracle}")


def trials_of(record: Record, makers: Makers, signature: str, oracle: str, budget: Budget | None = None) -> Trials:
    """Return who tries schedules of a record's program."""
    name, given = str(record.header["program"]), tuple(sorted(record.header["given"].items()))
    spec = RunSpec(name, given, engine="fiber", maker=functions.KIND, seed=int(record.header["seed"]))
    return Trials(spec, makers, signature, oracle, budget or Budget())


def first_case(trials: Trials, record: Record) -> Case:
    """Return the case that a record is a run of."""
    return case_of(record, trials.base.params, trials.base.seed)
