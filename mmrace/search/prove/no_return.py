"""The point of no return: after how many ops of a failing run every continuation fails, exactly.

That all continuations of a prefix fail holds for each longer prefix too, for those have fewer.  So one continuation
that passes, and leaves the failing run after `k` ops, rules out all prefixes up to `k`; shares need not fall or rise in
any order.  Prefixes are halved between the longest one with a continuation that was seen to pass and the end; where no
run that is drawn passes, the tree is walked.  A class that passes there moves the lower end, and the halving goes on.

Invariant: what is returned as proved has a walk to the end behind it in which all classes fail, and a run that passes
and leaves the schedule one op earlier, unless all schedules fail.
"""

from __future__ import annotations

from dataclasses import dataclass

from mmrace.search.minimise.trials import Budget, Spent
from mmrace.search.prove.continuations import Continuations, Walked
from mmrace.search.prove.prefix import Prefix

PROBES = 8  # continuations that are drawn where prefixes are halved; the walk behind it misses none
SHARE = 0.5  # of what is left of the budget, that one walk may use
ROUNDS_MAX = 64  # halvings from a lower end that moved up; it moves at least one op


@dataclass(slots=True)
class Found:
    """The point of no return.

    Attributes: step: ops before it; None: the budget was used up before it was known.  passed: the longest prefix with
    a continuation that passes; None if none was seen.  walked: behind `step`, if it was walked to its end.  since: the
    shortest prefix that was walked to its end.
    """

    step: int | None = None
    passed: int | None = None
    walked: Walked | None = None
    since: int | None = None

    @property
    def proved(self) -> bool:
        """Whether it is known exactly."""
        return self.walked is not None


class Search:
    """Looks for it.  Args: run: what the failing run did.  first: ops before anything is chosen.  share: of the budget,
    up to which to search."""

    def __init__(self, continuations: Continuations, run: Prefix, first: int, budget: Budget, share: float) -> None:
        self.continuations, self.run, self.first = continuations, run, first
        self.budget, self.share = budget, share
        self.found = Found()

    def search(self, samples: int) -> Found:
        """Return what was found within the budget."""
        try:
            for _ in range(ROUNDS_MAX):
                if self._round(samples):
                    break
        except Spent:
            pass
        return self.found

    def _round(self, samples: int) -> bool:
        """Halve, walk, and where that has no end, draw; return whether there is no more to know.  Raises Spent."""
        found, end = self.found, len(self.run)
        found.step = None
        with self.budget.up_to(self.share):
            found.step = step = self._halved()
        if step > end:  # until the failing op itself
            found.walked, found.since = Walked(classes=1, fails=1, complete=True), step
            return True
        walked = self._walk(step)
        if walked.complete:
            found.walked, found.since = walked, step
            return True
        if walked.passing is not None:
            return False
        with self.budget.up_to(self.share):
            return not self._passes(step, samples) and self._later(step)

    def _halved(self) -> int:
        """Return the shortest prefix behind which no continuation was seen to pass, as far as halving tells."""
        found, end = self.found, len(self.run)
        if found.passed is None and not self._passes(self.first, PROBES):
            return self.first
        assert found.passed is not None
        low, high = found.passed, end + 1
        while high - low > 1:
            if self._passes((low + high) // 2, PROBES):
                low = found.passed
                high = high if low < high else end + 1  # it kept to the run for longer than was thought possible
            else:
                high = (low + high) // 2
        return high

    def _passes(self, step: int, samples: int) -> bool:
        """Say whether one of so many continuations passes; note how long it kept to the failing run."""
        prefix = self.run[:step]
        for number in range(samples):
            ended = self.continuations.drawn(prefix, number)
            if ended.fails is False:
                self._passed(ended.done)
                return True
        return False

    def _passed(self, done: Prefix) -> None:
        """Take in a run that passes."""
        same = common(self.run, done)
        self.found.passed = max(same, self.found.passed if self.found.passed is not None else same)

    def _walk(self, step: int) -> Walked:
        """Walk the tree behind a prefix, with a share of what is left of the budget."""
        with self.budget.up_to(self._part(SHARE)):
            walked = self.continuations.walk(self.run[:step], to_first_pass=True)
        if walked.passing is not None:
            self._passed(walked.passing)
        return walked

    def _part(self, share: float) -> float:
        used = self.budget.spent
        return used + max(self.share - used, 0.0) * share

    def _later(self, step: int) -> bool:
        """Look for the shortest longer prefix that can be walked to its end; return whether none of them passes."""
        low, high = step, len(self.run) + 1
        while high - low > 1:
            middle = (low + high) // 2
            if self.budget.spent >= self.share:
                raise Spent
            walked = self._walk(middle)
            if walked.passing is not None:
                return False
            low, high = (low, middle) if walked.complete else (middle, high)
            if walked.complete:
                self.found.since = middle
        return True


def common(one: Prefix, other: Prefix) -> int:
    """Return how many ops two runs have in common at their beginning."""
    for step, (mine, its) in enumerate(zip(one, other, strict=False)):
        if mine != its:
            return step
    return min(len(one), len(other))
