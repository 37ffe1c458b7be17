"""Noise: what a task asks for is a function of the seed, and the process is afterwards as it was."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from itertools import cycle, islice
from types import SimpleNamespace

import pytest

from mmrace import runtime as rt
from mmrace.runtime import noise, pool
from mmrace.runtime.kinds import Kind
from mmrace.runtime.noise import PROFILES, Noise
from mmrace.runtime.task import Task
from tests.runtime.contended import contended
from tests.runtime.engines import free

OPS = 3000
KINDS = (
    Kind.READ, Kind.WRITE, Kind.ACQUIRE, Kind.GET, Kind.RELEASE, Kind.TEST_AND_SET, Kind.CLEAR, Kind.WAKE, Kind.FREEZE,
    Kind.UNFREEZE, Kind.TEST, Kind.SET, Kind.QUEUE, Kind.SLEEP, Kind.TRY, Kind.PUT, Kind.COUNT,
)  # fmt: skip
CODES = [lane << 6 | kind for lane, kind in zip(cycle(range(7)), islice(cycle(KINDS), OPS), strict=False)]
OBJECTS = [type(f"Kind{i}", (), {})() for i in range(20)]  # of as many kinds as a run meets
DELAYING = [name for name in PROFILES if name not in ("off", "shuffle")]
OP_SECONDS = 3e-6  # by the fake clock

LONGEST = {
    "gentle": noise.GENTLE_SYNC_MAX_S,
    "chaos": max(noise.CHAOS_WINDOWS_S),
    "targeted": noise.TARGET_STALL_MAX_S,
    "stutter": noise.STUTTER_MAX_S,
}


class Clock:
    """A clock that only sleeps and ops advance."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[tuple[int, float]] = []
        self.op = 0

    def sleep(self, seconds: float) -> None:
        """Pretend."""
        self.slept.append((self.op, seconds))
        self.now += seconds

    def monotonic(self) -> float:
        """Return the pretended time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the noise a clock that it cannot spend time with."""
    made = Clock()
    monkeypatch.setattr(noise, "time", SimpleNamespace(sleep=made.sleep, monotonic=made.monotonic))
    return made


def delays(clock: Clock, profile: str, seed: object, name: str = "migrator") -> list[tuple[int, float]]:
    """Return the delays (op, seconds) that a task asks for at a fixed series of ops."""
    clock.slept, clock.now = [], 1000.0
    source = Noise(profile, seed)
    task = Task(0, name, None, None, seed)
    source.begin()
    disturb = source.for_task(task)
    if disturb is not None:
        for clock.op, code in enumerate(CODES):
            disturb(OBJECTS[clock.op % len(OBJECTS)], code)
            clock.now += OP_SECONDS
    source.finish()
    return clock.slept


def test_off_asks_for_nothing(clock: Clock) -> None:
    assert Noise("off", 1).for_task(Task(0, "migrator", None, None, 1)) is None
    assert delays(clock, "off", 1) == []


def _seed_that_delays(clock: Clock, profile: str) -> int:
    """Return a seed with which this task is disturbed: chaos leaves most tasks alone."""
    return next(seed for seed in range(50) if delays(clock, profile, seed))


@pytest.mark.parametrize("profile", DELAYING)
def test_the_same_seed_asks_for_the_same_delays(clock: Clock, profile: str) -> None:
    seed = _seed_that_delays(clock, profile)
    assert list(delays(clock, profile, seed)) == list(delays(clock, profile, seed)) != []


@pytest.mark.parametrize("profile", DELAYING)
def test_another_seed_asks_for_others(clock: Clock, profile: str) -> None:
    assert len({tuple(delays(clock, profile, seed)) for seed in range(20)}) > 5


@pytest.mark.parametrize("profile", ["gentle", "chaos", "targeted"])
def test_another_task_has_a_stream_of_its_own(clock: Clock, profile: str) -> None:
    assert len({tuple(delays(clock, profile, 3, name=f"task{i}")) for i in range(20)}) > 5


@pytest.mark.parametrize("profile", DELAYING)
def test_no_delay_is_longer_than_the_profile_says(clock: Clock, profile: str) -> None:
    asked = [seconds for seed in range(20) for _, seconds in delays(clock, profile, seed)]
    assert asked
    assert all(0 <= seconds <= LONGEST[profile] for seconds in asked)


