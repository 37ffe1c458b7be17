"""What is kept of a worker's memory over time: enough to tell how it grew, however long it lives."""

from __future__ import annotations

import pytest

from mmrace.search.campaign.result import RSS_STEP_SECONDS, WorkerLife
from mmrace.search.pool.messages import Health

MIB = 1 << 20


def life(seconds: int, per_second: int = 4, begin: int = 0) -> WorkerLife:
    """Return the life of a worker that grows by a MiB a second, and ends so many batches a second."""
    found = WorkerLife()
    for tick in range(begin * per_second, seconds * per_second):
        found.add(tick / per_second, Health(MIB * (tick // per_second), 0, 0))
    return found


@pytest.mark.parametrize(("seconds", "begin", "when"), [(1000, 0, 120), (100, 0, 25), (1000, 300, 300)])
def test_growth_is_from_minute_two_or_from_a_quarter_of_a_shorter_campaign(seconds: int, begin: int, when: int) -> None:
    since, then, last = life(seconds, begin=begin).growth(float(seconds))
    assert when <= since < when + 2 * RSS_STEP_SECONDS
    assert (then, last) == (MIB * int(since), MIB * (seconds - 1))


def test_what_is_kept_of_hours_is_as_much_as_of_some_minutes() -> None:
    """BUG once: a campaign grew by two MiB an hour for what its workers had told."""
    assert len(life(7200, per_second=2).samples) == len(life(300, per_second=2).samples)
