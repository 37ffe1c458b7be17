"""The rules of `dependence.py`, `partial_order.py` and `dpor.py` one by one, each with what takes it out.

A patch is as small as the rule allows; `TAKEN_OUT` maps the rule's name to it.  Invariant: a patch changes nothing but
its rule, and pytest's monkeypatch undoes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest import MonkeyPatch

from mmrace.runtime.controlled import Controlled
from mmrace.runtime.kinds import KIND_MASK, Kind
from mmrace.runtime.task import Task
from mmrace.strategies import dpor
from mmrace.strategies.dpor import Dpor
from mmrace.strategies.order import daemons, dependence, partial_order
from mmrace.strategies.order.dependence import (  # fmt: skip
    ALIVE_LANE,
    ALONE,
    BIRTH,
    COUNT_UP,
    DROP,
    END_LANE,
    LINE_UP,
    READ,
    TAKE,
    WRITE,
    Footprint,
    Footprints,
)
from mmrace.strategies.order.partial_order import PartialOrder, Race

Patch = Callable[[MonkeyPatch], None]


def _mode(kind: Kind, mode: object) -> Patch:
    """Give all ops of a kind one mode, whatever came of them."""

    def patch(to: MonkeyPatch) -> None:
        modes = list(dependence._mode_of)
        modes[kind] = mode
        to.setattr(dependence, "_mode_of", modes)

    return patch


def _no_op(cls: type, name: str, result: object = None) -> Patch:
    """Let a method do nothing."""
    return lambda to: to.setattr(cls, name, lambda *_, **__: result)


def _without_pre_clock(to: MonkeyPatch) -> None:
    meet = PartialOrder._meet

    def patched(history: Any, number: int, mode: int, candidates: list[tuple[int, bool]], edges: list[int]) -> None:
        found: list[tuple[int, bool]] = []
        meet(history, number, mode, found, edges)
        candidates.extend((step, False) for step, _ in found)

    to.setattr(PartialOrder, "_meet", staticmethod(patched))


def _only_the_holder_releases(to: MonkeyPatch) -> None:
    meet = PartialOrder._meet

    def patched(history: Any, number: int, mode: int, candidates: list[tuple[int, bool]], edges: list[int]) -> None:
        found: list[tuple[int, bool]] = []
        meet(history, number, mode, found, edges)
        taker = {step: task for step, _, task in history}
        releaser = next((task for _, mode_, task in reversed(history) if mode_ == DROP), None)
        candidates.extend((step, waited) for step, waited in found if not waited or taker[step] == releaser)

    to.setattr(PartialOrder, "_meet", staticmethod(patched))


def _blocked_runs_ask_for_nothing(to: MonkeyPatch) -> None:
    ask = Dpor._ask

    def patched(self: Dpor, race: Race) -> None:
        if self._engine.end.get("how") != "abandoned":
            ask(self, race)

    to.setattr(Dpor, "_ask", patched)


def _one_branch(to: MonkeyPatch) -> None:
    to.setattr(Dpor, "choose", lambda self, task, n, step: 0)


def _last_branch_only(to: MonkeyPatch) -> None:
    back = Dpor._back

    def patched(self: Dpor) -> None:
        for node in self._nodes:
            node.branches = []
        back(self)

    to.setattr(Dpor, "_back", patched)


def _bits_as_one_word(to: MonkeyPatch) -> None:
    of = Footprints.of

    def patched(self: Footprints, event: tuple[Any, ...], step: int, gated: bool) -> Footprint:
        bits = (Kind.SET, Kind.CLEAR, Kind.TEST)
        made = of(self, event, step, gated)
        if event[1] & KIND_MASK in bits:
            word = next(base for base, _ in reversed(self.engine.objects) if base <= made[0][0])
            return [(word, mode) for _, mode in made]
        return made

    to.setattr(Footprints, "of", patched)


def _queue_always_lines_up(to: MonkeyPatch) -> None:
    special = Footprints._special

    def patched(self: Footprints, kind: int, lane: int, a: Any) -> Footprint:
        return special(self, kind, lane, False if kind == Kind.QUEUE else a)

    to.setattr(Footprints, "_special", patched)


def _queue_met_by_nobody(to: MonkeyPatch) -> None:
    special = Footprints._special

    def patched(self: Footprints, kind: int, lane: int, a: Any) -> Footprint:
        return [] if kind == Kind.QUEUE else special(self, kind, lane, a)

    to.setattr(Footprints, "_special", patched)


def _everybody_is_waited_for(to: MonkeyPatch) -> None:
    add = PartialOrder.add

    def patched(self: PartialOrder, event: tuple[Any, ...], footprint: Footprint) -> list[Race]:
        self.daemons = set()
        return add(self, event, footprint)

    to.setattr(PartialOrder, "add", patched)


def _any_wake_will_do(to: MonkeyPatch) -> None:
    before = PartialOrder._before

    def patched(self: PartialOrder, number: int, op: int, a: Any) -> int:
        clock = before(self, number, op, a)
        if op >= 0 and op & KIND_MASK == Kind.SLEEP:
            for (kind, task, _), steps in self._edges.items():
                if kind == Kind.WAKE and task == number and steps:
                    clock |= self.clock[steps[-1]]
        return clock

    to.setattr(PartialOrder, "_before", patched)


def _main_aside(to: MonkeyPatch) -> None:
    playing = Dpor._playing
    to.setattr(Dpor, "_playing", lambda self: playing(self) - {0})


def _nobody_waits_when_abandoned(to: MonkeyPatch) -> None:
    analyse = Dpor._analyse

    def patched(self: Dpor, engine: Controlled) -> None:
        if engine.end["how"] == "abandoned":
            self._footprints.left = []
        analyse(self, engine)

    to.setattr(Dpor, "_analyse", patched)


def _no_birth_is_waited_out(to: MonkeyPatch) -> None:
    pending = Footprints.pending

    def patched(self: Footprints, task: Task) -> Footprint:
        return [lane for lane in pending(self, task) if lane != (ALIVE_LANE, ALONE)]

    to.setattr(Footprints, "pending", patched)


def _without(met: tuple[int, int]) -> Patch:
    """Let no step meet this because of daemons."""

    def patch(to: MonkeyPatch) -> None:
        made = daemons.against_daemons
        to.setattr(dpor, "against_daemons", lambda *args: [lane for lane in made(*args) if lane != met])

    return patch


TAKEN_OUT: dict[str, Patch] = {
    "acquire races with the acquire before, on the clock before the release": _without_pre_clock,
    "a lock is free again whoever released it": _only_the_holder_releases,
    "who waits at the end races with who holds": _no_op(PartialOrder, "would_race", []),
    "a try since does not hide the holder": _no_op(PartialOrder, "_held", False),
    "a try is no acquire": _mode(Kind.TRY, TAKE),
    "a try that failed reads": _mode(Kind.TRY, WRITE),
    "gets commute": _mode(Kind.GET, WRITE),
    "additions commute": _mode(Kind.ADD, WRITE),
    "an addition is seen": _mode(Kind.ADD, READ),
    "a get does not commute with a look": _mode(Kind.COUNT, COUNT_UP),
    "a get does not commute with a put": _mode(Kind.PUT, COUNT_UP),
    "a get does not commute with a freeze": _mode(Kind.FREEZE, COUNT_UP),
    "an unfreeze is seen": _mode(Kind.UNFREEZE, COUNT_UP),
    "a get unless zero is seen": _mode(Kind.GET_UNLESS_ZERO, COUNT_UP),
    "a plain store touches all bits": lambda to: to.setattr(
        Footprints, "word", lambda self, lane: range(lane, lane + 1)),
    "bits are lanes of their own": _bits_as_one_word,
    "a store inside a bit spinlock does not hide who took it": lambda to: to.setattr(partial_order, "GRAB", WRITE),
    "queue and wake meet": _queue_met_by_nobody,
    "a wake meets who queues": _mode(Kind.WAKE, LINE_UP),
    "exclusive sleepers stand in order": _queue_always_lines_up,
    "the wake of that queue": _any_wake_will_do,
    "choose has branches": _one_branch,
    "a sleeping choose met what any branch met": _last_branch_only,
    "a blocked run's races count": _blocked_runs_ask_for_nothing,
    "freed memory is written": _no_op(Footprints, "freed"),
    "a use after free meets all ops on it": _no_op(Footprints, "_misused"),
    "a CPU is exclusive": _no_op(Footprints, "crowded", set()),
    "notes are compared": lambda to: to.setattr(
        dependence, "MODES", dict.fromkeys(dependence.MODES, dependence.READ)),
    "who waits when a run is abandoned races with who holds": _nobody_waits_when_abandoned,
    "others are tried before the step that ends the run": lambda to: to.setattr(dpor, "CUT_OFF", frozenset()),
    "the end of a run meets what daemons did": _without((END_LANE, READ)),
    "fixed order behind a step cuts daemons off": _without((END_LANE, WRITE)),
    "a daemon's child delays who waits for all": _without((ALIVE_LANE, BIRTH)),
    "and what would have been the end": _without((ALIVE_LANE, ALONE)),
    "to look who lives is a step's doing": _no_op(Footprints, "counted"),
    "who waits for all in vain could have gone on before a birth": _no_birth_is_waited_out,
    "daemons are not waited for": _everybody_is_waited_for,
    "the main task counts on its CPU": _main_aside,
}  # fmt: skip
