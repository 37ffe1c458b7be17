"""`mmrace stress --resume` and `--shard`: what is gone on with, and which calls are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace import installed
from mmrace.runtime.errors import EXIT_PASS, EXIT_USAGE
from mmrace.search.campaign.request import Request
from tests import in_process
from tests.search.campaign import stand_ins
from tests.search.campaign.stand_ins import stand_in_catalogue
from tests.search.campaign.stored import Ending, index_of, stored

RUNS = 12


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a store with a campaign that was interrupted; the command line is over the same stand-ins."""
    known = stand_in_catalogue()
    monkeypatch.setattr(installed, "catalogue", lambda: known)
    monkeypatch.setattr(installed, "campaign_one", stand_ins.passing)
    stored(tmp_path, known, Request(("alpha",), runs=RUNS, engine="free", canaries=False), stand_ins.passing, Ending(5))
    return tmp_path


@pytest.mark.slow
def test_a_campaign_is_gone_on_with_and_reported_whole(
    interrupted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("stress", "--resume", "--store", str(interrupted), "--jobs", "1")
    assert in_process.run(monkeypatch, *words) == EXIT_PASS
    assert f"PASS  {RUNS} runs" in capsys.readouterr().out
    (campaign,) = index_of(interrupted).campaigns()
    assert len(campaign.resumed) == 1 and campaign.ended is not None and campaign.ended.verdict == "PASS"
    assert index_of(interrupted).sums().runs == RUNS
    assert in_process.run(monkeypatch, *words) == EXIT_USAGE
    assert "which ended in PASS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("--runs", "13"), "expected --runs as campaign "),
        (("--for", "2m"), "expected --for as campaign "),
        (("--seed", "2"), "expected --seed as campaign "),
        (("beta",), "expected the scenarios as campaign "),
        (("--param", "pages=2"), "expected --param as campaign "),
        (("--shard", "1/2"), "expected a campaign of shard 1/2 that was interrupted, got 'campaigns of no shard only'"),
        (("--shard", "3/2"), "expected I/N, I from 1 to N"),
    ],
)
def test_what_the_campaign_was_not_asked_is_refused(
    interrupted: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    needle: str,
) -> None:
    assert in_process.run(monkeypatch, "stress", "--resume", "--store", str(interrupted), *words) == EXIT_USAGE
    assert needle in capsys.readouterr().err
    assert index_of(interrupted).campaigns()[0].resumed == []
