"""The pool of far workers, without Dask: what is out, what comes back, and what is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.runtime.errors import EXIT_UNKNOWN, EXIT_USAGE, MmraceError, UsageError
from mmrace.search.pool.contract import Ended, Event, Lost, Reported
from mmrace.search.pool.drive import drive
from mmrace.search.pool.far import STOP_SECONDS
from mmrace.search.pool.far_link import Dead, Down, Failed, Killed, Up, Workers
from mmrace.search.pool.fleet import DEPTH, FleetGone
from mmrace.search.pool.messages import Batch
from tests.search.pool.scripted_link import far_pool
from tests.search.pool.stand_ins import Notes, jobs


def batch(count: int) -> Batch:
    return Batch(tuple(jobs(count)))


def reported(events: list[Event]) -> list[int]:
    """Return the indices of the jobs with an outcome."""
    return [job.index for event in events if isinstance(event, Reported) for job, _ in event.outcomes]


def ended(events: list[Event]) -> list[list[int]]:
    """Return what came back undone, of each batch that ended."""
    return [[job.index for job in event.undone] for event in events if isinstance(event, Ended)]


def test_several_batches_are_out_for_each_worker_and_as_many_as_there_are_workers(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    assert (pool.places, pool.free, pool.idle) == (2 * DEPTH, 2 * DEPTH, True)
    pool.submit(batch(2))
    assert (pool.free, pool.idle) == (2 * DEPTH - 1, False)
    for threads, places in ((3, 3 * DEPTH), (1, DEPTH), (0, 1)):  # one joins late, two leave, the last one leaves
        link.tell(Workers(threads, {}))
        pool.poll(0.0)
        assert pool.places == places


def test_a_batch_goes_out_in_orders_and_ends_with_the_last(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.size.runs = lambda spec: 2  # type: ignore[method-assign]
    pool.submit(batch(5))
    seen = []
    for _ in range(3):
        link.replies(link.last)
        seen.append(pool.poll(0.0))
    assert [reported(events) for events in seen] == [[0, 1], [2, 3], [4]]
    assert [ended(events) for events in seen] == [[], [], [[]]] and pool.idle


def test_what_a_lost_scheduler_had_is_sent_again_and_what_still_comes_of_it_is_not_counted(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.submit(batch(3))
    old = link.last
    link.tell(Down("it was killed"))
    assert pool.poll(0.0) == [] and not pool.idle and pool.places == 1
    link.tell(Up())
    pool.poll(0.0)
    assert link.last[0] != old[0] and link.last[1] == old[1]
    link.replies(old)
    assert pool.poll(0.0) == []
    link.replies(link.last)
    events = pool.poll(0.0)
    assert (reported(events), ended(events)) == ([0, 1, 2], [[]])


def test_a_scheduler_that_stays_away_ends_it_with_everything_known(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    source = Notes(jobs(4), size=2)
    link.tell(Workers(1, {}))
    link.tell(Dead(FleetGone("UNKNOWN: the scheduler was gone for 300 s")))
    drive(pool, source)
    assert source.troubles == [(EXIT_UNKNOWN, "UNKNOWN: the scheduler was gone for 300 s")] and pool.idle
    assert sorted(job.index for job in source.left()) == [0, 1, 2, 3]


def test_a_fleet_without_workers_is_given_up_after_a_time(tmp_path: Path) -> None:
    now = [0.0]
    pool, link = far_pool(tmp_path, clock=lambda: now[0], reconnect_seconds=60.0)
    pool.submit(batch(1))
    link.tell(Workers(0, {}))
    assert pool.poll(0.0) == [] and pool.places == 1
    now[0] += 61.0
    assert ended(pool.poll(0.0)) == [[0]] and pool.places == 0
    with pytest.raises(FleetGone, match="no worker for 60 s"):
        pool.submit(batch(1))


def test_a_batch_that_kills_its_workers_goes_out_run_by_run_until_it_is_known_which_run_does(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.submit(batch(4))
    link.tell(Killed(link.last[0], "tcp://w:3"))
    assert pool.poll(0.0) == []
    for index in range(2):
        assert [job.index for job in link.last[1].jobs] == [index]
        link.replies(link.last)
        assert reported(pool.poll(0.0)) == [index]
    link.tell(Killed(link.last[0], "tcp://w:6"))
    [lost] = pool.poll(0.0)
    assert isinstance(lost, Lost) and lost.culprit is not None and lost.culprit.index == 2
    assert [job.index for job in lost.undone] == [3] and not lost.outside and not lost.in_vain
    assert "tcp://w:6" in lost.told and pool.idle


def test_a_run_that_kills_the_process_below_a_worker_is_the_culprit(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.submit(batch(4))
    link.dies(link.last, 2)
    got, lost = pool.poll(0.0)
    assert reported([got]) == [0, 1]
    assert isinstance(lost, Lost) and lost.culprit is not None and lost.culprit.index == 2
    assert [job.index for job in lost.undone] == [3]


def test_a_batch_that_could_not_be_made_comes_back_whole(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.submit(batch(2))
    link.tell(Failed(link.last[0], "ModuleNotFoundError: No module named 'mmrace'"))
    [lost] = pool.poll(0.0)
    assert isinstance(lost, Lost) and lost.culprit is None and lost.in_vain
    assert [job.index for job in lost.undone] == [0, 1] and "No module named" in lost.told


def test_what_a_worker_refuses_another_gets_and_it_is_told(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.submit(batch(2))
    old = link.last
    link.replies(old, 0, refused="expected mmrace 1, got mmrace 2")
    assert pool.poll(0.0) == [] and link.refused == ["tcp://w:1"] and link.last[1] == old[1] and link.last[0] != old[0]
    link.tell(Workers(1, {"tcp://w:1": "expected mmrace 1, got mmrace 2"}))
    [lost] = pool.poll(0.0)
    assert isinstance(lost, Lost) and lost.batch == Batch(()) and "expected mmrace 1, got mmrace 2" in lost.told


def test_a_fleet_of_which_every_worker_refuses_is_a_wrong_call(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    link.tell(Dead(UsageError(expected="workers that can make these runs", got="another mmrace")))
    source = Notes(jobs(2))
    drive(pool, source)
    [(code, text)] = source.troubles
    assert code == EXIT_USAGE and "another mmrace" in text


def test_a_fleet_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    wrong = UsageError(expected="a Dask scheduler that answers within 10 s", got="nobody")

    def start(link: object) -> None:
        link.tell(Dead(wrong))  # type: ignore[attr-defined]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(MmraceError) as raised:
        patch.setattr("tests.search.pool.scripted_link.ScriptedLink.start", start)
        far_pool(tmp_path)
    assert raised.value is wrong


def test_stop_waits_for_the_runs_in_progress_and_not_for_ever(tmp_path: Path) -> None:
    now = [0.0]
    pool, link = far_pool(tmp_path, clock=lambda: now[0])
    pool.submit(batch(3))
    pool.submit(batch(1))
    pool.stop()
    pool.stop()
    assert link.stops == 1 and pool.poll(0.0) == []
    link.replies(link.orders[0], 1)
    events = pool.poll(0.0)
    assert (reported(events), ended(events)) == ([0], [[1, 2]])
    now[0] += STOP_SECONDS + 1.0  # its worker was stopped, or is cut off
    assert ended(pool.poll(0.0)) == [[0]] and pool.idle and link.dropped == [link.orders[1][0]]


def test_what_came_before_the_last_worker_left_is_taken_though_it_is_to_stop(tmp_path: Path) -> None:
    """BUG once: the batch was given back, and its outcomes were lost."""
    pool, link = far_pool(tmp_path)
    pool.submit(batch(2))
    link.tell(Workers(0, {}))
    pool.poll(0.0)
    link.replies(link.last)
    pool.stop()
    events = pool.poll(0.0)
    assert (reported(events), ended(events), pool.idle) == ([0, 1], [[]], True)


def test_stop_waits_for_nobody_where_no_scheduler_is(tmp_path: Path) -> None:
    pool, link = far_pool(tmp_path)
    pool.submit(batch(2))
    link.tell(Down("it was killed"))
    pool.poll(0.0)
    pool.stop()
    assert ended(pool.poll(0.0)) == [[0, 1]] and pool.idle


def test_every_job_comes_back_once_whatever_happens_to_workers_and_schedulers(tmp_path: Path) -> None:
    """The loop over it sees each of twenty runs once, though orders are lost, refused, cut short and killed."""
    pool, link = far_pool(tmp_path)
    source = Notes(jobs(20), size=4)
    turn = [0]

    def poll(timeout: float) -> list[Event]:
        turn[0] += 1
        order = link.last
        if turn[0] % 7 == 3:
            link.tell(Down("gone"))
            link.tell(Up())
            link.tell(Workers(1, {}))
        elif turn[0] % 7 == 5:
            link.dies(order, 0, outside=True)
        elif turn[0] % 7 == 6:
            link.replies(order, 0, refused="another mmrace")
        else:
            for out in list(link.orders):
                link.replies(out)
        return type(pool).poll(pool, 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "poll", poll)
        drive(pool, source)
    assert sorted(job.index for job in source.taken) == list(range(20)) and not source.given_up
