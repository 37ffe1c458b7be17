"""A finding as text: known or new, and only commands that repeat it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mmrace.oracles.general.judgement import Fact, Finding
from mmrace.report import finding
from mmrace.report.finding import known_text, summary_text
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore, Saved
from mmrace.search.totals import Hit
from tests.search.campaign.stand_ins import record_of

GATE = RunSpec("alpha", engine="gate", seed=7)
FREE = replace(GATE, engine="free")
FINDING = Finding("content", "rule", "title", {}, "s1")


def kept(folder: Path, spec: RunSpec) -> Saved:
    return FindingStore(folder).save(RunResult(spec, "FAIL", [FINDING], record=record_of(spec)))["s1"]


def commands_of(spec: RunSpec, saved: Saved) -> list[str]:
    return finding.commands_of(Hit(FINDING, spec, "main", 0, saved))


def test_a_controlled_finding_is_replayed_and_a_free_one_is_run_again(tmp_path: Path) -> None:
    replay = f"mmrace replay {tmp_path / 'a' / 's1' / 'record.jsonl'}"
    assert commands_of(GATE, kept(tmp_path / "a", GATE)) == [replay, GATE.command()]
    assert commands_of(FREE, kept(tmp_path / "b", FREE)) == [FREE.command()]


def test_a_free_finding_whose_folder_has_a_controlled_record_can_be_replayed(tmp_path: Path) -> None:
    kept(tmp_path, GATE)
    replay = f"mmrace replay {tmp_path / 's1' / 'record.jsonl'}"
    assert commands_of(FREE, kept(tmp_path, FREE)) == [replay, GATE.command()]


def test_what_is_printed_is_what_the_folder_has_in_the_end(tmp_path: Path) -> None:
    saved = kept(tmp_path, FREE)
    assert commands_of(FREE, saved) == [FREE.command()]
    kept(tmp_path, GATE)  # another worker's, which takes its place
    commands = commands_of(FREE, saved)
    assert commands == (tmp_path / "s1" / "command.txt").read_text().splitlines() and len(commands) == 2


def test_what_was_not_saved_or_is_damaged_is_run_again(tmp_path: Path) -> None:
    assert commands_of(GATE, Saved(error="full")) == [GATE.command()]
    kept(tmp_path, GATE)
    (tmp_path / "s1" / "summary.json").write_text("{")
    assert commands_of(GATE, kept(tmp_path, GATE)) == [GATE.command()]


def test_a_finding_is_new_or_known_since_a_date(tmp_path: Path) -> None:
    assert known_text(kept(tmp_path, GATE)) == "new"
    assert known_text(kept(tmp_path, GATE)).startswith("known since 20")


def test_who_waits_for_what_is_told_in_words() -> None:
    """BUG once: it was one line of JSON, at an event that the record does not have."""
    rows: list[Fact] = [
        {"task": "main", "waits_for": "end of the others", "held_by": None},
        {
            "task": "reader",
            "waits_for": "page:1.lock",
            "held_by": "writer",
            "taken_at": "write:lock",
            "at": "read:lock",
        },
        {"task": "writer", "waits_for": "wake on queue", "condition_holds": True, "holds": ["page:1.lock", "other"]},
    ]
    facts: dict[str, Fact] = {"step": 99, "tasks": rows, "lost": ["writer"], "times": 1}
    told = summary_text(GATE, "FAIL", [Finding("liveness", "stuck", "title", facts, "s1")], [])
    assert "{" not in told and "99" not in told
    for line in (
        "  step: the end of the run",
        "  main waits for end of the others",
        "  reader waits for page:1.lock, held by writer, taken at write:lock; it is at read:lock",
        "  writer waits for wake on queue, though its condition holds; it holds page:1.lock, other",
    ):
        assert line in told.splitlines(), told


def test_facts_that_are_rows_are_told_in_words() -> None:
    side: dict[str, Fact] = {"task": "a", "task_id": 3, "site": None, "step": 4, "held_lane": 2, "locks": []}
    told = finding.fact_lines("sides", [side, {**side, "locks": ["l1", "l2"]}])
    assert told == ["sides:", "  task a, step 4, no locks", "  task a, step 4, locks l1, l2"]
    assert finding.fact_lines("cycle", ["a", "b"]) == ['cycle: ["a", "b"]'] and finding.fact_lines("n", 1) == ["n: 1"]
