"""Do everything twice: any strategy, any program, and nothing may differ but the addresses in memory.

A program or strategy that looks at the order of a set, at `id()`, at the clock or at a random stream of its own makes
records that nobody can replay.  Two runs that should be equal are compared here event by event, notes too, with the set
of enabled tasks at each op, and then in how they ended.  Objects are compared by name.  Invariant: the records
of two runs that pass are written alike, but for the header and the final state, which callers make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from mmrace.runs.replay import StrictReplay
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.errors import NondeterminismError
from mmrace.runtime.kinds import NOTE, SHIFT
from mmrace.runtime.record import Event, Record
from mmrace.runtime.strategy import Strategy
from mmrace.runtime.wording import enabled_text, event_text, plain, same_event

_END = "the end of the run"


def run_twice(make_engine: Callable[[], Controlled], main: Callable[[], object]) -> Controlled:
    """Run `main` on two engines, each with a fresh strategy of the same seed; return the first one.

    Raises NondeterminismError at the first difference.  What the runs themselves raised is in the engine's `error`.
    """
    first, second = make_engine(), make_engine()
    first.run(main)
    second.run(main)
    compare(Record.of_run(first, {}, {}), Record.of_run(second, {}, {}))
    return first


def run_again(record: Record, make_engine: Callable[[Strategy], Controlled], main: Callable[[], object]) -> Controlled:
    """Run `main` strictly along `record`: for a strategy that cannot be asked twice, such as a systematic search.

    Raises NondeterminismError at the first difference.
    """
    strategy = StrictReplay(record)
    engine = make_engine(strategy)
    engine.run(main)
    strategy.finish()
    compare(record, Record.of_run(engine, {}, {}))
    return engine


def compare(first: Record, second: Record) -> None:
    """Compare two records of controlled engines, step by step; the error has `first` as the record.

    Raises NondeterminismError at the first difference; its step counts ops.
    """
    step = 0
    named: set[tuple[int, int]] = set()  # (task, lane) that have the same names in both
    for want, got in zip(first.events, second.events, strict=False):
        is_op = want[1] != NOTE
        if is_op and got[1] != NOTE and first.masks[step] != second.masks[step]:
            _differ(step, enabled_text(first.masks[step], first), enabled_text(second.masks[step], second))
        if not same_event(want, got) or not _same_names(want, first, second, named):
            _differ(step, event_text(want, first), event_text(got, second))
        step += is_op
    shorter = min(len(first.events), len(second.events))
    longer = max(first.events, second.events, key=len)
    if len(longer) > shorter:
        _differ(step, _next(first, shorter), _next(second, shorter))
    ends = plain(first.end), plain(second.end)
    if ends[0] != ends[1]:
        _differ(step, f"the end {ends[0]}", f"the end {ends[1]}")


def _same_names(event: Event, first: Record, second: Record, named: set[tuple[int, int]]) -> bool:
    task, lane = event[0], event[1] >> SHIFT
    if (task, lane) not in named:
        if first.task_name(task) != second.task_name(task):
            return False
        if event[1] != NOTE and first.lane_name(lane) != second.lane_name(lane):
            return False
        named.add((task, lane))
    return True


def _next(record: Record, position: int) -> str:
    events: list[Event] = record.events
    return event_text(events[position], record) if position < len(events) else _END


def _differ(step: int, expected: str, got: str) -> NoReturn:
    raise NondeterminismError(step, expected, got)
