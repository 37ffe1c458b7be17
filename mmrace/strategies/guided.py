"""Strategy `guided`: follow the turning points of an old schedule as far as they still exist.

A schedule is described by where it left the default one: "after its kth op at SITE, TASK gave way to TO".  By default
the running task goes on while it can, then the oldest task that can (the same as in fixed order, so that set-up needs
no description).  Turning points that no longer exist are skipped: a kept schedule survives edits of the code.

A turning point names the op that was *done*, not the one that was announced: in most failures some task was preempted
and never ran again, so it did not do the op that it had announced.

A value of `choose` other than the ordinary one is a turning point too.

Invariant: on the program that made the record, `Guided(preemptions_of(record), choices_of(record))` does the same ops
in the same order.  Needs an engine that keeps sites and takes every plain access for a point.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from mmrace.runtime import files
from mmrace.runtime.decoding import decode
from mmrace.runtime.errors import UsageError, unknown
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.places import label as label_of
from mmrace.runtime.places import places_of
from mmrace.runtime.record import Event, Record
from mmrace.runtime.sites import site_name
from mmrace.runtime.strategy import BaseStrategy, Followed, SteeredRun
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Options, Registered, Unprofiled

BYTES_MAX = 160 * files.MIB  # of a JSON file with a schedule, which may have a whole record in it
KEPT = ("minimal.json", "record.jsonl")
"""Files of a finding's folder that have a schedule, the smallest first."""
IS_SCHEDULE = re.compile(rb'"schema"\s*:\s*"mmrace-(?:schedule|minimal)/')
HEAD_BYTES = 64 * 1024  # of a file, in which it says what it is
TRY = "a record, or a file that `mmrace keep` wrote"

HELD_SHOWN = 3  # of the turning points whose task had to wait

Place = tuple[str, str, int]
"""(task, site, k): after the task's kth op at that site; the sites of its begin and exit are "BEGIN" and "EXIT"."""


@dataclass(frozen=True, slots=True)
class Preemption:
    """After its `visit`th op at `site` (from 1), `task` gives way to the task `to`; both by name."""

    task: str
    site: str
    visit: int
    to: str


@dataclass(frozen=True, slots=True)
class Value:
    """The `visit`th `choose` of `task` at `site` gives `value`; 0 is the default."""

    task: str
    site: str
    visit: int
    value: int


def preemptions_of(record: Record) -> list[Preemption]:
    """Return, in order, where a controlled run with sites left the default schedule.  Raises UsageError."""
    found: list[Preemption] = []
    before: tuple[int, Place] | None = None  # who did the last op, and where
    for (event, place), mask in zip(places(record), record.masks, strict=False):
        if before is not None:
            ran, after = before
            default = ran if mask >> ran & 1 else (mask & -mask).bit_length() - 1
            if event[0] != default:
                found.append(Preemption(*after, record.task_name(event[0])))
        before = event[0], place
    return found


def choices_of(record: Record) -> list[Value]:
    """Return, in order, the values of `choose` other than 0.  Raises UsageError."""
    return [
        Value(*place, int(event[3]))
        for event, place in places(record)
        if event[1] & KIND_MASK == Kind.CHOOSE and event[3]
    ]


def can_follow(record: Record) -> bool:
    """Say whether a record has turning points: it is of a controlled engine that kept sites."""
    return bool(record.masks and record.sites)


def places(record: Record) -> Iterator[tuple[Event, Place]]:
    """Yield each op of a record, and where its task was when it did it.  Raises UsageError."""
    if not can_follow(record):
        raise UsageError(
            expected="a record of a controlled engine, with sites",
            got="one without " + ("sites" if record.masks else "enabled sets"),
            where="guided",
            try_="a record that a failing run under --engine gate or fiber saved",
        )
    for step, place in places_of(record):
        yield record.events[step], place


def _without_caller(site: str) -> str:
    return site.rpartition(" > ")[2]


def _without_ordinal(site: str) -> str:
    return _without_caller(site).partition("#")[0]


BY: Mapping[str, Callable[[str], str]] = {"site": str, "function": _without_caller, "name": _without_ordinal}
"""By what an op is known again: its whole site; its function, whoever calls that; the name that it touches there,
however often that is written.  The first is exact on the program that made the record, the others survive more."""


