"""A finding of an era comes again as one of it, whoever has it again, and has a folder of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import mmrace
from mmrace import installed
from mmrace.runs import kept
from mmrace.runs.follow import spec_in
from mmrace.runs.kept import Owner
from mmrace.runs.minimal import Minimal
from mmrace.runs.schedule import KeptSchedule
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import harness_finding
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record

ERA = "3.1"
SPEC = RunSpec(
    "async-vs-commit", variant="lost-get", engine="fiber", seed=1, era=ERA, params=(("dirtied", 0), ("idle", 0))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep a bug that was planted in 3.1."""
    place = tmp_path_factory.mktemp("era")
    found = mmrace.explore(
        "async-vs-commit", variant="double-put", era=ERA, schedules=100, until_found=True, folder=place
    )
    assert found.verdict == "FAIL"
    return next(iter(found.records.values())).parent


def test_a_replay_is_of_the_record_s_era(folder: Path) -> None:
    assert Record.read(folder / kept.RECORD).header["era"] == ERA
    done = mmrace.replay(folder)
    assert (done.verdict, done.same) == ("FAIL", True)
    assert kept.read(folder) is not None and "--era 3.1" in json.loads((folder / kept.SUMMARY).read_text())["command"]


def test_minimised_it_is_of_its_era_and_one_that_says_another_is_torn(folder: Path, tmp_path: Path) -> None:
    made = mmrace.minimise(folder, runs=20, out=tmp_path / "minimal.json")
    assert (made.era, made.spec.era, made.record.header["era"]) == (ERA, ERA, ERA)
    assert KeptSchedule.of_minimal(made).spec.era == ERA
    plain = made.plain()
    for key, value in (("era", "3.2"), ("spec", {**plain["spec"], "era": "3.2"})):
        with pytest.raises(UsageError, match="the era of the record in it"):
            Minimal.parse(json.dumps({**plain, key: value}).encode(), "x")


def test_another_era_can_be_asked_for_in_its_place(folder: Path) -> None:
    for era in ("3.3", "3.2"):
        done = mmrace.replay(folder, era=era)
        assert done.record is None or done.record.header["era"] == era


def test_a_record_of_before_there_were_eras_is_of_the_model_s_own() -> None:
    record = installed.run_one(replace(SPEC, variant="", era=""), keep_record=True).record
    assert record is not None
    del record.header["era"]
    assert spec_in(record, installed.MAKERS).era == ""


def test_its_own_name_and_none_are_one_program() -> None:
    makers = installed.MAKERS
    assert makers.program(replace(SPEC, era="3.3")).key == makers.program(replace(SPEC, era="")).key
    assert makers.program(SPEC).key != makers.program(replace(SPEC, era="")).key
    assert makers.era("scenario", "3.3") == "" and makers.era("scenario", ERA) == ERA


def test_the_findings_of_an_era_are_its_own() -> None:
    owners = {kept.owner_of(replace(SPEC, era=era)) for era in ("", ERA)}
    assert owners == {Owner("scenario", "async-vs-commit", "lost-get", era) for era in ("", ERA)}
    assert len({owner.beside("abc") for owner in owners}) == 2
    signatures = {harness_finding("crash", "", replace(SPEC, era=era)).signature for era in ("", ERA)}
    assert len(signatures) == 2


def test_one_that_does_not_exist_is_refused_and_a_function_has_none(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("def main():\n    pass\n")
    with pytest.raises(UsageError, match="a function has none"):
        mmrace.explore(f"{tmp_path / 'own.py'}:main", era="3.3-rc1", schedules=1)
