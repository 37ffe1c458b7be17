"""What a sequence is: what its runs depend on, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmrace.runs.spec import LoadedFile
from mmrace.search.campaign.identity import of_row, of_trial
from mmrace.search.campaign.request import Request, complete
from mmrace.search.campaign.sequences import rows
from mmrace.search.catalogue import Catalogue
from tests.search.campaign.stand_ins import StandInCanary, stand_in_catalogue

KNOWN = stand_in_catalogue(StandInCanary("c"), StandInCanary("d"))
ALONE = Request(("alpha",), runs=9)


def keys(request: Request, known: Catalogue = KNOWN) -> set[str]:
    completed = complete(known, request)
    among = [row for row in rows(completed, known) if row.scenario in ("alpha", "played")]
    own = {of_row(row).key for row in among}
    assert len(own) == len(among)
    return own


@pytest.mark.parametrize(
    "changes",
    [{"runs": None, "seconds": 5.0}, {"jobs": 7}, {"scenarios": ("alpha", "beta")}, {"convert": None}, {"anew": True}],
)
def test_how_long_how_fast_and_beside_what_says_nothing_of_a_sequence(changes: dict[str, object]) -> None:
    assert keys(replace(ALONE, **changes)) == keys(ALONE)  # type: ignore[arg-type]


def test_an_engine_that_was_asked_for_is_the_one_of_a_mix() -> None:
    assert keys(replace(ALONE, engine="free")) < keys(ALONE)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"params": (("pages", 2),)},
        {"era": "early"},
        {"variant": "c"},
        {"without": ("content",)},
        {"load": (LoadedFile("own.py", "digest"),)},
    ],
)
def test_whatever_changes_a_run_makes_another_sequence(changes: dict[str, object]) -> None:
    other = replace(complete(KNOWN, ALONE), **changes)  # type: ignore[arg-type]
    assert not {of_row(row).key for row in rows(other, KNOWN)} & keys(ALONE)


def test_noise_is_of_free_runs_and_a_strategy_of_controlled_ones() -> None:
    free, gate = (replace(ALONE, engine=engine) for engine in ("free", "gate"))
    assert keys(replace(free, noise="loud")) != keys(free) == keys(replace(free, strategy="pct"))
    assert keys(replace(gate, strategy="pct")) != keys(gate)


def test_a_workload_is_what_its_file_says(tmp_path: Path) -> None:
    first, same, other = (tmp_path / name / "log.json" for name in ("a", "b", "c"))
    for path, text in ((first, "one"), (same, "one"), (other, "two")):
        path.parent.mkdir()
        path.write_text(text)
    one, again, two = (keys(Request(("played",), workload=str(path), runs=1)) for path in (first, same, other))
    assert one == again and not one & two


def test_planted_bugs_and_their_twins_are_sequences_of_their_own() -> None:
    request = complete(KNOWN, ALONE)
    made = [of_trial(request, canary, role) for canary in KNOWN.canaries.values() for role in ("canary", "twin")]
    assert len({one.key for one in made} | keys(ALONE)) == len(made) + 2
    assert {one.variant for one in made if one.role == "twin"} == {""}
