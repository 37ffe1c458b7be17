"""The proof of a minimal schedule says what enumeration of all schedules says; a wrong prover is caught.

Shares are drawn with fixed seeds: what is compared with them is compared exactly, and nothing is left to chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mmrace.examples import two_locks
from mmrace.report.proof import swap_line
from mmrace.runs import stops
from mmrace.runs.functions import FunctionProgram
from mmrace.runs.minimal import Minimal
from mmrace.runs.proof import Proof, wilson
from mmrace.runtime.errors import NondeterminismError, UsageError
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget, Case, Trials
from mmrace.search.prove import no_return, swaps
from mmrace.search.prove import prove as proving
from mmrace.search.prove.continuations import Continuations, Walked, is_end
from mmrace.search.prove.no_return import Search, common
from mmrace.search.prove.prefix import Prefix
from mmrace.search.prove.prove import prove
from mmrace.strategies.dpor import Dpor
from tests.search.minimise.failing import failing
from tests.search.prove.enumerated import COMPLETE, CUT_OFF, Every, every, minimal_of

SAMPLES = 20
QUICK = ("early", "drawn")
EACH = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMPLETE]
COUNTED = ("two locks",)
"""Programs in which no run is cut off by an exception: there a class is a class, whoever counts."""


def proved(name: str, budget: Budget | None = None) -> tuple[Proof, Minimal]:
    """Return a program's proof, and its minimal file."""
    minimal, makers = minimal_of(name)
    made = prove(minimal, makers, budget or Budget(), SAMPLES)
    assert made.proof is not None
    return made.proof, made


def wrong_in(proof: Proof, truth: Every) -> list[str]:
    """Return what a proof says that is not so."""
    wrong = []
    told = proof.no_return
    if told is None or told.step != truth.no_return or not told.proved or told.fails != told.of:
        wrong.append(f"no return at {told}, not {truth.no_return}")
    for point in proof.points:
        behind = {schedule.fails for schedule in truth.behind(truth.run[: point.step])}
        seen = {True} if point.fails == point.of else {False, True} if point.fails else {False}
        if not seen <= behind:
            wrong.append(f"{point}, while {behind}")
    return wrong


@pytest.mark.parametrize("name", EACH)
def test_the_point_of_no_return_is_exactly_where_all_schedules_have_it(name: str) -> None:
    proof, _ = proved(name)
    assert wrong_in(proof, every(name)) == []
    assert proof.budget.complete


