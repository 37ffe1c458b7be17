"""What a campaign leaves for other programs: refused before it begins, or there when it ends."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace import installed
from mmrace.cli import on_finding
from mmrace.cli import options as cli_options
from mmrace.cli.outputs import Outputs, _before
from mmrace.report.progress import Silent
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.search.ledger.ledger import Ledger
from tests import in_process
from tests.cli.processes import ended, lines, start
from tests.report.junit_shape import breaches
from tests.report.stores import BACK, SEEN, named, nights
from tests.report.test_campaign_report import failed, passed
from tests.search.campaign import stand_ins
from tests.search.campaign.stand_ins import stand_in_catalogue

STRESS = ("stress", "alpha", "--runs", "2", "--jobs", "1", "--no-canaries")
TOLD = 'test -f "$1/record.jsonl" && echo "$MMRACE_SIGNATURE of $MMRACE_PROGRAM" >> told'
FLOOD = "head -c 300000 /dev/zero"  # a pipe holds a part of it
PATIENCE_SECONDS = 60.0  # of a test that fails


def go(monkeypatch: pytest.MonkeyPatch, run: Callable[[RunSpec, bool], RunResult], *words: str) -> int:
    monkeypatch.setattr(installed, "catalogue", stand_in_catalogue)
    monkeypatch.setattr(installed, "campaign_one", run)
    return in_process.run(monkeypatch, *words)


@pytest.mark.slow
def test_a_campaign_leaves_all_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("--junit", "j.xml", "--json", "j.json", "--on-finding", TOLD, "--log", "log", "--log-rotation", "1 MB")
    assert go(monkeypatch, stand_ins.failing, *STRESS, *words) == 1
    assert breaches(Path("j.xml").read_text()) == [] and "abc123" in Path("j.xml").read_text()
    made = json.loads(Path("j.json").read_text())
    assert (made["exit_code"], made["total"]["runs"], made["findings"][0]["times"]) == (1, 2, 2)
    assert Path("told").read_text() == "abc123 of alpha\n", "once, when its folder is whole"
    events = [json.loads(line)["record"]["extra"]["event"] for line in Path("log").read_text().splitlines()]
    assert {"begin", "finding", "on-finding", "end"} <= {*events}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mmrace", "j.json", "j.xml", "log", "told"]


@pytest.mark.slow
def test_a_command_that_waits_begins_and_ends_while_findings_are_minimised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    reader = os.open("fifo", os.O_RDWR)
    heard = []

    def minimise(*_: object, **__: object) -> dict[str, str]:
        monkeypatch.setattr(on_finding, "AT_ONCE", 2)
        heard.append(bool(select.select([reader], [], [], PATIENCE_SECONDS)[0]))
        return {}

    monkeypatch.setattr(on_finding, "AT_ONCE", 0)  # others are under way, until there is nothing but minimising
    monkeypatch.setattr(cli_options, "minimise_kept", minimise)
    assert go(monkeypatch, stand_ins.failing, *STRESS, "--on-finding", f"{FLOOD}; echo > fifo") == 1
    os.close(reader)
    assert heard == [True], "nobody began it, or nobody read what it wrote"


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("--junit", "/proc/here/j.xml"), "--junit /proc/here/j.xml: expected a JUnit file that can be written"),
        (("--json", "/proc/j.json"), "--json /proc/j.json: expected a JSON file that can be written"),
        (("--json", ""), "expected a JSON file that can be written"),
        (("--junit", "a", "--json", "./a"), "--junit and --json: expected files of their own"),
        (("--json", "a", "--log", "a"), "--json and --log: expected files of their own"),
        (("--log-rotation", "1 MB"), "--log-rotation: expected --log FILE"),
        (("--log", "a", "--log-retention", "3"), "--log-retention: expected --log-rotation WHEN"),
        (("--log", "a", "--log-rotation", "soon"), "--log-rotation: expected a rotation that loguru can read"),
        (("--on-finding", " "), "--on-finding: expected a command"),
    ],
)
def test_what_cannot_be_is_refused_before_the_campaign_begins(
    words: tuple[str, ...], needle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert go(monkeypatch, stand_ins.crashing, *STRESS, *words) == 2
    assert needle in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} <= {"a"}


@pytest.mark.parametrize("interrupted", [0, 2])
def test_a_file_that_cannot_be_written_in_the_end_is_told_and_the_other_one_written(
    interrupted: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = Outputs(junit=str(tmp_path / "gone" / "j.xml"), json=str(tmp_path / "j.json"))
    result = passed()
    result.interrupted = interrupted
    outputs.write(result)
    assert "a JUnit file that can be written, got 'No such file or directory'" in capsys.readouterr().err
    assert json.loads((tmp_path / "j.json").read_text())["interrupted"] == interrupted
    assert outputs.close(result) == (130 if interrupted else 2)


def test_a_file_of_before_is_replaced_whole_and_a_stream_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    path.write_text("before")
    before = os.stat(path).st_ino
    outputs = Outputs.taken(
        {**dict.fromkeys(("junit", "on_finding", "log", "log_rotation", "log_retention")), "json": str(path)}
    )
    assert path.read_text() == "before"
    outputs.write(failed())
    assert os.stat(path).st_ino != before and json.loads(path.read_text())["verdict"] == "FAIL"
    Outputs(json="/dev/null", junit="/dev/null").write(failed())
    assert outputs.failed is False


def test_what_a_campaign_that_goes_on_found_itself_is_not_known_of_before(tmp_path: Path) -> None:
    nights(tmp_path)
    with Ledger.open(tmp_path) as ledger:
        before = {key[0]: state for key, state in _before(ledger, "").items()}
        mine = {key[0]: state for key, state in _before(ledger, named(3)).items()}
    assert (before[SEEN], before[BACK], before["e" * 12]) == ("known", "came-back", "new")
    assert (mine[SEEN], mine[BACK]) == ("known", "unseen"), "it came back in this very campaign"
    assert "e" * 12 not in mine


@pytest.mark.parametrize("interrupted", [True, False], ids=["Ctrl-C", "a bug"])
def test_what_runs_beside_a_campaign_does_not_outlive_it(
    interrupted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(seconds: float) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    if interrupted:
        monkeypatch.setattr(time, "sleep", sleep)
    os.mkfifo(tmp_path / "fifo")
    result = failed()
    with Outputs(on_finding=f'exec 3> "{tmp_path}/fifo"; sleep 1000') as outputs:
        outputs.observer(Silent(), tmp_path).found(next(iter(result.hits.values())))
        reader = os.open(tmp_path / "fifo", os.O_RDONLY)  # comes back when the command has opened it
        if interrupted:
            assert outputs.close(result) == 130
    assert os.read(reader, 1) == b"", "nobody has it any more"
    os.close(reader)


@pytest.mark.slow
def test_a_campaign_that_is_ended_leaves_its_result(tmp_path: Path) -> None:
    words = ("stress", "alpha", "--for", "1d", "--jobs", "1", "--junit", "j.xml", "--json", "j.json")
    process = start("failing_on_canaries", *words, cwd=tmp_path)
    lines(process, 3)
    assert not (tmp_path / "j.json").exists()
    os.killpg(process.pid, signal.SIGTERM)
    assert ended(process)[0] == 143
    made = json.loads((tmp_path / "j.json").read_text())
    assert (made["interrupted"], made["exit_code"], made["verdict"]) == (15, 143, "UNKNOWN")
    assert breaches((tmp_path / "j.xml").read_text()) == []
