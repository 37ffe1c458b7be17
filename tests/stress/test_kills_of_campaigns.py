"""A campaign whose workers or client are killed, or stopped and let go, comes to what it comes to undisturbed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stress import disturbing
from stress.disturbing import KINDS, Campaign, Moment, Told, drawn
from stress.kept_campaign import Came, batches_over, came, differences
from stress.kills_of_campaigns import Kills

SMALL = ("mmrace/examples/lost_update.py:main", "--engine", "fiber")
CAME = Came({"a": ((0, 4),)}, {"a": {"runs": 4, "hits": {"f00": 1}}}, frozenset({"f00"}), 0, ())


STEPS = (300, 900, 2000)  # before it is written down that the campaign began; before a batch is; while some are


@pytest.mark.slow
@pytest.mark.timeout(600)  # seven processes, one after the other
def test_a_campaign_that_is_killed_and_resumed_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    def made(name: str, told: Told) -> Campaign:
        return Campaign((*SMALL, "--runs", "120"), ("--jobs", "1", "--minimise", "off"), tmp_path / name, told)

    kills = Kills.against("client", made, made("calm", Told()))
    assert (kills.calm.runs, kills.code) == (120, 1) and kills.calm.folders
    kills.run([Moment(0.0, False, step, 0, 0.0) for step in STEPS])
    assert (kills.wrong, kills.told.moments, kills.told.orphans) == ([], 3, 0)
    assert kills.told.resumed, "it went on"
    assert "findings lost 0, runs counted twice 0, left behind 0" in kills.lines()[0]


def test_moments_are_drawn_by_seed_for_each_kind() -> None:
    for kind in KINDS:
        assert drawn(kind, 20, 1) == drawn(kind, 20, 1) != drawn(kind, 20, 2)
    assert sum(moment.step > 0 for moment in drawn("client", 20, 1)) == 10
    assert not any(
        one.early and other.early
        for one, other in zip(drawn("worker", 20, 1), drawn("worker", 20, 1)[1:], strict=False)
    )


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"turns": {"a": ((0, 2), (3, 4))}}, "other turns were made"),
        ({"sums": {"a": {"runs": 5, "hits": {"f00": 1}}}}, "runs of sequence a: 5, undisturbed 4"),
        ({"sums": {}}, "runs of sequence a: None, undisturbed 4"),
        ({"folders": frozenset()}, "no folder of f00"),
        ({"twice": 3}, "runs counted twice: 3"),
        ({"lost": ("f00",)}, "findings lost: f00"),
    ],
)
def test_each_difference_is_told(facts: dict[str, Any], told: str) -> None:
    assert differences(CAME, CAME) == []
    assert told in differences(CAME, replace(CAME, **facts))


def test_of_a_store_that_is_not_there_nothing_came(tmp_path: Path) -> None:
    assert came(tmp_path) == Came({}, {}, frozenset(), 0, ())


class Writing:
    """A campaign's process, as far as it is waited for: each look at it finds another line in the ledger."""

    def __init__(self, segment: Path, lines: list[str]) -> None:
        self.segment, self.lines = segment, lines
        segment.parent.mkdir(parents=True)

    def poll(self) -> int | None:
        if self.lines:
            with self.segment.open("a") as file:
                file.write(self.lines.pop(0))
        return None

    def wait(self, seconds: float) -> int:
        raise subprocess.TimeoutExpired("campaign", seconds)


def test_a_worker_is_killed_again_only_when_runs_were_made_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BUG once: a batch of before the kill, written after it, let four workers in a row die before a run."""
    monkeypatch.setattr(disturbing, "LOOK_SECONDS", 0.0)
    campaign = Campaign(SMALL, (), tmp_path / "one", Told())
    batches = [f'00000000 {{"is":"batch","first":{when},"when":{when}}}\n' for when in (8, 9, 10, 12)]
    process = Writing(campaign.store / "ledger" / "one.jsonl", [*batches[:3], '00000000 {"is":"batc\n', batches[3]])
    campaign._struck = [3.0, 8.5, 10.0]
    assert campaign._wait(process, Moment(0.0, False, 0, 0, 0.0))  # type: ignore[arg-type]
    assert process.lines == [] and batches_over(campaign.store) == [8.0, 9.0, 10.0, 12.0]
    assert campaign._again() == [5.0, 0.5, 2.0]
    campaign._struck, campaign._at = [], 11.0
    assert campaign._wait(process, Moment(0.0, False, 0, 0, 0.0))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["worker", "stop"])
def test_a_campaign_whose_processes_are_killed_or_stopped_comes_to_what_it_comes_to(tmp_path: Path, kind: str) -> None:
    def made(name: str, told: Told) -> Campaign:
        return Campaign((*SMALL, "--runs", "120"), ("--jobs", "1", "--minimise", "off"), tmp_path / name, told)

    kills = Kills.against(kind, made, made("calm", Told()))
    kills.run([Moment(0.0, False, 0, whom, 0.02) for whom in (0, 2)])
    assert (kills.wrong, kills.told.moments, kills.told.orphans) == ([], 2, 0)
