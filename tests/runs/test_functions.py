"""Functions as programs: their parameters, their judges, their bound, the CPUs of their tasks."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from mmrace import runtime as rt
from mmrace.runs.functions import KIND, STEPS_MAX, WALK_STEPS_MAX, FunctionMaker
from mmrace.runs.named import Function, declared
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import UsageError
from tests.runtime.engines import EXPLORED, Box, box

ENGINES = ["fiber", "gate", "free"]


def main(items: int = 2, mode: str = "fair", fair: bool = True, *rest: object, **more: object) -> None:
    """Do nothing."""


MAKER = FunctionMaker({"here:main": main})


def made(function: Function, engine: str = "fiber", seed: int = 1, **params: int | str) -> RunResult:
    """Make one run of a function."""
    spec = RunSpec("here:f", tuple(sorted(params.items())), engine=engine, seed=seed, maker=KIND)
    return run_one(spec, True, makers=Makers(FunctionMaker({"here:f": function})))


# -- parameters


def test_arguments_are_parameters_with_their_defaults() -> None:
    assert declared("here:main", main).defaults == {"items": 2, "mode": "fair", "fair": True}
    assert MAKER.program(RunSpec("here:main", (("items", 3),))).params == {"items": 3, "mode": "fair", "fair": True}


@pytest.mark.parametrize(
    ("name", "value", "needle"),
    [
        ("item", 3, "did you mean items?"),
        ("items", "3", "a whole number"),
        ("mode", 3, "a text"),
        ("fair", "yes", "true or false"),
    ],
)
def test_what_is_no_argument_or_of_another_type_is_refused(name: str, value: int | str, needle: str) -> None:
    with pytest.raises(UsageError, match=needle.replace("?", r"\?")):
        MAKER.program(RunSpec("here:main", ((name, value),)))


def test_texts_are_typed_as_the_defaults_are() -> None:
    texts = {"items": "7", "mode": "7", "fair": "no"}
    assert declared("here:main", main).typed(texts) == {"items": 7, "mode": "7", "fair": False}


def needs_one(items: int) -> None:
    """Need an argument."""


def needs_one_by_name(*, items: int) -> None:
    """Need an argument."""


def takes_a_fraction(items: float = 1.5) -> None:
    """Take what no record can hold exactly."""


def takes_nothing(items: None = None) -> None:
    """Take what the command line cannot give."""


def takes_by_place(items: int = 1, /) -> None:
    """Take what has no name."""


@pytest.mark.parametrize("function", [needs_one, needs_one_by_name, takes_a_fraction, takes_nothing, takes_by_place])
def test_an_argument_that_cannot_be_given_by_name_and_text_is_refused(function: Function) -> None:
    with pytest.raises(UsageError, match=r"have defaults: numbers, texts, or truth values, got .items"):
        declared("here:f", function)


def test_a_run_gets_the_arguments_that_it_is_told() -> None:
    def counts(tasks: int = 2, twice: bool = False) -> None:
        for _ in range(tasks * (1 + twice)):
            rt.spawn(rt.schedule)

    told: list[tuple[dict[str, Any], int]] = [({}, 2), ({"tasks": 3}, 3), ({"tasks": 3, "twice": True}, 6)]
    for params, tasks in told:
        record = made(counts, **params).record
        assert record is not None
        assert len(record.tasks) == 1 + tasks
        assert record.header["given"] == params


# -- what a function has not


@pytest.mark.parametrize(
    ("spec", "needle"),
    [
        (RunSpec("here:main", variant="double-put"), "--variant"),
        (RunSpec("here:main", workload="x.jsonl"), "--workload"),
    ],
)
def test_what_only_the_kernel_model_has_is_refused(spec: RunSpec, needle: str) -> None:
    with pytest.raises(UsageError, match=f"expected no {needle}.*try: its arguments"):
        MAKER.program(spec)


def test_a_maker_travels_without_what_it_made() -> None:
    MAKER.program(RunSpec("here:main", digest="d"))
    assert pickle.loads(pickle.dumps(FunctionMaker(folders=("a",)))) == FunctionMaker(folders=("a",))


# -- judges: a right program passes, whatever it uses


def adds(shared: Box) -> None:
    rt.mutex_lock(shared.mutex)
    shared.x += 1
    rt.mutex_unlock(shared.mutex)


def data_under_a_lock() -> None:
    shared = box()
    for _ in range(2):
        rt.spawn(adds, shared)
    rt.join_others()
    assert shared.x == 2


def locks_only() -> None:
    def takes(shared: Box) -> None:
        rt.mutex_lock(shared.mutex)
        rt.mutex_unlock(shared.mutex)

    shared = box()
    for _ in range(2):
        rt.spawn(takes, shared)


def queues_only() -> None:
    shared = box()
    rt.spawn(lambda: rt.wait_event(shared.queue, lambda: True))
    for _ in range(2):
        rt.spawn(lambda: rt.wake_up_all(shared.queue))


def one_task() -> None:
    adds(box())


def nothing() -> None:
    """Do not even an op."""


def one_after_the_other() -> None:
    shared = box()
    for _ in range(2):
        rt.spawn(adds, shared)
        rt.join_others()


RIGHT = [data_under_a_lock, locks_only, queues_only]
ALONE = [one_task, nothing, one_after_the_other]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", RIGHT)
def test_a_right_program_passes(function: Function, engine: str) -> None:
    assert made(function, engine).verdict == "PASS"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", ALONE)
def test_a_right_program_in_which_nobody_meets_anybody_is_unknown(function: Function, engine: str) -> None:
    result = made(function, engine)
    assert (result.verdict, result.unknown["every judge"]) == ("UNKNOWN", result.alone)
    assert result.alone.startswith("no interleaving was exercised: no two tasks had something to do")
    assert result.alone.endswith("try: spawn two tasks that share something (rt.spawn)")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wrong_program_of_one_task_fails(engine: str) -> None:
    def wrong() -> None:
        assert box().x == 1

    assert made(wrong, engine).verdict == "FAIL"


# -- an exception is a finding, whoever raises it


def fails_in_a_task() -> None:
    """BUGGY: the task asserts what is not so."""

    def fails(shared: Box) -> None:
        assert shared.x == 1

    rt.spawn(fails, box())
    rt.join_others()


def fails_in_main() -> None:
    """BUGGY: main raises while another task goes on."""
    rt.spawn(adds, box())
    raise ValueError("main")


def fails_in_a_daemon() -> None:
    """BUGGY: a daemon raises, and main waits for it."""

    def fails(shared: Box) -> None:
        shared.count.get("failing")
        raise KeyError("daemon")

    shared = box()
    rt.spawn(fails, shared, daemon=True)
    rt.wait_event(shared.queue, lambda: False)


def fails_in_a_child() -> None:
    """BUGGY: what a task spawns raises."""

    def fails() -> None:
        raise ZeroDivisionError

    rt.spawn(lambda: rt.join(rt.spawn(fails)))
    rt.join_others()


def leaves() -> None:
    """BUGGY: a task asks for the end of the process."""

    def fails() -> None:
        raise SystemExit(3)

    rt.spawn(fails)
    rt.join_others()


RAISED: dict[Function, str] = {
    fails_in_a_task: "AssertionError",
    fails_in_main: "ValueError",
    fails_in_a_daemon: "KeyError",
    fails_in_a_child: "ZeroDivisionError",
    leaves: "SystemExit",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("function", RAISED)
def test_an_exception_is_a_finding_of_the_program(function: Function, engine: str) -> None:
    result = made(function, engine)
    assert result.verdict == "FAIL"
    assert RAISED[function] in {finding.rule for finding in result.findings if finding.oracle == "exception"}


def test_a_wrong_call_of_the_runtime_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="expected a CPU in 0"):
        made(lambda: rt.spawn(rt.schedule, cpu=99))


# -- CPUs


def lost_beside_a_spinlock() -> None:
    """BUGGY: one adds under the spinlock, the other without it."""

    def locked(shared: Box) -> None:
        rt.spin_lock(shared.spin)
        shared.x += 1
        rt.spin_unlock(shared.spin)

    def unlocked(shared: Box) -> None:
        shared.x += 1

    shared = box()
    for task in [rt.spawn(locked, shared), rt.spawn(unlocked, shared)]:
        rt.join(task)
    assert shared.x == 2


def test_who_holds_a_spinlock_keeps_nobody_off_who_does_not_want_it() -> None:
    rules = {finding.rule for seed in range(EXPLORED) for finding in made(lost_beside_a_spinlock, seed=seed).findings}
    assert "AssertionError" in rules, "on one CPU both updates are always there"


def test_each_task_has_a_cpu_of_its_own_unless_its_spawn_names_one() -> None:
    def places() -> None:
        for _ in range(3):
            rt.spawn(rt.schedule)
        rt.spawn(rt.schedule, cpu=0)
        rt.spawn(rt.schedule, cpu=None)
        rt.join_others()

    record = made(places).record
    assert record is not None
    assert [task["cpu"] for task in record.tasks] == [0, 1, 2, 3, 0, None]


# -- the bound


@pytest.mark.parametrize(
    ("strategy", "engine", "bound"),
    [("random", "fiber", STEPS_MAX), ("dpor", "fiber", WALK_STEPS_MAX), ("dpor", "free", STEPS_MAX)],
)
def test_a_walk_has_a_bound_of_its_own(strategy: str, engine: str, bound: int) -> None:
    assert MAKER.program(RunSpec("here:main", engine=engine, strategy=strategy)).steps_max == bound


def test_an_argument_can_be_the_bound() -> None:
    def turns(shared: Box) -> None:
        for _ in range(25):
            adds(shared)  # four ops

    def two(steps_max: int = 50) -> None:
        shared = box()
        for _ in range(2):
            rt.spawn(turns, shared)

    for bound, verdict in [(50, "UNKNOWN"), (500, "PASS")]:
        assert made(two, steps_max=bound).verdict == verdict


@pytest.mark.parametrize("bound", [0, -1])
def test_a_bound_is_at_least_one_op(bound: int) -> None:
    def turns(steps_max: int = 50) -> None: ...

    with pytest.raises(UsageError, match="a number of ops, 1 or more"):
        made(turns, steps_max=bound)
