"""The one loop over a pool: every job comes back once, whatever happens to who makes it."""

from __future__ import annotations

import pytest

from mmrace.runtime.errors import EXIT_INTERNAL, EXIT_UNKNOWN
from mmrace.search.pool import drive as drive_
from mmrace.search.pool.contract import Lost
from mmrace.search.pool.drive import ATTEMPTS_OUTSIDE_MAX, IN_VAIN_MAX, Pace, Queue, drive
from mmrace.search.pool.messages import Batch, Job
from tests.search.pool.stand_ins import (
    Notes,
    ScriptedPool,
    all_done,
    died_at,
    ended_after,
    interrupted,
    jobs,
    nothing_yet,
)


def test_every_job_is_made_once_and_the_source_is_told_at_every_turn() -> None:
    made, pool = jobs(7), ScriptedPool(nothing_yet)
    source = Notes(made, size=3)
    drive(pool, source)
    assert source.taken == made
    assert [len(batch.jobs) for batch in pool.batches] == [3, 3, 1]
    assert (source.told, pool.stops, source.troubles) == (4, 0, [])


def test_undone_jobs_are_handed_out_again_first_and_in_order() -> None:
    made, pool = jobs(5), ScriptedPool(ended_after(1))
    source = Notes(made, size=3)
    drive(pool, source)
    assert source.taken == made
    assert [[job.index for job in batch.jobs] for batch in pool.batches] == [[0, 1, 2], [1, 2, 3], [4]]


# -- death


def test_a_run_whose_worker_died_is_made_once_more() -> None:
    made, pool = jobs(4), ScriptedPool(died_at(2))
    source = Notes(made)
    drive(pool, source)
    assert source.taken == made
    assert [job.index for job in pool.batches[1].jobs] == [2, 3], "the culprit first"
    assert (source.lost, source.given_up, source.troubles) == (1, [], [])


def test_a_run_that_no_worker_survives_is_given_up_and_the_rest_is_made() -> None:
    made, pool = jobs(4), ScriptedPool(died_at(2), died_at(0))
    source = Notes(made)
    drive(pool, source)
    assert source.given_up == [made[2]]
    assert source.taken == [made[0], made[1], made[3]]
    assert (source.lost, source.troubles) == (2, [])


def test_workers_that_die_before_they_end_a_run_end_it_all_with_one_trouble() -> None:
    made, pool = jobs(9), ScriptedPool(*[died_at(None)] * 9)
    source = Notes(made, size=3)
    drive(pool, source)
    assert source.lost == IN_VAIN_MAX
    [(code, text)] = source.troubles
    assert code == EXIT_INTERNAL
    assert text.startswith(f"mmrace bug: {IN_VAIN_MAX} workers in a row died before they ended a run")
    assert list(source.left()) == made, "nothing is lost"
    assert pool.stops


def test_workers_that_die_during_their_first_run_are_no_bug_of_mmrace() -> None:
    pool = ScriptedPool(*[died_at(0)] * 9)
    source = Notes(jobs(9), size=3)
    drive(pool, source)
    [(code, text)] = source.troubles
    assert code == EXIT_UNKNOWN
    assert "mmrace bug" not in text and text.endswith("it is the program, or what it calls in C, that ends the process")
    assert pool.stops


def test_deaths_in_vain_count_in_a_row_only() -> None:
    turns = [died_at(None)] * (IN_VAIN_MAX - 1)
    source = Notes(jobs(3), size=1)
    drive(ScriptedPool(*turns, all_done, *turns), source)
    assert (len(source.taken), source.troubles) == (3, [])


class Full(ScriptedPool):
    """A pool for which there is no process left after the first batch."""

    def submit(self, batch: Batch) -> None:
        if self.batches:
            self.places = 0
            raise OSError("no more processes")
        super().submit(batch)


def test_a_batch_that_nobody_can_be_started_for_ends_it_and_costs_nothing_that_is_known() -> None:
    made, pool = jobs(4), Full()
    source = Notes(made, size=2)
    drive(pool, source)
    assert source.taken == made[:2]
    assert list(source.left()) == made[2:]
    [(code, text)] = source.troubles
    assert code == EXIT_UNKNOWN and "the machine has no process for a worker left: no more processes" in text


class Short(ScriptedPool):
    """A pool of two places, of which the second cannot be filled."""

    places = 2

    @property
    def free(self) -> int:
        return self.places - (self.out is not None)

    def submit(self, batch: Batch) -> None:
        if self.out is not None:
            self.places = 1
            raise OSError("no more processes")
        super().submit(batch)


def test_a_worker_that_cannot_be_started_is_told_and_the_others_go_on() -> None:
    made = jobs(6)
    source = Notes(made, size=2)
    drive(Short(), source)
    assert source.taken == made
    assert (source.unstarted_because, source.troubles) == (
        ["could not be started: no more processes (tried again later, 8 times at most)"], [],
    )  # fmt: skip


