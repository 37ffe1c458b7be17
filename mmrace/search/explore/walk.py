"""Walk a program's tree of schedules, run after run, in this process.

Invariant: each run is made as the search asks for it, and the search learns from it before anybody else looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mmrace.runs.chosen import Chosen
from mmrace.runs.play import Play, play
from mmrace.runs.program import Program
from mmrace.runs.spec import RunSpec
from mmrace.runtime.controlled import Controlled
from mmrace.strategies.contract import Systematic
from mmrace.strategies.order.classes import ClassDigest


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of a walk; valid until the next one.

    Attributes: counts: whether the search had use for the run; if not, the run was given up on the way, or repeated
    another.  restarted: whether all runs before this one come again, having been walked with too few dependences.
    digest: of the run's class; None if each run that counts is a class of its own.
    """

    played: Play
    counts: bool
    restarted: bool
    digest: ClassDigest | None


class Walk:
    """A walk; iterate to make its runs.  `standing`: of the search, when the last run began."""

    def __init__(self, program: Program, spec: RunSpec, search: Systematic) -> None:
        self.program, self.spec, self.search = program, spec, search
        self.standing = search.standing()

    def __iter__(self) -> Iterator[Visit]:
        search = self.search
        while True:
            restarts = search.standing().restarts
            strategy = search.next()
            self.standing = now = search.standing()
            if strategy is None:
                return
            watch = None if now.reduced else ClassDigest
            with play(self.program, self.spec, Chosen(strategy), watch=watch) as played:
                assert isinstance(played.engine, Controlled)
                search.learn(played.engine)
                after = search.standing()
                counts = played.how != "abandoned" and after.new
                digest = played.watched if isinstance(played.watched, ClassDigest) else None
                yield Visit(played, counts, after.restarts != restarts, digest)
