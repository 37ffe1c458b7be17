"""Noise for the free-running engine: what makes the operating system's schedule less polite.

Delays of one task are drawn from a stream that is a function of (seed, task name), so the same seed asks for the same
delays at the same ops of that task.  What all tasks share (windows, pauses, moves) comes from one stream of the run, in
the order in which tasks reach it.  The operating system still decides what happens.  Constants are those of the tools
named beside them (rr, ThreadSanitizer, KCSAN, rcutorture), scaled where noted from processes that run for minutes to
runs that last milliseconds.  Invariant: `finish` restores everything that `begin` or a task changed in the process.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmrace.runtime import pool
from mmrace.runtime.errors import unknown
from mmrace.runtime.kinds import ACQUIRE, KIND_MASK, QUEUE, RELEASE, SLEEP, TEST_AND_SET, TRY, WAKE
from mmrace.runtime.task import Task

Disturb = Callable[[Any, int], None]
"""What to do before an op: called with the object and the op code."""


@dataclass(frozen=True, slots=True)
class NoiseProfile:
    """A named way to disturb a run.  `switch_s` is the interpreter's switch interval while it lasts (None: leave)."""

    name: str
    title: str
    switch_s: float | None


PROFILES: dict[str, NoiseProfile] = {
    profile.name: profile
    for profile in (
        NoiseProfile("off", "no delays; the interpreter's own switch interval", None),
        NoiseProfile("gentle", "rare short delays before locks, refcounts and plain accesses (TSan-like)", 50e-6),
        NoiseProfile("chaos", "low-priority tasks and high-priority-only windows (rr-like)", 20e-6),
        NoiseProfile("targeted", "stalls before ops on some kinds of object, drawn per run (KCSAN-like)", 50e-6),
        NoiseProfile("stutter", "all tasks pause and go on together (rcutorture-like)", 20e-6),
        NoiseProfile("shuffle", "all threads are forced off one core in turn (rcutorture-like)", 20e-6),
    )
}

# gentle: TSan's adaptive delay samples 1/100 of acquire/release, 1/10 of mutex ops, and delays up to 50 us or 500 us
GENTLE_PLAIN = 1 / 100
GENTLE_SYNC = 1 / 10
GENTLE_PLAIN_MAX_S = 50e-6
GENTLE_SYNC_MAX_S = 500e-6
# chaos: rr makes 10 % of threads low priority; a run here has few tasks, so each is drawn with 30 % (rr's main thread)
CHAOS_LOW = 0.3
CHAOS_LOW_DELAY = 1 / 8  # share of a low-priority task's ops that give way
CHAOS_LOW_MAX_S = 400e-6
CHAOS_WINDOWS_S = tuple(0.0001 * 2**i for i in range(6))  # rr: 1..2048 ms; scaled by ten to runs of milliseconds
CHAOS_WINDOW_SHARE = 0.2  # at most 20 % of run time
CHAOS_FIRST_AT_ONCE = 0.25
# targeted: KCSAN skips N accesses, then stalls a random small delay at one
TARGET_SHARE = 1 / 5  # of the kinds of object that a run meets: some twenty, so that a run stalls on about four
TARGET_SKIP_MAX = 6
TARGET_STALL_MAX_S = 300e-6
# stutter: rcutorture pauses everybody every 5 s; here every few hundred ops
STUTTER_OPS = (40, 160)
STUTTER_MAX_S = 300e-6
# shuffle: rcutorture moves all tasks off one CPU every 3 s; here every few hundred ops
SHUFFLE_OPS = (60, 240)

_SYNC = frozenset((ACQUIRE, TRY, RELEASE, TEST_AND_SET, SLEEP, WAKE, QUEUE))


