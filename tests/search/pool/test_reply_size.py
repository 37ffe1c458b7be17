"""How many runs an order may have."""

from __future__ import annotations

from mmrace.runs.spec import RunSpec
from mmrace.search.pool.reply_size import FIRST_RUNS, REPLY_BYTES_MAX, ReplySize

SPEC = RunSpec("alpha")


def test_replies_of_runs_that_take_as_much_as_before_stay_within_the_bound() -> None:
    size = ReplySize()
    assert size.runs(SPEC) == FIRST_RUNS
    for each in (70, 300, 120, 70, 900, 70):  # bytes of a run
        size.took(SPEC, FIRST_RUNS, FIRST_RUNS * each)
        assert size.runs(SPEC) * each <= REPLY_BYTES_MAX
    assert size.largest == FIRST_RUNS * 900


def test_a_single_run_always_goes_and_kinds_are_told_apart() -> None:
    size = ReplySize()
    size.took(SPEC, 1, 10 * REPLY_BYTES_MAX)
    assert size.runs(SPEC) == 1 and size.runs(RunSpec("beta")) == FIRST_RUNS


def test_one_large_reply_is_forgotten_in_time() -> None:
    size = ReplySize()
    size.took(SPEC, 10, 9_000)
    for _ in range(100):
        size.took(SPEC, 10, 900)
    assert size.runs(SPEC) == int(0.8 * REPLY_BYTES_MAX / 90)
