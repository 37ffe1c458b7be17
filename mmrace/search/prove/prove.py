"""From a minimal file to its proof: the point of no return, each causal ordering swapped, a share for each point.

Invariant: the minimal run was done again here, op by op, before anything is told of it; with a budget of runs alone the
same file gives the same proof, but for the seconds.  What the budget does not reach is left out, and `complete` says
so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mmrace.runs import stops
from mmrace.runs.chosen import Chosen
from mmrace.runs.differences import of_events
from mmrace.runs.follow import models_of
from mmrace.runs.minimal import Causal, Flips, Minimal, Op
from mmrace.runs.play import play
from mmrace.runs.program import Makers
from mmrace.runs.proof import Effort, NoReturn, Point, Proof, Swap, wilson
from mmrace.runtime.errors import NondeterminismError, UsageError
from mmrace.runtime.kinds import NOTE
from mmrace.search.minimise.in_order import Steps, steps_of, watch
from mmrace.search.minimise.trials import Budget, Case, Spent, Trials
from mmrace.search.prove.continuations import SAMPLER, Continuations, is_end
from mmrace.search.prove.no_return import Found, Search
from mmrace.search.prove.prefix import Prefix, Prefixed, deeds
from mmrace.search.prove.swaps import swapped
from mmrace.strategies.guided import Guided, Place, Preemption, Value, places

SAMPLES = 100
"""Continuations drawn at a point: if all of them fail, 95 % Wilson says that more than 96 % do."""
POINTS_MAX = 16  # rows that a report has room for
NO_RETURN = 0.45  # of the budget, up to which the point of no return is looked for
SWAPS = 0.8  # up to which orderings are swapped; the rest is for the shares
SWAP_WALK = 0.6  # of what one swap may use, up to which its tree is walked; the rest is for draws


@dataclass(frozen=True)
class Run:
    """The minimal run, done again.  Attributes: named, events: of each step its place, and its number in the record."""

    done: Prefix
    named: list[Place]
    events: list[int]
    steps: Steps

    def op(self, step: int) -> Op | None:
        """Return the op of a step; None before the first one, and behind the last."""
        return Op(*self.named[step], self.events[step]) if 0 <= step < len(self.named) else None

    def step(self, op: Op | Preemption | Value, otherwise: int = -1) -> int:
        """Return the step of an op by its name."""
        place = op.task, op.site, op.visit
        return self.named.index(place) if place in self.named else otherwise


def prove(minimal: Minimal, makers: Makers, budget: Budget, samples: int = SAMPLES) -> Minimal:
    """Return the minimal file with its proof; orderings that were proved say so.

    Raises UsageError for another model's, NondeterminismError if its run cannot be done again.
    """
    trials = Trials(minimal.spec, makers, minimal.signature, minimal.finding.oracle, budget)
    case = Case(minimal.spec.params, minimal.spec.seed)
    continuations = Continuations(trials, case, is_end=is_end(minimal.finding, minimal.record))
    run = _again(minimal, continuations, trials)
    return Prover(minimal, continuations, run, budget, samples).minimal()


def _again(minimal: Minimal, continuations: Continuations, trials: Trials) -> Run:
    """Do the minimal run once more, as the prefix of itself."""
    models = models_of(continuations.program, minimal.record)
    if models is not None:
        raise UsageError(
            expected="a minimal file of this model",
            got=f"one made by {models[0]}, while here is {models[1]}",
            where="prove",
            try_="mmrace minimise, with this mmrace",
        )
    done = deeds(minimal.record)
    with play(
        continuations.program, continuations.spec, Chosen(Prefixed(done, Guided(()))), sites=True, watch=watch
    ) as played:
        other = next(of_events(minimal.record, played.record), None)
        if other is not None:
            raise NondeterminismError(0, f"{other.what} as recorded: {other.recorded}", str(other.now))
        if not trials.judged(played):
            raise NondeterminismError(len(done), f"finding {minimal.signature} again", "a run without it")
        named = [place for _, place in places(played.record)]
        events = [number for number, event in enumerate(played.record.events) if event[1] != NOTE]
        return Run(done, named, events, steps_of(played))


class Prover:
    """The proof of one minimal file.  Args: samples: continuations drawn at each point, and of each swap."""

    def __init__(self, minimal: Minimal, continuations: Continuations, run: Run, budget: Budget, samples: int) -> None:
        self.file, self.continuations, self.run = minimal, continuations, run
        self.budget, self.samples = budget, samples
        self.complete = True

    def minimal(self) -> Minimal:
        """Make the proof; return the file that has it."""
        first = self.run.steps.explored[0]
        found = Search(self.continuations, self.run.done, first, self.budget, NO_RETURN).search(self.samples)
        self.complete &= found.proved
        swaps = tuple(self._swaps())
        points = tuple(self._points(found))
        spent = None if self.complete or stops.asked() else self.budget.spent >= 1
        budget = Effort(self.budget.used, round(self.budget.lasted, 3), self.samples, self.complete, spent)
        proof = Proof(points, self._no_return(found), swaps, len(self.run.done), first, SAMPLER, budget)
        causal = tuple(_proved(ordering, place, swaps) for place, ordering in enumerate(self.file.causal))
        return replace(self.file, proof=proof, causal=causal)

    # -- the point of no return -------------------------------------------------------------------------------------

    def _no_return(self, found: Found) -> NoReturn | None:
        if found.step is None:
            return None
        step, walked = found.step, found.walked
        fails, of = self._seen(step)
        classes = None if walked is None else walked.classes
        proved = found.proved and fails == of  # a draw that passes would show that the walk was wrong
        return NoReturn(step, self.run.op(step - 1), fails, of, classes, proved, found.since)

    # -- shares -----------------------------------------------------------------------------------------------------

    def _points(self, found: Found) -> Iterator[Point]:
        """Draw at each point, the most telling ones first; yield them in the order of the run."""
        drawn: set[int] = set()
        try:
            for step in self._steps(found):
                for number in range(self.samples):
                    self.continuations.drawn(self.run.done[:step], number)
                drawn.add(step)
        except Spent:
            self.complete = False
        for step in sorted(drawn):
            fails, of = self._seen(step)
            yield Point(step, self.run.op(step - 1), fails, of, *wilson(fails, of))

    def _seen(self, step: int) -> tuple[int, int]:
        """Return how many of the continuations drawn so far fail, and of how many that is known."""
        known = [ended.fails for ended in self.continuations.seen(self.run.done[:step]) if ended.fails is not None]
        return sum(known), len(known)

    def _steps(self, found: Found) -> list[int]:
        """Return the prefixes that get a share: around what the minimal schedule does, at most `POINTS_MAX`."""
        end, first = len(self.run.done), self.run.steps.explored[0]
        schedule = self.file.schedule
        ops = [op for ordering in self.file.causal for op in (ordering.first, ordering.second)]
        named: list[Op | Preemption | Value] = [*schedule.turns, *schedule.choices, *ops]
        told = [self.run.step(op) for op in named]
        steps = [first, end]
        if found.step is not None:
            steps += [found.step, found.step - 1]
        steps += [step + 1 for step in told if step >= 0]
        return [step for step in dict.fromkeys(steps) if first <= step <= end][:POINTS_MAX]

    # -- orderings --------------------------------------------------------------------------------------------------

    def _swaps(self) -> Iterator[Swap]:
        """Swap each causal ordering, each with an equal part of what is left up to `SWAPS`."""
        count = len(self.file.causal)
        for place, ordering in enumerate(self.file.causal):
            spent = self.budget.spent
            share = spent + max(SWAPS - spent, 0.0) / (count - place)
            swap = self._swap(place, ordering, spent, share)
            if swap is None:
                self.complete = False
            else:
                self.complete &= swap.classes is not None
                yield swap

    def _swap(self, place: int, ordering: Causal, spent: float, share: float) -> Swap | None:
        """Walk the tree behind the swapped ops, or else draw; None without one run."""
        first, second = (self.run.step(op, len(self.run.done)) for op in (ordering.first, ordering.second))
        prefix = swapped(self.continuations, self.run.steps, self.run.done, (first, second), ordering)
        if not prefix:
            return None
        with self.budget.up_to(spent + (share - spent) * SWAP_WALK):
            walked = self.continuations.walk(prefix)
        if walked.complete:
            return Swap(place, walked.fails, walked.classes, walked.classes, walked.fails == 0, walked.others)
        try:
            with self.budget.up_to(share):
                for number in range(self.samples):
                    self.continuations.drawn(prefix, number)
        except Spent:
            pass
        known = [ended for ended in self.continuations.seen(prefix) if ended.fails is not None]
        fails, others = sum(ended.fails is True for ended in known), sum(ended.otherwise for ended in known)
        return Swap(place, fails, len(known), None, False, others) if known else None


def _proved(ordering: Causal, place: int, swaps: tuple[Swap, ...]) -> Causal:
    """Return an ordering as it is known now."""
    for swap in swaps:
        if swap.causal == place and swap.proved:
            return replace(ordering, flips=Flips(0, swap.of, proved=True, others=swap.others))
    return ordering
