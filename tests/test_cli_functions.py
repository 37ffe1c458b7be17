"""The command line over functions: what a user types, what it says, and the exit code."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmrace.runs import foreign
from tests import in_process
from tests.runs import program_files
from tests.runs.program_files import GOOD, HEAD, RACY, imports_restored, write

PROGRAMS = Path(__file__).parent / "programs"

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def mmrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Run the command line in a folder with a right and a wrong program; return the exit code."""
    write(tmp_path / "good.py", GOOD)
    write(tmp_path / "racy.py", RACY)
    monkeypatch.chdir(tmp_path)

    def go(*words: str) -> int:
        return in_process.run(monkeypatch, *words)

    with imports_restored(tmp_path):
        yield go


def repeats(out: str) -> list[list[str]]:
    """Return the commands to paste, without the first word, each once."""
    lines = dict.fromkeys(line for line in out.splitlines() if line.startswith("repeat: mmrace "))
    return [shlex.split(line)[2:] for line in lines]


# -- a right program


def test_a_right_program_passes_and_exits_0(mmrace: Command, capsys: Captured) -> None:
    assert mmrace("explore", "good.py:main", "--exhaustive") == 0
    out = capsys.readouterr().out
    assert out.startswith("function good.py:main, parameters (defaults)\n")
    assert out.splitlines()[-1] == "PASS exhaustive: all 2 classes of interleavings"
    assert "variant" not in out and "what happened" not in out, "a function has none"


@pytest.mark.parametrize("engine", ["fiber", "gate", "free"])
def test_one_run_of_it_passes(mmrace: Command, capsys: Captured, engine: str) -> None:
    assert mmrace("run", "good.py:main", "--engine", engine, "--param", "tasks=3") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "PASS"


def test_a_field_of_it_can_be_a_switch_point(mmrace: Command) -> None:
    assert mmrace("explore", "good.py:main", "--schedules", "8", "--jobs", "1", "--promote", "Box.x") == 0
    assert mmrace("run", "good.py:main", "--engine", "fiber", "--promote", "Box.x") == 0


@pytest.mark.slow
def test_a_campaign_over_it_passes_beside_a_scenario(mmrace: Command, capsys: Captured) -> None:
    assert mmrace("stress", "good.py:main", "--runs", "20", "--jobs", "1") == 0
    assert "PASS  20 runs" in capsys.readouterr().out
    assert mmrace("stress", "good.py:main", "async-vs-commit", "--runs", "4", "--jobs", "1", "--no-canaries") == 0


def test_nothing_to_interleave_is_unknown(mmrace: Command, capsys: Captured) -> None:
    for words in (("run",), ("stress", "--runs", "3", "--jobs", "1"), ("explore", "--exhaustive", "--quiet")):
        assert mmrace(*words, "good.py:main", "--param", "tasks=1") == 5
        out = capsys.readouterr().out
        assert out.count("no interleaving was exercised") == 1 and "try: spawn two tasks" in out


# -- a wrong one


@pytest.mark.slow
def test_a_finding_exits_1_and_every_command_that_it_shows_repeats_it(mmrace: Command, capsys: Captured) -> None:
    assert mmrace("explore", "racy.py:main", "--schedules", "30", "--jobs", "1") == 1
    out = capsys.readouterr().out
    assert "oracle: data-race" in out and "oracle: exception" in out
    assert "assert box.x == tasks" in out
    commands = repeats(out)
    assert {words[0] for words in commands} == {"replay", "run"}
    for words in commands:
        assert mmrace(*words) == 1, words
        assert "FAIL" in capsys.readouterr().out


@pytest.mark.slow
def test_a_finding_of_a_walk_is_walked_to_again(mmrace: Command, capsys: Captured) -> None:
    assert mmrace("explore", "racy.py:main", "--exhaustive", "--param", "tasks=3", "--until-found") == 1
    for words in repeats(capsys.readouterr().out):
        assert mmrace(*words) == 1, words


TWO_BUGS = f"""{HEAD}
def look(box):
    assert box.x != 1, "early"

def main() -> None:
    box = Box("box")
    rt.spawn(add, box)
    rt.spawn(hasty, box)
    look(box)
    rt.join_others()
    assert box.x == 2, "lost"
"""
"""BUGGY: two assertions that fail in different schedules, and a race."""


