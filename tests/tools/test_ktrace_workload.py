"""Recorded workloads made of ftrace logs.

Checks that a conversion of a real excerpt gives the same bytes each time, how it fails, and that the
committed workloads are well formed.  It does not check that the committed workloads are what the full logs
give: those are not in the checkout.  The reader's traps are in ``test_ktrace.py``.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mmrace.scenarios.workload import KINDS, SCHEMA
from tools.ktrace import read_trace
from tools.ktrace_schema import FIELDS, check_workload, to_text
from tools.ktrace_select import NEAR_US
from tools.ktrace_stories import tell
from tools.ktrace_workload import READ_LEAD_US, inferred_reads, main

TOP = Path(__file__).resolve().parents[2]
TOOL = TOP / "tools" / "ktrace_workload.py"
EXCERPT = Path(__file__).with_name("data") / "ord-k612-excerpt.txt.xz"
PACKAGED = TOP / "mmrace" / "scenarios" / "data" / "ext3-k61.json"
WORKLOADS = sorted([*(TOP / "stress" / "workloads").glob("*.json"), PACKAGED], key=lambda path: path.stem)


# the conversion


def _convert(out: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(TOOL), str(EXCERPT), "--pages", "6", "--kernel", "6.12.117", "-o", str(out)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_conversion_is_deterministic_and_reports(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    report = _convert(one, PYTHONHASHSEED="1")
    assert _convert(other, PYTHONHASHSEED="2") == report
    assert one.read_bytes() == other.read_bytes()
    assert check_workload(json.loads(one.read_text())) == []
    for part in ("kinds:", "tasks:", "meetings:", "dropped in the whole log:", "doubts:"):
        assert part in report


def test_excerpt_has_all_kinds_and_respects_the_limits(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    assert main([str(EXCERPT), "--pages", "5", "--actions", "18", "--name", "small", "-o", str(out)]) == 0
    workload = json.loads(out.read_text())
    assert workload["name"] == "small"
    assert len(workload["pages"]) <= 5
    assert len(workload["actions"]) <= 18
    stories = tell(read_trace(EXCERPT).events)
    assert {action.do for action in stories.actions} == {"dirty", "writeback", "migrate", "commit", "reclaim"}
    assert not stories.doubts


def test_plain_text_gives_the_same_as_xz(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_bytes(lzma.decompress(EXCERPT.read_bytes()))
    assert read_trace(plain).events == read_trace(EXCERPT).events


def test_bad_logs_exit_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.json")
    for name, content, told in (
        ("garbled.txt", b"what is this\n", "line 1: expected 'TASK-PID"),
        ("empty.txt", b"# tracer: nop\n", "expected actions that meet"),
        ("broken.txt.xz", b"no archive", "expected an ftrace log, plain or .xz"),
    ):
        (tmp_path / name).write_bytes(content)
        assert main([str(tmp_path / name), "-o", out]) == 1
        assert told in capsys.readouterr().err
    assert not Path(out).exists()


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["no-such-file.txt", "-o", "x.json"],
        [str(EXCERPT)],
        [str(EXCERPT), "-o", "no/such/folder/x.json"],
        [str(EXCERPT), "-o", "x.json", "--pages", "0"],
        [str(EXCERPT), "-o", "x.json", "--actions", "many"],
    ],
)
def test_usage_errors_exit_with_2(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2


# the committed workloads


def _meetings(workload: dict[str, Any]) -> Counter[tuple[str, str]]:
    """Meetings counted anew from the file alone."""
    found: Counter[tuple[str, str]] = Counter()
    actions = workload["actions"]
    for number, one in enumerate(actions):
        for other in actions[number + 1 :]:
            shared = set(one.get("pages", [one.get("page")])) & set(other.get("pages", [other.get("page")]))
            if one["do"] != other["do"] and other["begin_us"] - one["end_us"] <= NEAR_US:
                low, high = sorted((one["do"], other["do"]))
                found[low, high] += len(shared)
    return +found


def test_one_workload_for_each_log() -> None:
    assert [path.stem for path in WORKLOADS] == ["ckpt-k61", "ext3-k61", "ord-k61", "ord-k612"]


@pytest.mark.parametrize("path", WORKLOADS, ids=lambda path: path.stem)
def test_committed_workload(path: Path) -> None:
    text = path.read_text()
    workload = json.loads(text)
    assert check_workload(workload) == []
    assert to_text(workload) == text
    assert workload["name"] == path.stem
    assert workload["source"]["trace"] == f"{path.stem}.txt.xz"
    assert workload["source"]["first_line"] < workload["source"]["last_line"]
    kinds = Counter(action["do"] for action in workload["actions"])
    assert min(kinds[kind] for kind in ("dirty", "writeback", "migrate", "commit")) >= 3
    assert kinds["reclaim"] >= 1
    touched = {page for a in workload["actions"] for page in a.get("pages", [a.get("page")])}
    assert touched == set(range(len(workload["pages"])))
    met = _meetings(workload)
    assert met.total() >= 10
    assert any("migrate" in pair for pair in met)


def test_packaged_workload_has_commits_meeting_migrations() -> None:
    met = _meetings(json.loads(PACKAGED.read_text()))
    assert met["commit", "migrate"] >= 3
    assert met["migrate", "writeback"] >= 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": "x"}, f"expected {SCHEMA}, got 'x'"),
        ({"source": {}}, "source: expected the keys"),
        ({"actions": [{"do": "jump"}]}, "actions[0]: expected an object whose 'do'"),
        ({"actions": [{"do": "writeback", "begin_us": 5, "end_us": 4, "page": 0}]}, "ends before it begins"),
        ({"actions": [{"do": "writeback", "begin_us": 5, "end_us": 6, "page": 0}]}, "the first action at 0"),
        ({"actions": [{"do": "writeback", "begin_us": 0, "end_us": 6, "page": 99}]}, "page 99 of 12"),
        ({"actions": [{"do": "dirty", "begin_us": 0, "end_us": 6, "page": 0, "buffers": [4]}]}, "buffers (4,)"),
        ({"actions": [{"do": "commit", "begin_us": 0, "end_us": 6, "page": 0}]}, "expected the keys"),
        ({"actions": [{"do": "reclaim", "begin_us": 0, "end_us": 6, "page": 0, "outcome": "moved"}]}, "outcome:"),
        (
            {
                "actions": [
                    {
                        "do": "migrate",
                        "begin_us": 0,
                        "end_us": 6,
                        "page": 0,
                        "mode": "MIGRATE_SYNC",
                        "outcome": "refused",
                    }
                ]
            },
            "'reason'",
        ),
        ({"pages": [{"page": 1, "ino": 12, "index": 1, "buffers": 4}], "actions": []}, "pages[0]: expected page 0"),
    ],
)
def test_schema_check_finds(change: dict[str, Any], told: str) -> None:
    problems = check_workload({**json.loads(PACKAGED.read_text()), **change})
    assert any(told in problem for problem in problems), problems


def test_form_is_known_of_every_kind_that_the_reader_knows() -> None:
    assert set(FIELDS) == set(KINDS)


def test_a_mode_that_the_reader_refuses_is_not_written() -> None:
    workload = json.loads(PACKAGED.read_text())
    tried = next(action for action in workload["actions"] if action["do"] == "migrate")
    tried["mode"] = "MIGRATE_SYNC_NO_COPY"
    assert any("mode 'MIGRATE_SYNC_NO_COPY'" in problem for problem in check_workload(workload))


def test_schema_check_wants_the_keys_in_order() -> None:
    workload = json.loads(PACKAGED.read_text())
    assert "in this order" in check_workload(dict(reversed(workload.items())))[0]
    assert "got list" in check_workload([])[0]


def test_a_read_is_inferred_for_each_migration_that_found_its_page_locked() -> None:
    moved = {"do": "migrate", "begin_us": 10, "end_us": 20, "page": 0, "mode": "MIGRATE_SYNC", "outcome": "moved"}
    refused = {**moved, "outcome": "refused", "begin_us": 200, "end_us": 230, "page": 1, "reason": "page-lock"}
    early, other = {**refused, "begin_us": 1, "end_us": 4}, {**refused, "reason": "writeback"}
    assert inferred_reads([early, moved, refused, other]) == [
        {"do": "read", "begin_us": 0, "end_us": 4, "page": 1},
        {"do": "read", "begin_us": 200 - READ_LEAD_US, "end_us": 230, "page": 1},
    ]
