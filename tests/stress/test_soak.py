"""A soak: what is wrong is told, what is not is not; and a short one of a small program ends well and leaves nobody."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from mmrace.search.ledger.entry import Beat
from mmrace.search.ledger.ledger import Ledger
from stress import soak_picture, soak_report
from stress.soak import Plan, main
from stress.soak_report import MIB, Life, Sample, Soaked
from stress.watched import CAMPAIGN, WORKER, Seen, having, look, size

HOUR = 3600


def seen(role: str, mib: float, threads: int = 5, fds: int = 10) -> Seen:
    own = int(mib * MIB)
    return Seen(1 if role == CAMPAIGN else 2, role, own + MIB, own, own, threads, fds, 1.0)


def soaked(mib_per_hour: float = 0.0, blocks_per_hour: int = 0, **facts: Any) -> Soaked:
    """Return a soak of two hours whose campaign's own process grows, or the living objects of whose worker do."""
    times = range(0, 2 * HOUR, 30)
    samples = [
        Sample(float(t), [seen(CAMPAIGN, 40 + mib_per_hour * t / HOUR), seen(WORKER, 50)], 10 * t, 10 * t, 0, 0)
        for t in times
    ]
    lives = {"free.0": [Life(float(t), 300_000 + blocks_per_hour * t // HOUR + t % 7 * 100, 0) for t in times[::2]]}
    plain = Soaked(asdict(Plan(2.0 * HOUR, 1)), samples, [], {}, 0, 0, 2.0 * HOUR, False, "PASS", [], "a tree", lives)
    return replace(plain, **facts)


def with_worker(soak: Soaked, of: Callable[[float], Seen]) -> Soaked:
    """Return it with another worker.  Args: of: seconds -> how it is."""
    return replace(soak, samples=[replace(sample, processes=[of(sample.seconds)]) for sample in soak.samples])


@pytest.mark.parametrize("lives", [soaked().lives, {}], ids=["told", "not told"])
def test_a_soak_in_which_nothing_happens_has_nothing_wrong(tmp_path: Path, lives: dict[str, list[Life]]) -> None:
    calm = soaked(lives=lives)
    assert calm.wrong() == []
    assert "nothing is wrong" in soak_report.page(calm)
    soak_picture.draw(calm, tmp_path / "soak.svg")
    assert ("free.0" in (tmp_path / "soak.svg").read_text()) is bool(lives)


@pytest.mark.parametrize(("growth", "told"), [(3.0, False), (8.0, True)])
def test_growth_of_the_campaign_counts_from_its_bound_on(growth: float, told: bool) -> None:
    wrong = soaked(growth).wrong()
    assert bool(wrong) is told
    assert all(text.startswith("campaign grows by 8.0 MiB per hour") for text in wrong)


@pytest.mark.parametrize(("growth", "told"), [(30_000, False), (80_000, True)])
def test_growth_of_what_lives_in_a_worker_counts_from_its_bound_on(growth: int, told: bool) -> None:
    soak = soaked(blocks_per_hour=growth)
    assert [text.split(",")[0] for text in soak.wrong()] == ["free.0 grows by 80"] * told
    assert f"{growth / 1000:+.1f}" in soak_report.page(soak)


def test_memory_that_a_long_run_leaves_with_the_allocator_is_no_leak() -> None:
    plain = soaked()
    assert with_worker(plain, lambda t: seen(WORKER, 50 + 30 * (t > HOUR) + 20 * (t > 1.6 * HOUR))).wrong() == []
    assert with_worker(plain, lambda t: seen(WORKER, 500)).wrong() == ["worker 1 had 500 MiB, at most 400 are expected"]


def test_memory_that_no_steps_explain_is_a_leak_though_few_objects_live() -> None:
    [told] = with_worker(soaked(), lambda t: seen(WORKER, 50 + 120 * t / HOUR)).wrong()
    assert told.startswith("worker 1 grows by 120.0 MiB per hour")


def test_what_stays_in_the_end_is_wrong_whenever_it_came() -> None:
    calm = soaked().lives["free.0"]
    late = [one._replace(blocks=3_000_000, stray=2) if one.seconds > 1.9 * HOUR else one for one in calm]
    assert soaked(lives={"free.0": late}).wrong() == [
        "free.0 has 2 threads in the end that no run owns",
        "free.0 has 3,000,000 living blocks in the end, at most 1,000,000 are expected",
    ]
    samples = [replace(one, processes=[seen(CAMPAIGN, 40 + 4000 * (one.seconds > 7000))]) for one in soaked().samples]
    assert soaked(samples=samples).wrong() == ["campaign had 4040 MiB, at most 400 are expected"]


def test_growth_of_which_little_was_seen_is_shown_and_not_judged() -> None:
    long = soaked(60.0, 300_000)
    short = replace(
        long,
        samples=[sample for sample in long.samples if sample.seconds < 900],
        lives={name: [one for one in life if one.seconds < 900] for name, life in long.lives.items()},
        seconds=900.0,
    )
    few = replace(long, samples=[replace(sample, runs=sample.runs // 20) for sample in long.samples])
    for soak in (short, few):
        page = soak_report.page(soak)
        assert soak.wrong() == []
        assert "+60.0" in page and "+300.0" in page and "not judged" in page
    assert len(long.wrong()) == 2


def test_what_was_logged_left_behind_or_said_on_stderr_is_wrong() -> None:
    assert soaked(left=2).wrong() == ["2 processes were left behind"]
    assert soaked(complaints=["mmrace: what"]).wrong() == ["on stderr: mmrace: what"]
    assert soaked(events=[{"event": "finding", "text": "finding abc"}]).wrong() == ["finding: finding abc"]
    assert soaked(code=1, verdict="FAIL").wrong() == ["exit code 1: FAIL"]
    assert soaked(code=130).wrong() and not soaked(code=130, interrupted=True).wrong()


def test_threads_that_become_more_and_more_are_wrong() -> None:
    soak = with_worker(soaked(), lambda t: seen(WORKER, 50, threads=36 + int(t) // 500))
    assert soak.wrong() == ["worker 1 had 50 threads, at most 48 are expected"]


def test_a_run_that_needs_more_threads_than_any_before_it_is_no_leak() -> None:
    assert with_worker(soaked(), lambda t: seen(WORKER, 50, threads=17 if t < HOUR else 31)).wrong() == []


def test_files_that_stay_open_are_wrong() -> None:
    [told] = with_worker(soaked(), lambda t: seen(WORKER, 50, fds=10 + int(t) // 300)).wrong()
    assert told.startswith("worker 1 grows by 12.0 open files per hour")


def test_this_process_is_seen_as_it_is() -> None:
    own = look(os.getpid(), os.getpid())
    assert own is not None
    assert (own.role, own.threads >= 1, own.fds >= 3, own.rss > MIB) == (CAMPAIGN, True, True, True)
    assert look(2**22 + 1, os.getpid()) is None
    assert having("MMRACE_SOAKED=nobody has this") == []


def test_a_folder_is_as_large_as_its_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"12345")
    (tmp_path / "c").write_bytes(b"123")
    assert size(tmp_path) == 8


def test_what_workers_told_of_themselves_is_read_from_the_ledger(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        campaign = ledger.begin(command="mmrace stress", when=1000.0)
        for when, blocks in ((1010.0, 300), (1020.0, 310)):
            ledger.beat(Beat(campaign, when, {"free.0": [1 << 20, 1, 7, blocks], "gate.0": [1 << 20, 0, 7]}))
    lives = soak_report.lives_of(tmp_path, 1000.0)
    assert lives["free.0"] == [Life(10.0, 300, 1), Life(20.0, 310, 1)]
    assert [one.blocks for one in lives["gate.0"]] == [0, 0], "as older ones tell it"


@pytest.mark.slow
def test_a_short_soak_of_a_small_program_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, out = tmp_path / "keep", tmp_path / "results" / "soak"
    program = "mmrace/examples/lost_update.py:mended"
    short = ["--for", "1s", "--every", "0.2", "--jobs", "1", "--keep", str(kept), "--out", str(out)]
    code = main([*short, "--", program, "--engine", "fiber"])
    told = capsys.readouterr().out
    assert (code, out.with_suffix(".txt").read_text()) == (0, told.removesuffix("\n"))
    assert "left behind: 0 processes" in told and "nothing is wrong" in told
    numbers = json.loads(out.with_suffix(".json").read_text())
    assert {"campaign", "worker 1"} <= numbers["processes"].keys()
    [samples] = kept.glob("*/samples.jsonl")
    assert len(samples.read_text().splitlines()) >= 2
    assert out.with_suffix(".svg").read_text().startswith("<?xml")