@pytest.mark.slow
@pytest.mark.parametrize("how", [("--exhaustive",), ("--schedules", "200", "--jobs", "1")])
def test_each_finding_has_commands_that_find_just_that(
    mmrace: Command, tmp_path: Path, capsys: Captured, how: tuple[str, ...]
) -> None:
    write(tmp_path / "two.py", TWO_BUGS)
    assert mmrace("explore", "two.py:main", *how, "--quiet") == 1
    out = capsys.readouterr().out
    found = re.findall(r"^([^\n]*) \[(\w{12})\]$.*?((?:^repeat: [^\n]*\n)+)", out, re.M | re.S)
    assert {"early", "lost"} <= {title.partition(": ")[2].partition(" ")[0] for title, *_ in found}
    for _, signature, lines in found:
        assert len(repeats(lines)) == 2
        for words in repeats(lines):
            assert mmrace(*words, *("--store", "anew") * (words[0] == "explore")) == 1
            assert f"[{signature}]" in capsys.readouterr().out, words


def test_a_record_says_what_was_run_and_can_be_shown(mmrace: Command, capsys: Captured) -> None:
    assert mmrace("run", "racy.py:main", "--engine", "gate", "--record", "r.jsonl") == 1
    assert mmrace("show", "r.jsonl") == 0
    assert "main:spawn" in capsys.readouterr().out, "and not the lambda that called it"


def test_commands_carry_the_judges_that_were_switched_off(mmrace: Command, capsys: Captured) -> None:
    words = ("racy.py:main", "--schedules", "20", "--jobs", "1", "--without", "data-race")
    assert mmrace("explore", *words) == 1
    commands = repeats(capsys.readouterr().out)
    replay, run = next(command for command in commands if command[0] == "replay"), commands[-1]
    assert run[run.index("--without") :][:2] == ["--without", "data-race"]
    for command in (replay, [*run, "--record", "r.jsonl"]):
        assert mmrace(*command) == 1
        out = capsys.readouterr().out
        assert "oracle: exception" in out and "oracle: data-race" not in out
        assert out.endswith("FAIL; judges switched off: data-race\n")
    assert '"without":["data-race"]' in Path("r.jsonl").read_text().replace(" ", "")


def test_a_run_and_a_campaign_refuse_to_switch_off_a_judge_that_is_not_there(mmrace: Command, capsys: Captured) -> None:
    for words in (("run", "good.py:main"), ("stress", "good.py:main", "--runs", "1")):
        assert mmrace(*words, "--without", "data-rice") == 2
        assert "did you mean data-race?" in capsys.readouterr().err


# -- replays, when files are not where they were


@pytest.fixture
def recorded(mmrace: Command, tmp_path: Path) -> Path:
    """The record of a finding, kept below the folder of its program."""
    assert mmrace("run", "racy.py:main", "--engine", "gate", "--record", "r.jsonl") == 1
    return write(tmp_path / "kept" / "deep" / "r.jsonl", (tmp_path / "r.jsonl").read_text())


def replayed(record: Path, cwd: Path) -> tuple[int, str]:
    """Replay in a process that has loaded nothing yet; return the exit code and what it says."""
    done = program_files.mmrace("replay", str(record), cwd=cwd)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_a_record_is_replayed_from_any_folder(recorded: Path, tmp_path: Path) -> None:
    for folder in (tmp_path, recorded.parent, Path("/")):
        code, text = replayed(recorded, folder)
        assert (code, "every op as recorded; the same findings" in text) == (1, True), text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "needle"),
    [
        (lambda path: path.write_text(path.read_text() + "\n"), "racy.py as it was when this run was made"),
        (Path.unlink, "racy.py, of which this run was made"),
        (lambda path: path.write_text("def main(:\n"), "racy.py as it was when this run was made"),
    ],
    ids=["changed", "missing", "broken"],
)
def test_a_record_whose_file_is_another_one_is_a_wrong_call(
    recorded: Path, tmp_path: Path, change: Callable[[Path], object], needle: str
) -> None:
    change(tmp_path / "racy.py")
    code, text = replayed(recorded, tmp_path)
    assert code == 2 and needle in text


