"""One run, and one replay, as text."""

from __future__ import annotations

import pytest

from mmrace.oracles.general.judgement import Finding
from mmrace.report.single import show_replay, show_run
from mmrace.runs.spec import RunResult, RunSpec
from tests.report.test_campaign_report import console, text

FINDING = Finding("content", "word went back", "page:4 shows an old word", {}, "abc123")


@pytest.mark.parametrize(
    ("maker", "counters", "line"),
    [
        ("scenario", {"moved": 2, "kept": 0, "asked": 1_000}, "1,200 ops; asked 1,000, moved 2"),
        ("scenario", {}, "1,200 ops; nothing counted"),
        ("function", {}, "1,200 ops"),
    ],
)
def test_a_run_tells_what_happened_in_it(maker: str, counters: dict[str, int], line: str) -> None:
    shown = console()
    show_run(RunResult(RunSpec("alpha", maker=maker), "PASS", ops=1200, counters=counters), shown)
    assert text(shown).splitlines() == [line, "PASS"]


def test_a_run_that_failed_tells_its_findings_and_ends_with_the_verdict() -> None:
    shown = console()
    result = RunResult(RunSpec("alpha"), "FAIL", [FINDING], unknown={"slot": "the run ended as crash"})
    show_run(result, shown, record="r.jsonl", remark="a remark")
    lines = text(shown).splitlines()
    assert "page:4 shows an old word [abc123]" in lines
    assert lines[-4:] == ["unknown to slot: the run ended as crash", "record: r.jsonl", "a remark", "FAIL"]


@pytest.mark.parametrize(
    ("recorded", "remark"),
    [
        (["abc123"], "the same findings as recorded"),
        ([], "judged otherwise: recorded nothing, now abc123; the oracles have changed"),
    ],
)
def test_a_replay_says_whether_it_found_what_was_recorded(recorded: list[str], remark: str) -> None:
    shown = console()
    show_replay(RunResult(RunSpec("alpha"), "FAIL", [FINDING]), recorded, shown)
    assert f"replay: every op as recorded; {remark}" in text(shown).splitlines()
