"""The command line: exit codes, messages, and what Ctrl-C leaves behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mmrace import __version__, installed
from mmrace.installed import MAKERS
from mmrace.oracles.general.judgement import Finding
from mmrace.report.lists import KINDS
from mmrace.runs.follow import spec_of
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime.errors import NondeterminismError
from mmrace.runtime.record import Record
from mmrace.strategies import registry
from tests import in_process
from tests.search.campaign import stand_ins
from tests.search.campaign.stand_ins import StandInCanary, record_of, stand_in_catalogue
from tests.search.explore import explorations

ROOT = Path(__file__).resolve().parent.parent

Command = Callable[..., int]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line over stand-ins, in an empty folder; return the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(stand_ins.SCRATCH, str(tmp_path))
    planted = stand_in_catalogue(StandInCanary("planted", cap_runs=4))
    monkeypatch.setattr(installed, "catalogue", lambda: planted)

    def go(*words: str, run: Callable[[RunSpec, bool], RunResult] = stand_ins.failing_on_canaries) -> int:
        monkeypatch.setattr(installed, "run_one", run)
        monkeypatch.setattr(installed, "campaign_one", run)
        return in_process.run(monkeypatch, *words)

    return go


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


# -- stress


def test_passing_campaign_exits_0_and_ends_in_its_verdict(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.slow
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
        (("stress", "--for", "soon"), "60s, 10m, 8h30m or 1d"),
        (("stress", "--for", "1s", "--runs", "1"), "--for or --runs"),
        (("stress", "--engine", "petrol"), "'free', 'gate'"),
        (("stress", "--engine", "gate", "--noise", "loud"), "no noise under gate"),
        (("stress", "--workload", "missing.json"), "missing.json"),
        (("stress", "--log", "/dev/null/log.jsonl"), "log file"),
        (("run", "gamma"), "a scenario out of"),
        (("replay", "missing.jsonl"), "a readable record file"),
        (("list", "everything"), "'scenarios'"),
        (("explore", "gamma"), "a scenario out of"),
        (("explore", "alpha", "--strategy", "dporr"), "did you mean dpor"),
        (("explore", "alpha", "--strategy", "pos:depth=1"), "an option of pos"),
        (("explore", "alpha", "--exhaustive", "--strategy", "pos"), "--strategy dpor"),
        (("explore", "alpha", "--exhaustive", "--jobs", "2"), "no --jobs"),
        (("explore", "alpha", "--engine", "free"), "'gate', 'fiber'"),
        (("explore", "alpha", "--param", "page=2"), "did you mean pages?"),
        (("explore", "alpha", "--load", "missing.py"), "a Python file (.py) that exists"),
        (("run", "alpha", "--engine", "gate", "--strategy", "dpor"), "mmrace explore"),
        (("run", "alpha", "--engine", "gate", "--strategy", "poss"), "did you mean pos"),
        (("run", "alpha", "--strategy", "pos"), "nobody chooses who goes next, got 'pos'; try: --engine fiber"),
        (("run", "alpha", "--engine", "free", "--promote", "all"), "try: --engine fiber"),
        (("stress", "alpha", "--engine", "free", "--strategy", "random"), "try: --engine fiber"),
        (("run", "alpha", "--param", "pages=2", "--param", "pages=3"), "one value of pages, got 'pages=2, pages=3'"),
        (("stress", "alpha", "--param", "pages=2", "--param", "pages=2"), "one value of pages"),
        (("explore", "alpha", "--param", "pages=2", "--param", "pages=2"), "one value of pages"),
        (("run", "alpha", "--load", "."), "a Python file (.py) that exists"),
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
from mmrace import cli, installed
from tests.search.campaign import stand_ins
known = stand_ins.stand_in_catalogue(stand_ins.StandInCanary("planted"))
installed.catalogue, installed.campaign_one = lambda: known, stand_ins.failing_on_canaries
sys.argv = ["mmrace", "stress", "alpha", "--for", "1h", "--jobs", "2", "--store", sys.argv[1]]
cli.main()
"""


@pytest.mark.slow
def test_ctrl_c_exits_130_with_the_report(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), stand_ins.SCRATCH: str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, str(tmp_path / "out")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
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
    monkeypatch.setattr(installed, "replay", lambda *_: result)
    assert command("replay", "r.jsonl") == 1
    assert verdict in capsys.readouterr().out