def test_a_record_of_another_version_can_still_be_followed_as_a_guide(
    mmrace: Command, recorded: Path, tmp_path: Path, capsys: Captured
) -> None:
    write(tmp_path / "racy.py", RACY + "\n# changed\n")
    assert mmrace("run", "racy.py:main", "--engine", "fiber", "--strategy", f"guided:record={recorded}") == 1
    assert "FAIL" in capsys.readouterr().out


def test_after_an_edit_the_kept_record_is_that_of_the_file_as_it_is(
    mmrace: Command, tmp_path: Path, capsys: Captured
) -> None:
    explore = ("explore", "racy.py:main", "--strategy", "dpor", "--schedules", "3")
    assert mmrace(*explore) == 1
    write(tmp_path / "racy.py", RACY + "\n# changed\n")
    capsys.readouterr()
    assert mmrace(*explore) == 1
    out = capsys.readouterr().out
    assert "replayed 5 of 5" in out and "replayed 0" not in out


# -- what is told before anything is run


WRONG = {
    "no such file": ("explore nosuch.py:main", "nosuch.py, which is not there"),
    "no such function": ("explore good.py:man", "did you mean main?"),
    "a file only": ("explore good.py", "try: good.py:main"),
    "a file only, in a run": ("run racy.py", "try: racy.py:main"),
    "a file only, in a campaign": ("stress good.py", "try: good.py:main"),
    "no such scenario": ("explore good", "expected the name of a scenario, got 'good'"),
    "a variant": ("explore good.py:main --variant double-put", "expected no --variant: a function has none"),
    "a variant, in a campaign": ("stress good.py:main --variant double-put", "expected no --variant"),
    "a workload": ("run good.py:main --workload x", "expected no --workload: a function has none"),
    "a workload, in a campaign": ("stress good.py:main --workload x", "expected no --workload"),
    "no such parameter": ("run good.py:main --param task=2", "did you mean tasks?"),
    "no number": ("run good.py:main --param tasks=two", "expected a whole number, got 'two'; try: --param tasks=2"),
    "no such field": ("explore good.py:main --promote Box.nosuch", "got 'Box.nosuch'"),
    "no such field, in a run": ("run good.py:main --engine fiber --promote Box.nosuch", "got 'Box.nosuch'"),
    "a field for a walk": ("explore good.py:main --exhaustive --promote Box.x", "expected no --promote with dpor"),
    "no judge": ("explore good.py:main --without nosuch", "expected a judge out of refcount"),
}


