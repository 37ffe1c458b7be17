"""Commuting: another order of the same class, with fewer turning points."""

from __future__ import annotations

from mmrace.search.minimise.commute import commuted, in_few_turns
from mmrace.search.minimise.in_order import steps_of, watch
from mmrace.strategies.guided import Guided
from mmrace.strategies.order.classes import ClassDigest
from tests.search.minimise.failing import failing, first_case, torn, trials_of


def test_independent_steps_change_places_and_dependent_ones_do_not() -> None:
    record, makers, signature = failing(torn, "exception", turns=8)
    trials = trials_of(record, makers, signature, "exception")
    case = first_case(trials, record)
    with trials.played(case, Guided(case.turns, case.values), watch=watch) as played:
        steps = steps_of(played)
    order = list(in_few_turns(steps))
    assert sorted(order) == list(range(len(steps.tasks)))
    place = {step: number for number, step in enumerate(order)}
    clock = steps.order.clock
    for step in order:
        assert all(place[other] < place[step] for other in range(step) if clock[step] >> other & 1)


def test_the_class_and_the_finding_stay_and_turning_points_go() -> None:
    record, makers, signature = failing(torn, "exception", turns=8)
    trials = trials_of(record, makers, signature, "exception")
    before = trials.of(first_case(trials, record))
    after = commuted(trials, before)
    assert before.fails
    assert after.fails
    assert after.case.cost < before.case.cost // 2
    digests = []
    for case in (before.case, after.case):
        with trials.played(case, Guided(case.turns, case.values), watch=ClassDigest) as played:
            assert isinstance(played.watched, ClassDigest)
            digests.append(played.watched.value())
    assert digests[0] == digests[1]