class Guided(BaseStrategy):
    """Follows preemptions for one run.

    Attributes: turned: preemptions that were done.  held: those that came up and named a task that had to wait: the
    program was there, and did not let it happen.  The others did not come up.  given: values that were given, in order.

    Args: by: one of `BY`.
    """

    asked_when_alone = True
    asked_in_fixed_order = True
    needs_sites = True

    def __init__(self, preemptions: Sequence[Preemption], values: Sequence[Value] = (), *, by: str = "site") -> None:
        self._named = BY[by]
        self._turns = {(turn.task, self._named(turn.site), turn.visit): turn for turn in preemptions}
        self._values = {(value.task, self._named(value.site), value.visit): value for value in values}
        self._visits: dict[tuple[int, str], int] = {}
        self._after: Place | None = None  # the op done last
        self.turned: list[Preemption] = []
        self.held: list[Preemption] = []
        self.given: list[Value] = []

    def attach(self, run: SteeredRun) -> None:
        """Take the run, which knows who waits."""
        self._run = run

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        """Return the task of a preemption that is due, or the default one."""
        chosen = self._turn(enabled) or self.otherwise(enabled, running)
        label = self._named(label_of(chosen.pending, site_name(chosen.site)))
        visit = self._visits[chosen.id, label] = self._visits.get((chosen.id, label), 0) + 1
        self._after = chosen.name, label, visit
        return chosen

    def choose(self, task: Task, n: int, step: int) -> int:
        """Return the described value if it is in range, else the ordinary one."""
        assert self._after is not None
        value = self._values.get(self._after)
        if value is None or not 0 < value.value < n:
            return 0
        self.given.append(value)
        return value.value

    def otherwise(self, enabled: list[Task], running: Task) -> Task:
        """Return the task that goes on where no preemption is due."""
        return running if running.on else min(enabled, key=lambda task: task.id)

    def followed(self) -> Followed | None:
        """Count the turning points that were met: preemptions, and values other than the ordinary one.

        One whose task had to wait counts: what is mended by a lock is followed up to that lock.
        """
        left = tuple(f"after {turn.task} at {turn.site}: {turn.to} had to wait" for turn in self.held[:HELD_SHOWN])
        met = len(self.turned) + len(self.held) + len(self.given)
        return Followed(met, len(self._turns) + len(self._values), "turning points", left)

    def _turn(self, enabled: list[Task]) -> Task | None:
        turn = self._turns.get(self._after) if self._after else None
        if turn is not None:
            for task in enabled:
                if task.name == turn.to:
                    self.turned.append(turn)
                    return task
            self.held += [turn] * any(task.name == turn.to and not task.done for task in self._run.tasks)
        return None


class Steps(TypedDict):
    """A schedule, as files have it."""

    turns: tuple[Preemption, ...]
    choices: tuple[Value, ...]


class _Scheduled(TypedDict):
    """What is asked of a JSON file with a schedule; whatever else it has is for others."""

    schedule: Steps


def says(path: str, schema: re.Pattern[bytes]) -> bool:
    """Say whether a file says of itself that it is of a schema, whatever it is called."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return schema.search(file.read(HEAD_BYTES)) is not None


def is_schedule(path: str) -> bool:
    """Say whether a file says of itself that it has a schedule; a record does not."""
    return says(path, IS_SCHEDULE)


def smallest_in(folder: str) -> str:
    """Return the file of a finding's folder that has its smallest schedule, "" if none has one."""
    return next((file for name in KEPT if os.path.isfile(file := os.path.join(folder, name))), "")


def steps_of(path: str) -> Steps:
    """Read the schedule of a file: of a record, or of a JSON file that has it under "schedule".  Raises UsageError.

    Of the folder of a finding it is that of the smallest run that it keeps.
    """
    if os.path.isdir(path):
        path = smallest_in(path) or path
    if not is_schedule(path):
        record = Record.read(path)
        return {"turns": tuple(preemptions_of(record)), "choices": tuple(choices_of(record))}
    content = files.read_whole(path, BYTES_MAX, what="schedule", try_=TRY)
    return decode(content, _Scheduled, what="a JSON file with a schedule", where=path, try_=TRY)["schedule"]


def steps_named(options: Options, name: str) -> Steps:
    """Read the schedule that the option `record` names.  Args: name: of the strategy.  Raises UsageError."""
    path = str(options["record"])
    if not path:
        raise UsageError(expected=f"{name}:record=FILE", got="no file", where=f"--strategy {name}")
    return steps_of(path)


def by_named(options: Options) -> str:
    """Return the option `by`.  Raises UsageError."""
    by = str(options["by"])
    if by not in BY:
        raise unknown("what an op is known by", by, BY, where="--strategy")
    return by


def sampler(options: Options) -> Unprofiled:
    """Make the sampler of one schedule.

    Options: record: the file of a record, or of a schedule.  by: one of `BY`.  Raises UsageError.
    """
    steps, by = steps_named(options, "guided"), by_named(options)
    return Unprofiled(lambda _: Guided(steps["turns"], steps["choices"], by=by))


STRATEGY = Registered(
    "guided",
    "the turning points of a saved record or schedule, as far as they still exist; one schedule only",
    sampler,
    {"record": "", "by": "site"},
)
