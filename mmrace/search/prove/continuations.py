"""The continuations of a prefix: drawn, or all of them.

Invariant: the run number i that is drawn after a prefix is a function of the minimal file and of the prefix alone; a
walk is `complete` only if what was judged stands for every run behind the prefix.  It does not where a run was cut at
its bound in ops.  Where a finding is no end of a run, it may come before a rule is broken or not: there the search has
such an end meet all steps of others; but not where a use of freed memory ends it, which may begin before its op does.
Behind the step at which the judge has the finding nothing is walked, if it is one that takes nothing back
(`Program.forward`; a test holds them to that).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol
from zlib import crc32

from mmrace.oracles.general import liveness, raised, use_after_free
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.chosen import Chosen
from mmrace.runs.play import Play, play
from mmrace.runs.spec import derive
from mmrace.runtime.controlled import Controlled
from mmrace.runtime.record import Record
from mmrace.search.minimise.trials import Case, Spent, Trials, ends_in_failure
from mmrace.search.prove.prefix import Prefix, Prefixed, PrefixedWalk, deeds
from mmrace.strategies import registry
from mmrace.strategies.contract import Systematic
from mmrace.strategies.dpor import Dpor

SAMPLER = "random"
"""Draws continuations: at each point any enabled task, with equal chances, so that a share says the same anywhere."""


def is_end(finding: Finding, record: Record) -> bool:
    """Say whether a finding is the way in which its run ended: a standstill, an exception, a rule broken at an op."""
    detail = record.end.get("detail", {})
    match record.end.get("how"):
        case "violation":
            return (finding.oracle, finding.rule) == (detail.get("oracle"), detail.get("rule"))
        case "crash":
            return finding.oracle == raised.NAME
        case "deadlock":
            return (finding.oracle, finding.rule) == (liveness.NAME, detail.get("kind"))
    return False


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a continuation.

    Attributes: fails: it has the finding; None: its prefix could not be done, or it was cut before it had.  done: what
    it did, if it does not fail.  otherwise: it ended in another failure.
    """

    fails: bool | None
    done: Prefix = ()
    otherwise: bool = False


@dataclass(slots=True)
class Walked:
    """How a walk ended.  Attributes: others: classes that fail otherwise.  passing: what the first run did that has not
    the finding."""

    classes: int = 0
    fails: int = 0
    others: int = 0
    complete: bool = False
    passing: Prefix | None = None


class MakeSearch(Protocol):
    """Makes a search that has not begun."""

    def __call__(self, *, ends_meet: bool) -> Systematic: ...


class Continuations:
    """Runs that begin as told, judged by the judge of the finding.  They keep sites, which a signature may depend on.

    Args: case: of the minimal run.  is_end: whether the finding is the way in which a run ends.  search: makes a search
    that walks through all schedules, told whether it matters how far tasks got when another one ended the run.
    """

    def __init__(self, trials: Trials, case: Case, *, is_end: bool, search: MakeSearch = Dpor) -> None:
        self.trials, self.case, self.is_end, self.search = trials, case, is_end, search
        self.spec, self.program = trials.spec(case), trials.program(case.params)
        self._drawn: dict[Prefix, dict[int, Ended]] = {}

    def drawn(self, prefix: Prefix, number: int) -> Ended:
        """Return what comes of a continuation that is drawn.  Raises Spent."""
        drawn = self._drawn.setdefault(prefix, {})
        if number not in drawn:
            drawn[number] = self._draw(prefix, number)
        return drawn[number]

    def seen(self, prefix: Prefix) -> list[Ended]:
        """Return what came of all continuations of a prefix that were drawn."""
        return list(self._drawn.get(prefix, {}).values())

    def _draw(self, prefix: Prefix, number: int) -> Ended:
        self.trials.budget.take()
        seed = derive(self.case.seed, "continuation", crc32(repr(prefix).encode()), number)
        strategy = Prefixed(prefix, registry.sampler(SAMPLER).strategy(random.Random(seed).random, None))
        with play(self.program, self.spec, Chosen(strategy), sites=True) as played:
            return Ended(None) if strategy.lost is not None else self._ended(played)

    def _ended(self, played: Play) -> Ended:
        engine = played.engine
        assert isinstance(engine, Controlled)
        if self.trials.judged(played):
            return Ended(True)
        otherwise = ends_in_failure(played.record)
        return Ended(None if engine.bounded_at is not None else False, deeds(played.record), otherwise)

    def _take(self, walked: Walked, ended: Ended) -> bool:
        """Count a class; return whether it is one that passes."""
        walked.classes += 1
        walked.fails += ended.fails is True
        walked.others += ended.fails is False and ended.otherwise
        if ended.fails is False and walked.passing is None:
            walked.passing = ended.done
        return ended.fails is False

    def _enough(self, played: Play) -> int | None:
        """Return how many steps of a run that fails have the finding in them; None if that takes the whole of it.

        What follows cannot take it back, so all that could follow fails too.
        """
        if self.is_end or self.trials.oracle not in self.program.forward:
            return None
        record = played.record
        finding = self.trials.found(played, record)
        seen = finding.facts.get("step") if finding is not None else None
        if not isinstance(seen, int) or self.trials.found(played, record.until(seen + 1)) is None:
            return None
        return len(record.until(seen + 1).masks)

    def _cut(self, played: Play) -> bool:
        """Say whether a run tells less than others that ended as it did."""
        engine = played.engine
        assert isinstance(engine, Controlled)
        misused = engine.end["detail"].get("oracle") == use_after_free.NAME
        return engine.bounded_at is not None or (misused and not self.is_end)

    def walk(self, prefix: Prefix, *, to_first_pass: bool = False) -> Walked:
        """Judge every class behind a prefix, as far as the budget lasts.  Args: to_first_pass: stop at one that passes.

        A prefix that cannot be done has no continuation, and its walk is not complete.
        """
        walked, cut = Walked(), False
        search = PrefixedWalk(prefix, self.search(ends_meet=not self.is_end))
        try:
            while True:
                self.trials.budget.take()
                restarts, strategy = search.standing().restarts, search.next()
                if strategy is None:
                    walked.complete = search.standing().exhausted and search.lost is None and not cut
                    return walked
                with play(self.program, self.spec, Chosen(strategy), sites=True) as played:
                    ended, engine = self._ended(played), played.engine
                    assert isinstance(engine, Controlled)
                    search.learn(engine, self._enough(played) if ended.fails else None)
                    cut |= self._cut(played)
                if search.standing().restarts != restarts:  # what came before was walked with too few dependences
                    walked, cut = Walked(), False
                elif played.how != "abandoned" and self._take(walked, ended) and to_first_pass:
                    return walked
        except Spent:
            return walked