def test_gentle_disturbs_synchronisation_more_often_than_plain_accesses(clock: Clock) -> None:
    """A binomial count of n ops, each with chance p, is farther than 6 sigma off with chance below 1e-8."""
    ops = {op for seed in range(20) for op in [(seed, at) for at, _ in delays(clock, "gentle", seed)]}
    sync = [i for i, code in enumerate(CODES) if code & 63 in noise._SYNC]
    hit = sum(1 for _, at in ops if at in set(sync))
    for found, n, p in (
        (hit, 20 * len(sync), noise.GENTLE_SYNC),
        (len(ops) - hit, 20 * (OPS - len(sync)), noise.GENTLE_PLAIN),
    ):
        assert abs(found - n * p) < 6 * (n * p * (1 - p)) ** 0.5


def test_targeted_stalls_on_some_kinds_of_object_the_same_for_all_tasks_of_a_run(clock: Clock) -> None:
    shares = []
    for seed in range(20):
        hit: set[int] = set()
        for task in ("migrator", "committer", "reader"):
            hit |= {op % len(OBJECTS) for op, _ in delays(clock, "targeted", seed, name=task)}
        drawn = Noise("targeted", seed)
        assert hit == {i for i, obj in enumerate(OBJECTS) if drawn._is_target(type(obj).__name__)}
        shares.append(len(hit) / len(OBJECTS))
    assert 0 < sum(shares) / len(shares) < 2 * noise.TARGET_SHARE
    assert len(set(shares)) > 1


def test_stutter_pauses_a_task_that_comes_while_another_pauses(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Noise("stutter", 1)
    source._gather = gathered = threading.Event()
    waits: list[float] = []
    monkeypatch.setattr(gathered, "wait", waits.append)
    disturb = source.for_task(Task(0, "migrator", None, None, 1))
    assert disturb is not None
    disturb(OBJECTS[0], CODES[0])
    assert waits == [noise.STUTTER_MAX_S]
    assert clock.slept == []


@pytest.mark.parametrize("profile", PROFILES)
def test_the_switch_interval_is_changed_for_the_run_and_restored(profile: str) -> None:
    before, seen = sys.getswitchinterval(), []
    free(lambda: seen.append(sys.getswitchinterval()), profile)
    expected = PROFILES[profile].switch_s
    assert seen == [pytest.approx(before if expected is None else expected)]
    assert sys.getswitchinterval() == before


@pytest.mark.parametrize("profile", PROFILES)
def test_the_switch_interval_is_restored_after_a_run_that_failed(profile: str) -> None:
    def main() -> None:
        """BUGGY: fails at once."""
        rt.bug_on(True, "the end")

    before = sys.getswitchinterval()
    assert free(main, profile).how == "violation"
    assert sys.getswitchinterval() == before


def _affinities() -> dict[str, set[int]]:
    return {
        thread.name: os.sched_getaffinity(thread.native_id)
        for thread in threading.enumerate()
        if thread.native_id is not None
    }


def test_shuffle_leaves_every_thread_on_the_cores_it_had() -> None:
    for seed in range(5):
        free(contended, "shuffle", seed=seed)
        assert set(map(frozenset, _affinities().values())) == {frozenset(os.sched_getaffinity(0))}


def test_a_thread_that_was_born_on_fewer_cores_and_did_nothing_gets_them_all_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool.drain()
    all_cores = os.sched_getaffinity(0)
    monkeypatch.setattr(Noise, "_shuffle", lambda self, task: None)  # no task gets to say who its thread is

    def main() -> None:
        os.sched_setaffinity(0, {min(all_cores)})
        rt.join(rt.spawn(rt.schedule, cpu=1))

    free(main, "shuffle")
    assert all(cores == all_cores for cores in _affinities().values())


def test_shuffle_forces_threads_off_a_core_in_turn(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, frozenset[int]]] = []
    fake: Callable[[int, set[int]], None] = lambda thread, cores: calls.append((thread, frozenset(cores)))  # noqa: E731
    monkeypatch.setattr(os, "sched_setaffinity", fake)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    delays(clock, "shuffle", 1)
    mine = [cores for thread, cores in calls if thread == threading.get_native_id()]
    assert len(set(mine)) > 2
    assert all(len(cores) >= 3 for cores in mine)
    assert mine[-1] == {0, 1, 2, 3}  # restored


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(rt.UsageError, match=r"a noise profile out of off, gentle, .*, got 'gentel'"):
        Noise("gentel", 1)
