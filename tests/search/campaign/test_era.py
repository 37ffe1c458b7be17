"""A campaign of an era: its runs are of the era; its planted bugs are looked for where their rates were measured."""

from __future__ import annotations

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.search.campaign.plan import canary_spec
from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.sequences import rows
from tests.search.campaign.stand_ins import StandInCanary, stand_in_catalogue


def test_every_run_is_of_the_era_and_no_canary_is() -> None:
    canary = StandInCanary("a")
    known = stand_in_catalogue(canary)
    request = complete(known, Request(runs=1, era="early"))
    assert {row.spec(turn).era for row in rows(request, known) for turn in range(10)} == {"early"}
    assert {canary_spec(request, canary, 0, planted=planted).era for planted in (True, False)} == {""}


def test_runs_differ_from_those_of_the_model_s_own_era_by_the_era_alone() -> None:
    known = stand_in_catalogue()
    early, own, unsaid = (complete(known, Request(runs=1, era=era)) for era in ("early", "now", ""))
    assert own == unsaid
    for one, other in zip(rows(early, known), rows(own, known), strict=True):
        first, second = one.spec(3), other.spec(3)
        assert (first.seed, first.params, first.noise) == (second.seed, second.params, second.noise)


def test_an_era_that_the_catalogue_lacks_is_refused_and_all_are_listed() -> None:
    with pytest.raises(UsageError, match="an era out of early, now, got 'erly'") as caught:
        complete(stand_in_catalogue(), Request(runs=1, era="erly"))
    assert "did you mean early" in caught.value.try_ and "mmrace list eras" in caught.value.try_
