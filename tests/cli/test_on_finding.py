"""`--on-finding`: facts in the environment, and a campaign that no command can stop, hold up, or flood."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mmrace.cli import on_finding
from mmrace.cli.on_finding import AT_ONCE, LENGTH_MAX, LIMIT_SECONDS, OnFinding, variables
from mmrace.oracles.general.judgement import Finding
from mmrace.runs.kept import UNDATED
from mmrace.runs.spec import RunSpec
from mmrace.runs.store import Saved
from mmrace.search.ledger.life import State
from mmrace.search.totals import Hit, Hits
from tests.cli.clock import Clock
from tests.report.test_campaign_report import failed

FINDING = Finding("content", "word went back", "page 4 shows an old word", {}, "abc123abc123")
SPEC = RunSpec("alpha", seed=7, noise="gentle")
HIT = Hit(FINDING, SPEC, "main", 3, Saved("kept/abc123abc123"))


def until(command: OnFinding, over: Callable[[], bool]) -> None:
    """Go on until something has happened; each turn waits for a child, if there is one, or for nothing."""
    while not over():
        command.go_on()
        os.sched_yield()


def hit(number: int) -> Hit:
    return Hit(replace(FINDING, signature=f"{number:012x}"), SPEC, "main", number)


def test_the_command_has_the_facts_in_its_environment_and_the_folder_as_argument(
    tmp_path: Path, logged: list[dict[str, Any]]
) -> None:
    out = tmp_path / "out"
    command = OnFinding(f'env | grep ^MMRACE_ > "{out}"; echo "$1" >> "{out}"; echo last words', tmp_path)
    command.found(HIT)
    until(command, lambda: bool(logged))
    lines = out.read_text().splitlines()
    folder = os.path.abspath("kept/abc123abc123")
    expected = {
        "MMRACE_SIGNATURE": "abc123abc123",
        "MMRACE_PROGRAM": "alpha",
        "MMRACE_COMMAND": HIT.command,
        "MMRACE_STORE": str(tmp_path),
        "MMRACE_TITLE": FINDING.title,
        "MMRACE_FOLDER": folder,
        "MMRACE_SEED": "7",
        "MMRACE_STATE": "new",
    }
    assert {f"{name}={value}" for name, value in expected.items()} <= {*lines} and lines[-1] == folder
    assert (logged[0]["exit_code"], logged[0]["words"]) == (0, "last words")
    assert logged[0]["said"] == "--on-finding for abc123abc123: exit code 0: last words"


def test_an_exit_code_is_logged_and_nothing_else_happens(tmp_path: Path, logged: list[dict[str, Any]]) -> None:
    command = OnFinding("echo no mail today >&2; exit 7", tmp_path)
    command.found(HIT)
    until(command, lambda: bool(logged))
    assert logged[0]["said"] == "--on-finding for abc123abc123: exit code 7: no mail today"


def test_what_hangs_is_ended_at_its_limit_with_all_that_it_began(tmp_path: Path, logged: list[dict[str, Any]]) -> None:
    clock = Clock()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    command = OnFinding(f'(exec 3> "{fifo}"; exec sleep 1000) & sleep 1000', tmp_path, clock=clock)
    command.found(HIT)
    reader = os.open(fifo, os.O_RDONLY)  # comes back when its child has opened it
    command.go_on()
    assert logged == []
    clock.now = LIMIT_SECONDS
    command.go_on()
    assert "ended after 60 s, its limit" in logged[0]["said"]
    assert os.read(reader, 1) == b"", "its child is gone too"
    os.close(reader)


def test_at_most_a_few_are_under_way_and_the_others_have_their_turn(
    tmp_path: Path, logged: list[dict[str, Any]]
) -> None:
    command = OnFinding(f'cat "{tmp_path}/fifo"', tmp_path)
    os.mkfifo(tmp_path / "fifo")
    for number in range(5):
        command.found(hit(number))
    assert len(command._under_way) == AT_ONCE and logged == []
    writer = os.open(tmp_path / "fifo", os.O_RDWR)
    os.unlink(tmp_path / "fifo")
    (tmp_path / "fifo").write_text("")
    os.close(writer)  # lets the first ones go, whether or not they had opened it yet
    until(command, lambda: len(logged) == 5)
    assert sorted(entry["signature"] for entry in logged) == [f"{number:012x}" for number in range(5)]


def test_a_flood_is_read_and_forgotten_but_for_its_last_words(tmp_path: Path, logged: list[dict[str, Any]]) -> None:
    command = OnFinding("yes x | head -c 1000000; echo the end", tmp_path)
    command.found(HIT)
    until(command, lambda: bool(logged))
    assert logged[0]["words"].endswith("the end") and len(logged[0]["words"]) <= on_finding.WORDS_MAX


@pytest.mark.parametrize(
    ("known", "since", "runs"),
    [
        ("", "", True),
        ("R14", "", False),
        ("", "2001-01-01T00:00:00+00:00", False),
        ("", UNDATED, False),
        ("", "9999-01-01T00:00:00+00:00", True),
    ],
    ids=["new", "expected", "of an earlier campaign", "of an older mmrace", "of this campaign's other worker"],
)
def test_it_is_run_for_what_is_new_only(known: str, since: str, runs: bool, tmp_path: Path) -> None:
    command = OnFinding("true", tmp_path)
    command.found(Hit(replace(FINDING, known=known), SPEC, "main", 3, Saved("kept", bool(since), since)))
    assert bool(command._under_way) == runs
    command.close()


@pytest.mark.parametrize(
    ("state", "told"), [("new", None), ("known", None), ("came-back", None), ("unseen", "came-back")]
)
def test_of_what_the_ledger_knows_it_is_run_for_what_came_back(
    state: State, told: State | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[State] = []
    monkeypatch.setattr(OnFinding, "_begin", lambda self, hit, state, now: states.append(state))
    command = OnFinding("true", tmp_path, {HIT.whose: state})
    command.found(HIT)
    command.found(Hit(FINDING, replace(SPEC, program="beta"), "main", 3, Saved("kept")))
    assert states == [*([told] if told else []), "new"], "that of another program is another one"


def test_a_campaign_that_goes_on_has_it_run_for_what_it_had_found_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[str, State]] = []
    monkeypatch.setattr(OnFinding, "_begin", lambda self, hit, state, now: begun.append((hit.finding.signature, state)))
    since = datetime(2026, 11, 30, 21, tzinfo=UTC).timestamp()
    command = OnFinding("true", tmp_path, {hit(2).whose: "known"}, since=since)
    result = failed()
    result.hits = Hits()
    for number, date in ((1, "2026-11-30T21:00:01+00:00"), (2, ""), (3, "2026-11-30T20:59:59+00:00")):
        result.hits.add(replace(hit(number), saved=Saved("kept", True, date)))
    for _ in range(2):
        command.progress(result)
    command.found(hit(1))
    assert begun == [(f"{1:012x}", "new")], "once, and neither what the store knew nor what has an older folder"


def test_hostile_bytes_and_endless_titles_fit_an_environment(tmp_path: Path) -> None:
    title = "\0\x1b[31m\ud800" + "x" * (1 << 20)
    made = variables(
        Hit(replace(FINDING, title=title), replace(SPEC, program="\udcff.py:main"), "main", 3), "new", tmp_path
    )
    assert made["MMRACE_FOLDER"] == "" and made["MMRACE_PROGRAM"] == "\udcff.py:main"
    assert made["MMRACE_TITLE"].startswith(r"\x00\x1b[31m\ud800xxx") and len(made["MMRACE_TITLE"]) == LENGTH_MAX
    command = OnFinding("true", tmp_path)
    command._begin(Hit(replace(FINDING, title=title, signature="\0" * 99), SPEC, "main", 3), "new", 0.0)
    command.close()


def test_a_shell_that_cannot_be_started_is_told_and_the_campaign_goes_on(
    tmp_path: Path, logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    OnFinding("true", tmp_path).found(HIT)
    assert "could not be started: [Errno 2]" in logged[0]["said"]


def test_the_end_of_a_campaign_waits_for_what_is_under_way_but_not_for_ever(
    tmp_path: Path, logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    command = OnFinding("sleep 1000", tmp_path, clock=clock)
    for number in range(4):
        command.found(hit(number))

    def sleep(seconds: float) -> None:
        clock.now += 10

    monkeypatch.setattr(time, "sleep", sleep)
    command.close(at_once=True)
    assert [entry["said"] for entry in logged] == [
        "--on-finding for 000000000000: ended, for the campaign has ended",
        "--on-finding for 000000000001: ended, for the campaign has ended",
        "--on-finding was not run for 2 findings",
    ]