def test_a_run_whose_worker_was_ended_from_outside_is_made_again_and_again_but_not_for_ever() -> None:
    made = jobs(4)
    for times, given_up in [(ATTEMPTS_OUTSIDE_MAX - 1, []), (ATTEMPTS_OUTSIDE_MAX, [made[2]])]:
        source = Notes(made)
        drive(ScriptedPool(died_at(2, outside=True), *[died_at(0, outside=True)] * (times - 1)), source)
        assert source.given_up == given_up
        assert source.taken == [job for job in made if job not in given_up]
        assert (source.lost, source.troubles) == (times, [])


def test_workers_that_somebody_ends_again_and_again_are_no_bug_of_mmrace() -> None:
    source = Notes(jobs(9), size=3)
    drive(ScriptedPool(*[died_at(None, outside=True)] * 9), source)
    assert source.lost == IN_VAIN_MAX
    [(code, text)] = source.troubles
    assert code == EXIT_UNKNOWN and "from outside" in text and "bug" not in text


@pytest.mark.parametrize(
    ("culprit", "outside", "told"),
    [
        (True, True, "was ended by SIGKILL during a run, from outside"),
        (True, False, "was ended by SIGKILL during a run"),
        (False, False, "was ended by SIGKILL before it began a run"),
    ],
)
def test_a_loss_says_how_and_when(culprit: bool, outside: bool, told: str) -> None:
    [lost] = died_at(0 if culprit else None, outside=outside)(submitted(ScriptedPool(), jobs(1)))
    assert isinstance(lost, Lost) and lost.told == told


def submitted(pool: ScriptedPool, made: list[Job]) -> ScriptedPool:
    pool.submit(Batch(tuple(made)))
    return pool


# -- the end


def test_a_source_that_is_over_gets_what_is_out_and_hands_out_nothing_more() -> None:
    made, pool = jobs(6), ScriptedPool(ended_after(2), nothing_yet, ended_after(1))
    source = Notes(made, size=3, over_after=2)
    drive(pool, source)
    assert source.taken == made[:2], "the first batch ended early, and the source was over"
    assert list(source.left()) == made[2:]
    assert pool.stops


def test_a_source_that_is_over_at_once_hands_out_nothing() -> None:
    pool = ScriptedPool()
    drive(pool, Notes(jobs(3), over_after=0))
    assert pool.batches == []


# -- Ctrl-C


def test_ctrl_c_takes_what_the_runs_in_progress_give_and_goes_on_as_ctrl_c() -> None:
    made, pool = jobs(6), ScriptedPool(all_done, interrupted, nothing_yet, ended_after(1))
    source = Notes(made, size=3)
    with pytest.raises(KeyboardInterrupt):
        drive(pool, source)
    assert source.taken == made[:4]
    assert list(source.left()) == made[4:]
    assert pool.stops and pool.idle


def test_a_second_ctrl_c_drops_the_runs_in_progress() -> None:
    made, pool = jobs(3), ScriptedPool(interrupted, interrupted)
    source = Notes(made)
    with pytest.raises(KeyboardInterrupt):
        drive(pool, source)
    assert source.taken == [] and not pool.idle


def test_runs_that_do_not_end_within_the_grace_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive_, "GRACE_SECONDS", 0.0)
    pool = ScriptedPool(interrupted)
    with pytest.raises(KeyboardInterrupt):
        drive(pool, Notes(jobs(3)))
    assert not pool.idle


def test_who_dies_after_ctrl_c_is_buried() -> None:
    made, pool = jobs(3), ScriptedPool(interrupted, died_at(1))
    source = Notes(made)
    with pytest.raises(KeyboardInterrupt):
        drive(pool, source)
    assert (source.taken, source.lost, list(source.left())) == (made[:1], 1, made[1:])


# -- how much, and in which order


def test_a_batch_is_as_large_as_fits_into_its_time_and_never_empty() -> None:
    pace = Pace()
    assert pace.size() == Pace.FIRST_BATCH_RUNS
    pace.took(Pace.BATCH_SECONDS / 10)
    assert pace.size() == 10
    for seconds, size in [(100.0, 1), (0.0, Pace.BATCH_RUNS_MAX)]:
        pace = Pace()
        pace.took(seconds)
        assert pace.size() == size


def test_each_kind_of_run_has_a_pace_of_its_own() -> None:
    pace = Pace()
    pace.took(Pace.BATCH_SECONDS, "slow")
    assert (pace.size("slow"), pace.size("other")) == (1, Pace.FIRST_BATCH_RUNS)


def test_what_came_back_goes_first_the_last_one_back_foremost() -> None:
    made = jobs(5)
    queue = Queue(iter(made))
    assert queue.next(3) == made[:3]
    queue.give_back([made[2]])
    queue.give_back([made[0], made[1]])
    assert queue.next(10) == made
    assert queue.next(1) == []
