"""A minimal schedule of a planted bug outlives an edit of the model that has nothing to do with it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace import installed
from mmrace.history.canaries import canaries
from mmrace.kernel.mm import page_alloc
from mmrace.kernel.mm.mm_types import Page
from mmrace.runs.follow_minimal import replay_minimal
from mmrace.runs.minimal import Minimal
from mmrace.runs.spec import RunSpec, derive
from mmrace.runtime.errors import NondeterminismError
from mmrace.scenarios import model
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget

SCHEDULES = 600  # more than the cap that leaves a chance of one in a million to miss this canary


@pytest.fixture(scope="module")
def minimal() -> Minimal:
    """The minimal file of a race: two turning points, without which it does not fail."""
    canary = canaries()["no-freeze"]
    spec = RunSpec(
        canary.scenario, tuple(sorted(canary.params_under("fiber").items())), canary.name, "fiber", "portfolio"
    )
    for index in range(SCHEDULES):
        result = installed.run_one(replace(spec, seed=derive(1, canary.name, index)))
        caught = [finding for finding in result.findings if canary.caught_in([finding])]
        if caught and result.record is not None:
            return minimise(result.record, installed.MAKERS, caught[0].signature, Budget(runs=250))
    raise AssertionError("not met")


@pytest.mark.slow
def test_it_is_small_and_fails_strictly_on_both_engines(minimal: Minimal) -> None:
    assert (minimal.shrunk.after.turns, minimal.shrunk.after.choices) == (2, 0)
    for engine in ("fiber", "gate"):
        result, why = replay_minimal(replace(minimal, spec=replace(minimal.spec, engine=engine)), installed.MAKERS)
        assert not why
        assert minimal.signature in {finding.signature for finding in result.findings}


@pytest.mark.slow
def test_it_follows_through_an_edit_and_says_how_far(minimal: Minimal, monkeypatch: pytest.MonkeyPatch) -> None:
    prep_new_page = page_alloc.prep_new_page

    def looked_at(page: Page, order: int = 0) -> None:
        prep_new_page(page, order)
        assert page.index is not ...  # an op that was not there before

    monkeypatch.setattr(page_alloc, "prep_new_page", looked_at)
    with pytest.raises(NondeterminismError):  # told to be the same model, it is not
        replay_minimal(minimal, installed.MAKERS)
    monkeypatch.setattr(model, "digest", lambda: "edited")
    result, why = replay_minimal(minimal, installed.MAKERS)
    assert "the model is another one" in why
    assert "edited" in why
    assert minimal.signature in {finding.signature for finding in result.findings}
    assert result.followed is not None
    assert (result.followed.done, result.followed.of) == (2, 2)


@pytest.mark.slow
def test_where_the_bug_is_mended_it_passes(minimal: Minimal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "digest", lambda: "mended")
    result, why = replay_minimal(replace(minimal, spec=replace(minimal.spec, variant="")), installed.MAKERS)
    assert why
    assert result.verdict != "FAIL"
    assert minimal.signature not in {finding.signature for finding in result.findings}