@pytest.mark.parametrize("name", EACH)
def test_a_step_before_it_some_schedule_passes_and_behind_it_none(name: str) -> None:
    truth, step = every(name), proved(name)[0].no_return.step  # type: ignore[union-attr]
    assert all(schedule.fails for schedule in truth.behind(truth.run[:step]))
    assert not all(schedule.fails for schedule in truth.behind(truth.run[: step - 1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_the_classes_behind_it_are_those_of_all_schedules(name: str) -> None:
    proof, _ = proved(name)
    assert proof.no_return is not None
    truth = every(name)
    fails, classes = truth.classes(truth.run[: proof.no_return.step])
    assert proof.no_return.classes == classes == fails


@pytest.mark.parametrize("name", EACH)
def test_no_schedule_with_an_ordering_swapped_fails(name: str) -> None:
    proof, made = proved(name)
    assert len(proof.swaps) == len(made.causal)
    for swap in proof.swaps:
        assert (swap.fails, swap.of, swap.proved) == (0, swap.classes, True)
        assert made.causal[swap.causal].flips.proved
        assert made.causal[swap.causal].flips.of == swap.of


def test_a_swap_that_gives_another_failure_is_not_told_as_one_that_passes() -> None:
    """Swap what shows that a deadlock may come, and it comes."""
    record, makers, signature = failing(two_locks.main, "lock-order")
    minimal = minimise(record, makers, signature, Budget(runs=4000))
    made = prove(minimal, makers, Budget(), SAMPLES)
    assert made.proof is not None
    (swap,) = made.proof.swaps
    assert (swap.fails, swap.of, swap.proved, swap.others) == (0, 1, True, 1)
    assert made.causal[0].flips.others == 1
    assert swap_line(made, swap).endswith("this finding is gone (proved over the one class), but it fails otherwise")


def test_swaps_that_are_drawn_count_other_failures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    record, makers, signature = failing(two_locks.main, "lock-order")
    minimal = minimise(record, makers, signature, Budget(runs=4000))
    monkeypatch.setattr(Continuations, "walk", lambda *given, **how: Walked())
    proof = prove(minimal, makers, Budget(), SAMPLES).proof
    assert proof is not None
    assert (proof.budget.complete, proof.budget.spent) == (False, False)
    assert [(swap.fails, swap.of, swap.proved, swap.others) for swap in proof.swaps] == [(0, SAMPLES, False, SAMPLES)]


def swapped_prefixes(name: str, patch: pytest.MonkeyPatch) -> dict[int, Prefix]:
    """Return the prefixes in which a prover swaps two ops, by the ordering."""
    found: dict[int, Prefix] = {}
    real = swaps.swapped

    def noted(*args: Any) -> Prefix:
        prefix = real(*args)
        found[len(found)] = prefix
        return prefix

    patch.setattr(proving, "swapped", noted)
    proved(name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lost update", "torn", "drawn"])
def test_what_is_said_of_a_swap_is_true_of_all_schedules_with_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, prefixes = every(name), swapped_prefixes(name, monkeypatch)
    assert prefixes
    for prefix in prefixes.values():
        behind = truth.behind(prefix)
        assert behind
        assert not any(schedule.fails for schedule in behind)


# -- the budget --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_same_budget_in_runs_gives_the_same_proof() -> None:
    proofs = [proved("torn", Budget(runs=150))[0] for _ in range(2)]
    assert proofs[0].budget.runs == proofs[1].budget.runs <= 150
    assert replace(proofs[0], budget=proofs[1].budget) == proofs[1]


@pytest.mark.slow
@pytest.mark.parametrize("runs", [1, 7, 40, 100])
def test_a_budget_that_ends_says_so_and_leaves_out_what_it_did_not_reach(runs: int) -> None:
    proof, _ = proved("torn", Budget(runs=runs))
    assert proof.budget.runs <= runs
    assert (proof.budget.complete, proof.budget.spent) == (False, True)
    told, truth = proof.no_return, every("torn")
    if told is not None and told.proved:
        assert told.step == truth.no_return
    assert all(swap.fails == 0 for swap in proof.swaps)


def test_whoever_stops_it_gets_what_is_proved_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "asked", lambda: 2)
    proof, _ = proved("drawn")
    assert (proof.budget.runs, proof.budget.complete, proof.no_return, proof.points) == (0, False, None, ())


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_the_minimal_file_of_another_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    minimal, makers = minimal_of("torn")
    monkeypatch.setitem(minimal.record.header, "model", "another")
    with pytest.raises(UsageError, match="mmrace minimise"):
        prove(minimal, makers, Budget(), SAMPLES)


def test_a_run_that_goes_another_way_now_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    minimal, makers = minimal_of("torn")
    monkeypatch.setattr(proving, "deeds", lambda record: ())
    with pytest.raises(NondeterminismError):
        prove(minimal, makers, Budget(), SAMPLES)


# -- wrong provers are caught ------------------------------------------------------------------------------------------


class OneRunOnly(Dpor):
    """BUGGY: takes one run for the whole tree."""

    def learn(self, engine: Any) -> None:
        super().learn(engine)
        self.exhausted = True


def no_walk(self: Search, step: int) -> Walked:
    """BUGGY: believes what was drawn."""
    return Walked(1, 1, complete=True)


def one_more(self: Search, done: Prefix) -> None:
    """BUGGY: counts the op at which a passing run leaves the failing one as common to both."""
    self.found.passed = max(common(self.run, done) + 1, self.found.passed or 0)


def _one_run_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        proving, "Continuations", partial(Continuations, search=lambda ends_meet: OneRunOnly(ends_meet=ends_meet))
    )
    patch.setattr(Search, "_passes", lambda self, step, samples: False)


def _no_walk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "_walk", no_walk)
    patch.setattr(no_return, "PROBES", 1)
    patch.setattr("tests.search.prove.test_prove.SAMPLES", 1)


def _one_more(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Search, "_passed", one_more)


PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "takes one run for all": _one_run_only,
    "believes what was drawn": _no_walk,
    "is one op late": _one_more,
}


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED)
def test_a_wrong_prover_is_caught(planted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    truths = {name: (every(name), minimal_of(name)) for name in COMPLETE}
    PLANTED[planted](monkeypatch)
    assert any(wrong_in(proved(name)[0], truth) for name, (truth, _) in truths.items())


# -- ends that hide ----------------------------------------------------------------------------------------------------


def walked(name: str, search: Callable[..., Dpor]) -> Walked:
    """Walk a whole program."""
    minimal, makers = minimal_of(name)
    trials = Trials(minimal.spec, makers, minimal.signature, minimal.finding.oracle, Budget())
    ends = is_end(minimal.finding, minimal.record)
    case = Case(minimal.spec.params, minimal.spec.seed)
    return Continuations(trials, case, is_end=ends, search=search).walk(())


class StopsShort(Dpor):
    """BUGGY: does not try what others could have done in the place of the step that it takes for the end."""

    def _leave(self, enough: int) -> None:
        wanted = [node.wanted for node in self._nodes]
        super()._leave(enough)
        if self._nodes:
            self._nodes[-1].wanted = wanted[len(self._nodes) - 1]


def never_meeting(ends_meet: bool) -> Dpor:
    """BUGGY: takes a broken rule for the whole outcome, whatever is looked for."""
    return Dpor()


@pytest.mark.slow
@pytest.mark.parametrize("name", CUT_OFF)
def test_a_walk_of_runs_that_other_findings_end_sees_failures_and_passes(name: str) -> None:
    assert {schedule.fails for schedule in every(name).schedules} == {False, True}
    seen = walked(name, Dpor)
    assert seen.complete
    assert 0 < seen.fails < seen.classes


@pytest.mark.slow
def test_a_search_that_takes_a_broken_rule_for_all_misses_the_failures_behind_it() -> None:
    assert walked("ended at once", never_meeting).fails == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", CUT_OFF)
def test_where_the_judge_takes_nothing_back_less_is_walked_and_the_same_seen(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race of so small a program is the same in each longer part of it."""
    whole = walked(name, Dpor)
    monkeypatch.setattr(FunctionProgram, "forward", frozenset({"data-race"}))
    seen = walked(name, Dpor)
    assert seen.complete
    assert 0 < seen.fails < seen.classes < whole.classes
    assert wrong_in(proved(name)[0], every(name)) == []


@pytest.mark.slow
def test_a_search_that_stops_short_misses_the_passes_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FunctionProgram, "forward", frozenset({"data-race"}))
    seen = walked("ended early", StopsShort)
    assert seen.fails == seen.classes


@pytest.mark.slow
@pytest.mark.parametrize("name", CUT_OFF)
def test_the_point_of_no_return_is_exact_where_other_findings_end_runs(name: str) -> None:
    assert wrong_in(proved(name)[0], every(name)) == []


# -- the interval ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "of", "interval"),
    [(0, 0, (0.0, 1.0)), (0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0))],
)
def test_the_interval_is_wilsons(hits: int, of: int, interval: tuple[float, float]) -> None:
    assert wilson(hits, of) == interval
