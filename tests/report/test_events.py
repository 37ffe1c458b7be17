"""A record as text against golden files; `MMRACE_GOLDEN=write` writes them anew, to be read in the diff."""

from __future__ import annotations

from dataclasses import asdict
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from mmrace.oracles.general.judgement import Finding
from mmrace.report.events import show_record
from mmrace.runtime.kinds import NOTE, SHIFT, Kind
from mmrace.runtime.lanes import Lane
from mmrace.runtime.record import Event, Record
from mmrace.runtime.selection import Selection
from tests.report.test_campaign_report import compare, text

TABLE: dict[int, Lane] = {
    1: ("Box", "box:0", "x", ""),
    2: ("Box", "box:0", "lock", ""),
    3: ("Task", "writer", "", ""),
    4: ("Task", "main", "", ""),
}
TASKS = [{"id": i, "name": name} for i, name in enumerate(("main", "writer", "reader"))]
ROUNDS = 30  # more than a screen has


def op(kind: Kind, lane: int) -> int:
    return lane << SHIFT | kind


def events() -> list[Event]:
    found: list[Event] = []
    for i in range(ROUNDS):
        found += [
            (1, op(Kind.YIELD, 3), None, None),
            (1, op(Kind.ACQUIRE, 2), None, None),
            (1, op(Kind.WRITE, 1), i, i + 1),
            (1, op(Kind.RELEASE, 2), None, None),
            (2, op(Kind.READ, 1), i + 1, None),
            (1, NOTE, "round", ("writer", i)),
        ]
    return [*found, *((0, op(Kind.WRITE, 1), 0, 0) for _ in range(50))]  # as a final sync is


def record(*findings: Finding) -> Record:
    header = {
        "maker": "function", "program": "box.py:main", "given": {"rounds": ROUNDS}, "engine": "gate",
        "strategy": "pct:depth=2", "seed": 7, "load": ["judge.py"], "explored": [0, 5 * ROUNDS],
    }  # fmt: skip
    sites = [None if event[1] == NOTE else f"play:{Kind(event[1] & 63).name.lower()}" for event in events()]
    made = Record(header, events(), table=TABLE, tasks=TASKS, sites=sites, end={"how": "finished"})
    made.verdict = {"verdict": "FAIL" if findings else "PASS", "findings": [asdict(finding) for finding in findings]}
    return made


RACE = Finding(
    "data-race", "write and read", "writer and reader at [box:0.x]", {"step": 100, "first_step": 2}, "abc123"
)
CASES = {
    "show-finding.txt": (record(RACE), Selection()),
    "show-passed.txt": (record(), Selection()),
    "show-selected.txt": (record(RACE), Selection(tasks=["writer"], kinds=["write", "note"], around=100, last=6)),
}


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=CASES)
def test_a_record_is_shown_as_recorded(name: str, case: tuple[Record, Selection]) -> None:
    shown = Console(file=StringIO(), width=100, color_system=None)
    show_record(*case, shown)
    compare(name, text(shown))


def test_the_golden_file_of_a_finding_has_its_events_and_not_the_final_sync() -> None:
    golden = (Path(__file__).parent / "golden" / "show-finding.txt").read_text()
    assert "* 2 " in golden and "* 100 " in golden and "main" not in golden.splitlines()[8]
    assert "yield" not in golden


def test_of_a_finding_under_control_it_is_said_how_to_stop_there() -> None:
    made = record(RACE)
    made.masks = [7] * sum(event[1] != NOTE for event in made.events)
    shown = Console(file=StringIO(), width=100, color_system=None)
    show_record(made, Selection(), shown, file="a folder/record.jsonl")
    assert "to stop there: mmrace replay 'a folder/record.jsonl' --break-at 100" in text(shown)
    for other in (record(RACE), record()):  # of free threads; without a finding
        shown = Console(file=StringIO(), width=100, color_system=None)
        show_record(other, Selection(), shown, file="record.jsonl")
        assert "--break-at" not in text(shown)
