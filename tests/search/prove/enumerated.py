"""What is true of small failing programs: all their schedules, without reduction, and what holds behind a prefix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from mmrace import runtime as rt
from mmrace.examples import lost_update, two_locks
from mmrace.runs.minimal import Minimal
from mmrace.runs.program import Makers
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget, Case, Trials
from mmrace.search.prove.no_return import common
from mmrace.search.prove.prefix import Prefix, deeds
from mmrace.strategies.enumerate import Enumerate
from mmrace.strategies.order.classes import ClassDigest
from tests.search.minimise.failing import Pair, failing, torn

RUNS_MAX = 40_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """One of all schedules.  Attributes: number: of its class."""

    done: Prefix
    fails: bool
    number: int


class Every:
    """All schedules of a failing program; asked what a prover has to find out."""

    def __init__(self, schedules: list[Schedule], run: Prefix, first: int) -> None:
        self.schedules, self.run, self.first = schedules, run, first

    def behind(self, prefix: Prefix) -> list[Schedule]:
        """Return those that begin with a prefix."""
        return [schedule for schedule in self.schedules if schedule.done[: len(prefix)] == prefix]

    @property
    def no_return(self) -> int:
        """After how many ops of the failing run all others that began so fail."""
        return max((common(self.run, s.done) + 1 for s in self.schedules if not s.fails), default=self.first)

    def classes(self, prefix: Prefix) -> tuple[int, int]:
        """Return how many classes behind a prefix fail, and how many there are."""
        found = {schedule.number: schedule.fails for schedule in self.behind(prefix)}
        return sum(found.values()), len(found)


def early() -> None:
    """BUGGY: whoever looks first decides all that follows; what comes then changes nothing."""
    pair = Pair("pair")
    rt.spawn(_sets, pair, name="setter")
    rt.spawn(_looks_first, pair, name="looker")
    rt.join_others()


def _sets(pair: Pair) -> None:
    pair.x = 1
    pair.y = 1


def _looks_first(pair: Pair) -> None:
    seen = pair.x
    for _ in range(2):
        pair.y = 2
    assert seen, "too early"


def drawn() -> None:
    """BUGGY: fails if 2 is chosen out of 3, and the other task was done with x by then."""
    pair = Pair("pair")
    rt.spawn(_sets, pair, name="setter")
    value = rt.choose(3)
    assert not (value == 2 and pair.x), "chosen"
    rt.join_others()


def ended_early() -> None:
    """BUGGY: two tasks race, if they come to it before a third one breaks a rule."""
    pair = Pair("pair")
    rt.spawn(_sets, pair, name="setter")
    rt.spawn(_looks, pair, name="looker")
    rt.spawn(_breaks, name="breaker")
    rt.join_others()


def ended_at_once() -> None:
    """BUGGY: as `ended_early`, but the rule is broken first of all if nobody is told to wait."""
    pair = Pair("pair")
    rt.spawn(_breaks, name="breaker")
    rt.spawn(_sets, pair, name="setter")
    rt.spawn(_looks, pair, name="looker")
    rt.join_others()


def _looks(pair: Pair) -> None:
    _ = pair.x


def _breaks() -> None:
    rt.bug_on(True, "a rule")


PROGRAMS = {
    "lost update": (lost_update.main, "exception"),
    "two locks": (two_locks.main, "liveness"),
    "torn": (torn, "exception"),
    "early": (early, "exception"),
    "drawn": (drawn, "exception"),
    "ended early": (ended_early, "data-race"),
    "ended at once": (ended_at_once, "data-race"),
}
"""A name, the program, and who finds the fault."""
CUT_OFF = ("ended early", "ended at once")
"""Those in which something else than the finding ends runs."""
COMPLETE = [name for name in PROGRAMS if name not in CUT_OFF]
"""Those whose ends are the whole outcome."""


@cache
def minimal_of(name: str) -> tuple[Minimal, Makers]:
    """Return a program's minimal file."""
    function, oracle = PROGRAMS[name]
    params = {"idlers": 0} if name == "torn" else {}
    record, makers, signature = failing(function, oracle, **params)
    return minimise(record, makers, signature, Budget(runs=4000)), makers


@cache
def every(name: str) -> Every:
    """Return all schedules of a program."""
    minimal, makers = minimal_of(name)
    trials = Trials(minimal.spec, makers, minimal.signature, minimal.finding.oracle, Budget())
    case = Case(minimal.spec.params, minimal.spec.seed)
    found: list[Schedule] = []
    search = Enumerate()
    while search.next() is not None:
        assert len(found) < RUNS_MAX
        with trials.played(case, search, watch=ClassDigest) as played:
            search.learn(played.engine)  # type: ignore[arg-type]
            digest = played.watched
            assert isinstance(digest, ClassDigest)
            found.append(Schedule(deeds(played.record), trials.judged(played), digest.value()))
    first = minimal.record.header["explored"][0]
    return Every(found, deeds(minimal.record), first)
