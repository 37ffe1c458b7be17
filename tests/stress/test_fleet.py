"""Explorations and campaigns by a fleet whose processes are killed or stopped come to what they come to undisturbed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stress import fleet
from stress.disturbing import Moment, Told
from stress.fleet import Came, Sums, disturbed, undisturbed
from stress.fleet_machines import Machines
from stress.fleet_resuming import FarCampaign
from stress.kills_of_campaigns import Kills

pytest.importorskip("distributed")

RUNS = 600
KINDS = ("child", "nanny", "stop", "scheduler")
SMALL = ("mmrace/examples/lost_update.py:main", "--engine", "fiber", "--runs", "120")
LOCAL, NEAR = ("--dask", "local:1"), ("--jobs", "1")
STEPS = (2000, 900)  # of the ledger's code: with runs in it; when it has just begun to go on


@pytest.mark.slow
@pytest.mark.timeout(600)  # a scheduler, a nanny and a worker are started twice or more
def test_killed_and_stopped_processes_of_a_fleet_lose_no_run_and_count_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "PAUSE_SECONDS", (0.0, 0.0))
    expected = undisturbed(RUNS)
    assert len(expected.seen) == RUNS and expected.hits
    sums = Sums(moments=len(KINDS))
    with Machines(workers=1) as machines:
        got, struck = disturbed(KINDS, machines, None, len(KINDS), RUNS, random.Random(1), tmp_path)
    sums.compare(got, expected, struck)
    sums.left += machines.killed_left()
    assert got.whole and len(struck) == len(KINDS) and machines.restarts >= 2
    assert sums.wrong == 0, sums.line("each")


@pytest.mark.slow
@pytest.mark.timeout(600)  # a cluster is started twice
def test_a_campaign_of_a_fleet_goes_on_after_its_client_was_killed_with_processes_and_with_a_fleet(
    tmp_path: Path,
) -> None:
    def made(name: str, told: Told) -> FarCampaign:
        return FarCampaign(SMALL, (LOCAL, NEAR), tmp_path / name, told)

    kills = Kills.against("client", made, FarCampaign(SMALL, (NEAR,), tmp_path / "calm", Told()))
    assert (kills.calm.runs, kills.code) == (120, 1) and kills.calm.folders
    kills.run([Moment(0.0, False, step, 0, 0.0) for step in STEPS])
    assert (kills.wrong, kills.told.moments, kills.told.orphans) == ([], 2, 0)
    assert kills.told.resumed, "it went on"


def test_what_is_lost_or_twice_or_false_is_counted() -> None:
    expected = Came(seen={0: ("a", "FAIL"), 1: ("b", "PASS")}, hits={"f00": 1}, whole=True)
    other = Came(seen={0: ("a", "PASS")}, twice=1, hits={"f01": 1}, times=[1.0, 2.5], whole=True)
    sums = Sums()
    sums.compare(expected, expected, [])
    assert sums.wrong == 0
    sums.compare(other, expected, [0.5])
    assert (sums.runs_lost, sums.runs_twice, sums.findings_lost, sums.alarms) == (2, 1, 1, 1)
    assert sums.silence == [1.5] and sums.wrong == 5