class Noise:
    """The noise of one run.

    Args: profile: a name of `PROFILES`.  seed: of every delay.  Raises UsageError for an unknown profile.
    """

    def __init__(self, profile: str, seed: object) -> None:
        if profile not in PROFILES:
            raise unknown("a noise profile", profile, PROFILES)
        self.profile = PROFILES[profile]
        self.seed = seed
        self.rng = random.Random(f"{seed}/noise/{profile}")
        self._old_switch: float | None = None
        self._affinity: set[int] | None = None
        self._native: set[int] = set()
        self._targets: dict[str, bool] = {}
        self._window_until = 0.0
        self._next_window = 0.0
        self._gather: threading.Event | None = None
        self._countdown = self.rng.randint(*STUTTER_OPS)

    def begin(self) -> None:
        """Change what the profile changes in the process."""
        if self.profile.switch_s is not None:
            self._old_switch = sys.getswitchinterval()
            sys.setswitchinterval(self.profile.switch_s)
        if self.profile.name == "shuffle" and hasattr(os, "sched_getaffinity"):
            self._affinity = set(os.sched_getaffinity(0))
        if self.profile.name == "chaos":
            now = time.monotonic()
            self._next_window = now if self.rng.random() < CHAOS_FIRST_AT_ONCE else now + self._pause()

    def finish(self) -> None:
        """Restore it."""
        if self._old_switch is not None:
            sys.setswitchinterval(self._old_switch)
            self._old_switch = None
        if self._affinity is not None:
            for thread in self._native | pool.native_ids():  # a thread is born with the cores of who started it
                _pin(thread, self._affinity)
            self._affinity = None

    def for_task(self, task: Task) -> Disturb | None:
        """Return what to do at each point of `task`, or None."""
        return {
            "off": lambda _: None,
            "gentle": self._gentle,
            "chaos": self._chaos,
            "targeted": self._targeted,
            "stutter": self._stutter,
            "shuffle": self._shuffle,
        }[self.profile.name](task)

    def _stream(self, task: Task) -> random.Random:
        return random.Random(f"{self.seed}/noise/{task.name}")

    def _gentle(self, task: Task) -> Disturb:
        draw = self._stream(task).random

        def disturb(_: object, code: int) -> None:
            if code & KIND_MASK in _SYNC:
                if draw() < GENTLE_SYNC:
                    time.sleep(draw() * GENTLE_SYNC_MAX_S)
            elif draw() < GENTLE_PLAIN:
                time.sleep(draw() * GENTLE_PLAIN_MAX_S)

        return disturb

    def _pause(self) -> float:
        """Return the gap before the next high-priority-only window, so that windows take their share at most."""
        return float(self.rng.choice(CHAOS_WINDOWS_S) * (1 / CHAOS_WINDOW_SHARE - 1))

    def _chaos(self, task: Task) -> Disturb | None:
        stream = self._stream(task)
        draw = stream.random
        low = draw() < CHAOS_LOW
        first = stream.randrange(0, 60)  # a low priority that begins only after some ops, as after rr's first yield
        seen = 0

        def disturb(_: object, code: int) -> None:
            nonlocal seen
            seen += 1
            if not low or seen < first:
                return
            now = time.monotonic()
            if now >= self._next_window:
                length = self.rng.choice(CHAOS_WINDOWS_S)
                self._window_until = now + length
                self._next_window = now + length + self._pause()
            if now < self._window_until:
                time.sleep(self._window_until - now)
            elif draw() < CHAOS_LOW_DELAY:
                time.sleep(draw() * CHAOS_LOW_MAX_S)

        return disturb

    def _is_target(self, kind: str) -> bool:
        """Say whether this run stalls on a kind of object: a function of the seed and the kind."""
        known = self._targets.get(kind)
        if known is None:
            known = random.Random(f"{self.seed}/noise/target/{kind}").random() < TARGET_SHARE
            self._targets[kind] = known
        return known

    def _targeted(self, task: Task) -> Disturb:
        stream = self._stream(task)
        skip = stream.randint(0, TARGET_SKIP_MAX)

        def disturb(obj: Any, code: int) -> None:
            nonlocal skip
            # a struct's plain fields are one kind, its embedded primitives one each, whatever struct they sit in
            if self._is_target(type(obj).__name__):
                skip -= 1
                if skip < 0:
                    skip = stream.randint(0, TARGET_SKIP_MAX)
                    time.sleep(stream.random() * TARGET_STALL_MAX_S)

        return disturb

    def _stutter(self, task: Task) -> Disturb:
        def disturb(_: object, code: int) -> None:
            gather = self._gather
            if gather is not None:
                gather.wait(STUTTER_MAX_S)
                return
            self._countdown -= 1
            if self._countdown <= 0:
                self._countdown = self.rng.randint(*STUTTER_OPS)
                self._gather = gather = threading.Event()
                time.sleep(self.rng.random() * STUTTER_MAX_S)
                self._gather = None
                gather.set()

        return disturb

    def _shuffle(self, task: Task) -> Disturb:
        def disturb(_: object, code: int) -> None:
            native = threading.get_native_id()
            self._native.add(native)
            self._countdown -= 1
            cores = self._affinity
            if self._countdown <= 0 and cores is not None and len(cores) > 1:
                self._countdown = self.rng.randint(*SHUFFLE_OPS)
                idle = self.rng.choice([None, *sorted(cores)])
                for thread in list(self._native):
                    _pin(thread, cores - {idle} if idle is not None else cores)

        return disturb


def _pin(thread: int, cores: set[int]) -> None:
    with contextlib.suppress(OSError):  # the thread ended
        os.sched_setaffinity(thread, cores)
