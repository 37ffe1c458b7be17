"""The command line: exit codes, messages, and what Ctrl-C leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace import __version__, cli
from mmrace.oracles.judgement import Finding
from mmrace.runtime.errors import NondeterminismError
from mmrace.search.findings import FindingStore
from mmrace.search.spec import RunResult, RunSpec
from tests.search import stand_ins
from tests.search.stand_ins import StandInCanary, record_of, stand_in_catalogue

ROOT = Path(__file__).resolve().parent.parent

Command = Callable[..., int]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line over stand-ins, in an empty folder; return the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(stand_ins.SCRATCH, str(tmp_path))
    known = stand_in_catalogue(StandInCanary("planted", cap_runs=4))
    monkeypatch.setattr(cli, "catalogue", lambda: known)

    def go(*words: str, run: Callable[[RunSpec, bool], RunResult] = stand_ins.failing_on_canaries) -> int:
        monkeypatch.setattr(cli, "run_one", run)
        monkeypatch.setattr(sys, "argv", ["mmrace", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        code = caught.value.code
        assert isinstance(code, int)
        return code

    return go


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# -- stress


def test_passing_campaign_exits_0_and_ends_in_its_verdict(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("stress", "alpha", "--runs", "8", "--jobs", "1", "--seed", "5") == 0
    out = capsys.readouterr().out
    assert last_line(out).startswith("PASS  9 runs, 90 ops")
    assert "(seed 5)" in last_line(out)
    assert "canary planted found by content after 1 run, cap 4" in out
    assert "never hit: never seen" in out


def test_finding_exits_1_and_says_how_to_repeat_it(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stress", "alpha", "--runs", "2", "--jobs", "1", "--no-canaries", run=stand_ins.failing) == 1
    out = capsys.readouterr().out
    assert "FINDING abc123  page 4 shows an old word" in out
    assert "repeat: mmrace run alpha --engine free" in out
    assert Path(".mmrace/findings/abc123/record.jsonl").exists()


def test_missed_canary_exits_1(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stress", "alpha", "--runs", "2", "--jobs", "1", run=stand_ins.passing) == 1
    assert "MISSED canary planted: 4 runs, no finding of oracle content" in capsys.readouterr().out


def test_full_disk_prints_the_whole_finding(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stress", "alpha", "--runs", "1", "--jobs", "1", "--no-canaries", run=stand_ins.full_disk) == 1
    out = capsys.readouterr().out
    assert "COULD NOT BE SAVED: OSError: [Errno 28] No space left on device" in out
    assert "| oracle: content" in out.replace("|   ", "| ")
    assert "repeat: mmrace run alpha" in out


def test_quiet_prints_findings_and_verdict_only(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stress", "alpha", "--runs", "2", "--jobs", "1", "--quiet") == 0
    assert len(capsys.readouterr().out.strip().splitlines()) == 1


def test_nothing_judged_exits_5(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stress", "alpha", "--runs", "2", "--jobs", "1", "--no-canaries", run=stand_ins.unknowing) == 5
    assert "unknown: alpha: 2 of 2 runs could not be judged" in capsys.readouterr().out


def test_harness_bug_exits_4(command: Command) -> None:
    assert command("stress", "alpha", "--runs", "1", "--jobs", "1", "--no-canaries", run=stand_ins.crashing) == 4


def test_log_is_json_lines_of_the_campaign(command: Command) -> None:
    words = ("stress", "alpha", "--runs", "2", "--jobs", "1", "--log", "log.jsonl", "--no-canaries")
    assert command(*words, run=stand_ins.failing) == 1
    records = [json.loads(line)["record"] for line in Path("log.jsonl").read_text().splitlines()]
    events = [record["extra"].get("event") for record in records]
    assert (events[0], events[-1]) == ("begin", "end")
    (finding,) = (record for record in records if record["extra"].get("event") == "finding")
    assert finding["extra"]["signature"] == "abc123"


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (("stress", "alhpa"), "did you mean alpha?"),
        (("stress", "--noise", "lout"), "did you mean loud"),
        (("stress", "--variant", "plantd"), "did you mean planted?"),
        (("stress", "--param", "page=2"), "did you mean pages?"),
        (("stress", "--for", "soon"), "60s, 10m or 2h"),
        (("stress", "--for", "1s", "--runs", "1"), "--for or --runs"),
        (("stress", "--engine", "petrol"), "'free', 'gate'"),
        (("stress", "--engine", "gate", "--noise", "loud"), "no noise under gate"),
        (("stress", "--workload", "missing.json"), "missing.json"),
        (("stress", "--log", "/dev/null/log.jsonl"), "log file"),
        (("run", "gamma"), "a known scenario"),
        (("replay", "missing.jsonl"), "a readable record file"),
        (("list", "everything"), "'scenarios'"),
        (("frobnicate",), "No such command"),
    ],
)
def test_wrong_call_exits_2_with_what_to_try(
    command: Command, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], needle: str
) -> None:
    assert command(*words) == 2
    assert needle in capsys.readouterr().err


INTERRUPTIBLE = """
import sys
from mmrace import cli
from tests.search import stand_ins
known = stand_ins.stand_in_catalogue(stand_ins.StandInCanary("planted"))
cli.catalogue, cli.run_one = lambda: known, stand_ins.failing_on_canaries
sys.argv = ["mmrace", "stress", "alpha", "--for", "1h", "--jobs", "2", "--dir", sys.argv[1]]
cli.main()
"""


def test_ctrl_c_exits_130_with_the_report(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), stand_ins.SCRATCH: str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, str(tmp_path / "out")],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    assert process.stdout is not None
    assert "canary planted found" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it as well
    out, err = process.communicate()
    assert process.returncode == 130
    assert "interrupted; this is what was known by then" in out
    assert last_line(out).startswith("UNKNOWN")
    assert "Traceback" not in err


# -- run, replay, list


def test_run_prints_its_verdict_and_writes_its_record(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", "alpha", "--seed", "9", "--variant", "planted", "--param", "pages=2", "--record", "r.jsonl")
    assert command(*words) == 1
    out = capsys.readouterr().out
    assert last_line(out) == "FAIL"
    assert "repeat: mmrace run alpha --engine free --seed 9 --noise off --variant planted --param pages=2" in out
    assert Path("r.jsonl").exists()


@pytest.mark.parametrize(("recorded", "verdict"), [(True, "the same findings"), (False, "judged otherwise")])
def test_replay_compares_its_findings_with_the_record(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, recorded: bool, verdict: str
) -> None:
    result = stand_ins.failing(RunSpec("alpha", engine="gate"), False)
    assert result.record is not None
    result.record.verdict = {"findings": [{"signature": "abc123"}] if recorded else []}
    result.record.write("r.jsonl")
    monkeypatch.setattr(cli, "replay_record", lambda path: result)
    monkeypatch.setattr(cli, "_pin", lambda engine: None)
    assert command("replay", "r.jsonl") == 1
    assert verdict in capsys.readouterr().out


def test_diverging_replay_exits_3(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(path: str) -> RunResult:
        raise NondeterminismError(4, "READ a", "WRITE a")

    record_of(RunSpec("alpha", engine="gate")).write("r.jsonl")
    monkeypatch.setattr(cli, "replay_record", diverge)
    monkeypatch.setattr(cli, "_pin", lambda engine: None)
    assert command("replay", "r.jsonl") == 3
    assert "step 4" in capsys.readouterr().err


def test_free_and_cut_records_are_refused(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("content", "rule", "title", {}, "s1")
    spec = RunSpec("alpha")
    FindingStore(Path("kept")).save(RunResult(spec, "FAIL", [finding], record=record_of(spec)))
    assert command("replay", "kept/s1/record.jsonl") == 2
    assert "--engine gate" in capsys.readouterr().err
    Path("cut.jsonl").write_text(Path("kept/s1/record.jsonl").read_text()[:40])
    assert command("replay", "cut.jsonl") == 2
    assert "cut.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["scenarios", "canaries", "noise", "marks"])
def test_list_names_what_there_is(command: Command, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert command("list", kind) == 0
    names = {"scenarios": "alpha", "canaries": "planted", "noise": "louder", "marks": "never seen"}
    assert names[kind] in capsys.readouterr().out


def test_version(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--version") == 0
    assert __version__ in capsys.readouterr().out


def test_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmrace", "list", "noise"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "gentle" in done.stdout