@pytest.mark.parametrize(("line", "needle"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_exits_2_with_what_to_try(mmrace: Command, capsys: Captured, line: str, needle: str) -> None:
    assert mmrace(*line.split()) == 2
    captured = capsys.readouterr()
    assert needle in captured.err
    assert captured.out == ""


def test_a_file_that_fails_exits_2_with_its_line(mmrace: Command, capsys: Captured, tmp_path: Path) -> None:
    write(tmp_path / "broken.py", f"{HEAD}raise ValueError('boom')\n")
    assert mmrace("explore", "broken.py:main") == 2
    assert f"program broken.py, line {len(HEAD.splitlines()) + 1}: " in capsys.readouterr().err


@pytest.mark.slow
def test_a_module_in_the_current_folder_is_found_as_the_console_script_finds_it(tmp_path: Path) -> None:
    write(tmp_path / "mine" / "__init__.py", "")
    write(tmp_path / "mine" / "prog.py", GOOD.replace("from mmrace import runtime as rt", "from .deps import rt"))
    write(tmp_path / "mine" / "deps.py", "from mmrace import runtime as rt\n")
    done = program_files.mmrace("explore", "mine.prog:main", "--schedules", "4", "--jobs", "1", cwd=tmp_path)
    assert done.stdout.splitlines()[-1].startswith("PASS"), done.stderr


def test_a_thread_that_a_wrong_file_leaves_is_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path / "leaves.py", "import threading\nthreading.Thread(target=threading.Event().wait).start()\n")
    words = ("-m", "mmrace", "run", "four", "--load", "leaves.py")
    environment = {**os.environ, "PYTHONPATH": str(program_files.ROOT)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2 and "--load leaves.py" in done.stderr and "adds nothing" in done.stderr


WRONG_STRATEGY = """
from mmrace.strategies.contract import Drawing, Registered, Unprofiled

class Mine(Drawing):
    def pick(self, enabled, running, step):
        return None

STRATEGY = Registered("mine", "x", lambda options: Unprofiled(Mine))
"""


@pytest.mark.slow
def test_a_wrong_strategy_outweighs_what_looks_have_found_in_exit_code_and_last_line(
    mmrace: Command, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_files.additions_forgotten(monkeypatch)
    write(tmp_path / "racy.py", program_files.RACY)
    write(tmp_path / "mine.py", WRONG_STRATEGY)
    words = ("explore", "racy.py:main", "--load", "mine.py", "--strategy", "mine", "--schedules", "20", "--jobs", "1")
    assert mmrace(*words) == 2
    out = capsys.readouterr().out
    assert "oracle: data-race" in out and "mine.py, line 5)" in out, "what was found is shown, and what is wrong"
    last = out.splitlines()[-1]
    assert last.startswith("UNKNOWN the call is wrong, see trouble; ") and "distinct finding" in last


# -- what goes wrong in a run


INTERRUPTING = f"""{HEAD}
import os

def worker(box, kind):
    box.x += 1
    if kind is None:
        os._exit(0)
    raise kind

class Unsayable(Exception):
    def __str__(self):
        raise ValueError

KINDS = {{"interrupt": KeyboardInterrupt(), "exit": SystemExit(0), "unsayable": Unsayable(), "leave": None}}

def main(kind: str = "exit") -> None:
    box = Box("box")
    for _ in range(2):
        rt.spawn(worker, box, KINDS[kind])
    rt.join_others()
"""
"""BUGGY: tasks that wish the whole process an end, or raise what cannot say what it is."""
RUDE = {
    "interrupt": "KeyboardInterrupt: ",
    "exit": "SystemExit: 0",
    "leave": "ProcessEnded: os._exit(0) ends the whole process (main.",
    "unsayable": "Unsayable: (its text cannot be made: ValueError)",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", RUDE)
@pytest.mark.parametrize(
    "how",
    [
        "run",
        "run --engine fiber",
        "run --engine gate",
        "stress --runs 4 --jobs 1",
        "explore --schedules 4 --jobs 1",
        "explore --exhaustive",
    ],
)
def test_a_program_that_raises_what_is_no_ordinary_exception_is_what_is_wrong(
    mmrace: Command, tmp_path: Path, capsys: Captured, how: str, kind: str
) -> None:
    write(tmp_path / "rude.py", INTERRUPTING)
    assert mmrace(*how.split(), "rude.py:main", "--param", f"kind={kind}") == 1
    captured = capsys.readouterr()
    assert RUDE[kind] in captured.out
    assert captured.out.splitlines()[-1].startswith("FAIL")
    assert "interrupted" not in captured.out + captured.err and "mmrace bug" not in captured.out


COUNTS = f"""{HEAD}
RUNS = [0]

def worker(box):
    box.x = box.x + RUNS[0]

def main():
    RUNS[0] += 1
    box = Box("box")
    rt.spawn(worker, box)
    rt.spawn(worker, box)
    rt.join_others()
"""
"""BUGGY: what it writes depends on how often it ran, and two tasks write it in no order."""


@pytest.mark.parametrize(
    "how", ["run --engine fiber", "explore --schedules 8 --jobs 1", "explore --schedules 8 --jobs 1 --promote all"]
)
def test_a_race_in_a_program_that_does_not_repeat_itself_is_found_and_said_not_to_repeat(
    mmrace: Command, tmp_path: Path, capsys: Captured, how: str
) -> None:
    write(tmp_path / "counts.py", COUNTS)
    assert mmrace(*how.split(), "counts.py:main") == 1
    out = capsys.readouterr().out
    assert "oracle: data-race" in out and 'unrepeatable: "made again along its record, the run went otherwise' in out
    assert "--around" not in out and "mmrace replay" not in out
    if how.startswith("explore"):
        assert ": 8 schedules, " in out


@pytest.mark.parametrize("how", ["--schedules 8 --jobs 1", "--exhaustive"])
def test_each_finding_that_does_not_repeat_has_a_folder_without_a_record(
    mmrace: Command, tmp_path: Path, capsys: Captured, how: str
) -> None:
    write(tmp_path / "counts.py", COUNTS)
    assert mmrace("explore", "counts.py:main", *how.split()) == 1
    shown = set(re.findall(r"^box.x: .* \[(\w+)\]$", capsys.readouterr().out, re.MULTILINE))
    kept = {folder.name: {path.name for path in folder.iterdir()} for folder in Path(".mmrace/findings").iterdir()}
    assert shown and set(kept) == shown
    for names in kept.values():
        assert "summary.json" in names and "record.jsonl" not in names


BLOCKED = f"""{HEAD}
def blocks(box):
    add(box)
    open("go").read()

def main():
    box = Box("box")
    rt.spawn(blocks, box, name="blocker")
    rt.spawn(add, box)
    rt.join_others()
"""
"""BUGGY: it waits for somebody who writes to a FIFO."""


@pytest.fixture
def blocked(tmp_path: Path) -> Iterator[None]:
    """Write a program whose task blocks until the test is over."""
    os.mkfifo(tmp_path / "go")
    write(tmp_path / "blocked.py", BLOCKED)
    yield
    os.close(os.open(tmp_path / "go", os.O_RDWR))


@pytest.mark.parametrize("words", [("run", "--engine", "fiber"), ("run", "--engine", "gate"), ("run",), ("explore",)])
@pytest.mark.usefixtures("blocked")
def test_a_call_that_blocks_exits_5_with_its_stack(
    mmrace: Command, capsys: Captured, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "CHECK_SECONDS", 0.02)
    assert mmrace(words[0], "blocked.py:main", *words[1:]) == 5
    text = "".join(capsys.readouterr())
    assert "task blocker did no op" in text and "in blocks" in text


@pytest.mark.slow
@pytest.mark.usefixtures("blocked")
def test_a_call_that_blocks_in_a_worker_is_told_too(mmrace: Command, capsys: Captured) -> None:
    """Nothing is drawn before: no field is looked for, so that only the worker runs it."""
    words = ("--jobs", "1", "--promote", "all", "--strategy", "random")
    assert mmrace("explore", "blocked.py:main", "--engine", "gate", *words) == 5
    out = capsys.readouterr().out
    assert "trouble: UNKNOWN: task blocker did no op for 5 s" in out and "in blocks" in out


def test_a_walk_of_a_program_that_polls_says_what_to_do(mmrace: Command, capsys: Captured) -> None:
    program = f"{PROGRAMS / 'spins.py'}"
    assert mmrace("explore", f"{program}:main", "--exhaustive") == 5
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("UNKNOWN ") and "passed its bound of 1000 ops" in last and "until_changed" in last
    assert mmrace("explore", f"{program}:mended", "--exhaustive") == 0


# -- programs on which walks and samplers once failed


FOUND = {
    "daemon_tries.py:main": "oracle: liveness",
    "late_change.py:main": "oracle: bug-on",
    "rare_race.py:main": "oracle: data-race",
}


@pytest.mark.parametrize(("program", "oracle"), FOUND.items(), ids=FOUND)
def test_a_walk_finds_what_is_hard_to_find(mmrace: Command, capsys: Captured, program: str, oracle: str) -> None:
    assert mmrace("explore", str(PROGRAMS / program), "--exhaustive") == 1
    assert oracle in capsys.readouterr().out


@pytest.mark.parametrize("second", ["tries", "chooses"])
def test_a_walk_comes_to_its_end_beside_a_daemon(mmrace: Command, capsys: Captured, second: str) -> None:
    program = f"{PROGRAMS / 'daemon_tries.py'}:mended"
    assert mmrace("explore", program, "--exhaustive", "--param", f"second={second}", "--quiet") == 0
    assert "PASS exhaustive: all" in capsys.readouterr().out