def test_diverging_replay_exits_3(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> RunResult:
        raise NondeterminismError(4, "READ a", "WRITE a", event=9)

    record_of(RunSpec("alpha", engine="gate")).write("r.jsonl")
    monkeypatch.setattr(installed, "replay", diverge)
    assert command("replay", "r.jsonl") == 3
    assert "event 9" in capsys.readouterr().err


def test_records_that_do_not_say_what_was_run_and_cut_ones_are_refused(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding("content", "rule", "title", {}, "s1")
    spec = RunSpec("alpha")
    FindingStore(Path("kept")).save(RunResult(spec, "FAIL", [finding], record=record_of(spec)))
    assert command("replay", "kept/s1/record.jsonl") == 2
    assert "expected a header with the run's spec" in capsys.readouterr().err
    Path("cut.jsonl").write_text(Path("kept/s1/record.jsonl").read_text()[:40])
    assert command("replay", "cut.jsonl") == 2
    assert "cut.jsonl" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_list_names_what_there_is(command: Command, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    assert command("list", kind) == 0
    names = {
        "scenarios": "alpha",
        "params": "pages of the file",
        "canaries": "planted",
        "eras": "now (default)",
        "noise": "louder",
        "strategies": "dpor",
        "script": "how far the task goes",
        "oracles": "judges of a record",
        "claims": "C10",
        "marks": "never seen",
    }
    assert names[kind] in capsys.readouterr().out


def test_list_shows_every_strategy_with_its_options(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("list", "strategies") == 0
    out = capsys.readouterr().out
    rows = {line.split()[0]: line for line in out.splitlines() if line[1:2].isalpha()}
    assert set(registry.names()) <= set(rows)
    assert "bound=2" in rows["preemption"] and "base=pos" in rows["feedback"]
    assert " walk " in rows["dpor"] and " sampler " in rows["pct"]


# -- explore, and strategies of the user's own


SMALL = tuple(word for pair in explorations.SMALL for word in ("--param", f"{pair[0]}={pair[1]}"))
LATEST_FIRST = """
from mmrace.runtime.strategy import BaseStrategy
from mmrace.strategies.contract import Registered, Unprofiled

class Latest(BaseStrategy):
    def pick(self, enabled, running, step):
        return max(enabled, key=lambda task: task.id)

STRATEGY = Registered(
    "latest-of-{name}", "the youngest task first", lambda options: Unprofiled(lambda draw: Latest()), {{"unused": 0}}
)
"""


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command line over what is installed, in an empty folder; return the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))

    def go(*words: str) -> int:
        return in_process.run(monkeypatch, *words)

    return go


def test_explore_ends_in_its_verdict_and_says_what_it_covers(real: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert real("explore", "async-vs-commit", *SMALL, "--strategy", "preemption:bound=1", "--schedules", "4") == 0
    out = capsys.readouterr().out
    assert last_line(out).startswith("PASS ")
    assert "strategy preemption:bound=1, engine fiber, seed 1, 1 process: 4 schedules" in out
    assert "not walked to its end" in out


def test_explore_that_was_to_be_exhaustive_and_was_not_exits_5(
    real: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert real("explore", "async-vs-commit", *SMALL, "--exhaustive", "--schedules", "2", "--quiet") == 5
    assert capsys.readouterr().out == (
        "UNKNOWN the tree was not walked to its end: its 2 schedules prove nothing of the rest; "
        "try: smaller parameters, more time, or schedules that are drawn (no --exhaustive)\n"
    )


@pytest.mark.slow
def test_a_finding_of_a_walk_says_how_to_walk_there_again(real: Command, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explore", "async-vs-commit", *SMALL, "--variant", "double-put", "--strategy", "delay:bound=1")
    assert real(*words, "--until-found", "--schedules", "100") == 1
    out = capsys.readouterr().out
    assert last_line(out).startswith("FAIL ") and "replayed 5 of 5" in out
    replay, *_ = (
        line.removeprefix("repeat: ") for line in out.splitlines() if line.startswith("repeat: mmrace replay")
    )
    again, *_ = (
        line.removeprefix("repeat: ") for line in out.splitlines() if line.startswith("repeat: mmrace explore")
    )
    assert real(*shlex.split(replay)[1:]) == 1
    assert "the same findings as recorded" in capsys.readouterr().out
    assert "--until " in again and "--strategy delay:bound=1" in again
    assert real(*shlex.split(again)[1:]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["gate", "fiber"])
def test_a_loaded_strategy_is_used_by_run_and_stands_in_its_record(
    real: Command, capsys: pytest.CaptureFixture[str], engine: str
) -> None:
    Path("mine.py").write_text(LATEST_FIRST.format(name=engine))
    words = ("run", "async-vs-commit", *SMALL, "--engine", engine, "--load", "mine.py", "--record", "r.jsonl")
    assert real(*words, "--strategy", f"latest-of-{engine}:unused=2") == 0
    record = Record.read("r.jsonl")
    assert record.header["load"] == ["mine.py"]
    assert spec_of(record, MAKERS).command().split()[2:10] == [
        "async-vs-commit", "--engine", engine, "--seed", "1", "--load", "mine.py", "--strategy",
    ]  # fmt: skip
    Path("mine.py").unlink()
    capsys.readouterr()
    assert real("replay", "r.jsonl") == 0  # a strict replay needs no strategy


@pytest.mark.slow
def test_a_loaded_strategy_is_used_by_every_worker(real: Command, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(LATEST_FIRST.format(name="workers"))
    words = ("explore", "async-vs-commit", *SMALL, "--promote", "all", "--load", "mine.py", "--jobs", "2")
    assert real(*words, "--strategy", "latest-of-workers", "--schedules", "20") == 0
    assert "strategy latest-of-workers, engine fiber, seed 1, 2 processes: 20 schedules" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--load", "bug.py"), ("--variant", "double-put")])
def test_claims_take_no_variant_and_no_file_and_say_why(
    real: Command, capsys: pytest.CaptureFixture[str], words: tuple[str, str]
) -> None:
    assert real("claims", "C7", *words) == 2
    err = capsys.readouterr().err
    assert f"expected no {words[0]}: claims are sentences on the protocol that was merged" in err
    assert repr(words[1]) in err and "try: mmrace explore SCENARIO --load FILE --variant NAME" in err


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("this is no python", "SyntaxError"),
        ("\n\n1 / 0\n", "broken.py, line 3"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (LATEST_FIRST.replace("latest-of-{name}", "pos").format(), "not taken"),
        ("STRATEGY = 'pos'", "STRATEGY = Registered("),
    ],
    ids=["syntax", "line", "import", "exit", "name", "type"],
)
def test_a_file_that_cannot_be_loaded_is_a_wrong_call(
    real: Command, capsys: pytest.CaptureFixture[str], text: str, needle: str
) -> None:
    Path("broken.py").write_text(text)
    assert real("list", "strategies", "--load", "broken.py") == 2
    err = capsys.readouterr().err
    assert needle in err and "broken.py" in err and "; try: " in err


def test_version(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--version") == 0
    assert __version__ in capsys.readouterr().out


def test_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mmrace", "list", "noise"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "gentle" in done.stdout
