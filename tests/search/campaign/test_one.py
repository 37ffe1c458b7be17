"""The class of a run of a campaign: told of some under control, chosen by seed, and of one program each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace import installed
from mmrace.examples import lost_update
from mmrace.runs.spec import RunSpec
from mmrace.search.campaign.one import CLASS_EVERY, _of_program

SPEC = RunSpec(f"{lost_update.__file__}:mended", engine="fiber", maker="function", seed=3 * CLASS_EVERY)


def test_the_class_is_told_of_runs_whose_seed_says_so_and_changes_nothing() -> None:
    told = installed.campaign_one(SPEC)
    assert told.digest is not None and told.verdict == installed.run_one(SPEC).verdict == "PASS"
    assert installed.campaign_one(replace(SPEC, seed=SPEC.seed + 1)).digest is None
    assert installed.campaign_one(replace(SPEC, engine="free")).digest is None


def test_runs_of_one_class_have_one_number_whatever_the_engine() -> None:
    numbers = {
        installed.campaign_one(replace(SPEC, engine=engine, seed=seed * CLASS_EVERY)).digest
        for engine in ("gate", "fiber")
        for seed in range(12)
    }
    assert len(numbers) == 2, "either task is the first, once in twelve runs of one engine or the other"


@pytest.mark.parametrize("changes", [{"params": (("tasks", 2),)}, {"era": "another"}])
def test_another_program_has_other_classes(changes: dict[str, object]) -> None:
    assert _of_program(5, SPEC) != _of_program(5, replace(SPEC, **changes))  # type: ignore[arg-type]
