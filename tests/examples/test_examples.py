"""Each example keeps the promise of its first lines: the bug is found, and the mended twin passes."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

import mmrace
from mmrace.examples import bounded_queue, lost_update, lost_wakeup, page_move, torn_read, two_locks
from tests import in_process

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = [lost_update, two_locks, lost_wakeup, torn_read, page_move, bounded_queue]
PROMISED = {
    "lost_update": {("exception", "AssertionError"), ("data-race", "race")},
    "two_locks": {("lock-order", "lock-order cycle"), ("liveness", "cycle")},
    "lost_wakeup": {("liveness", "lost-wakeup")},
    "torn_read": {("bug-on", "torn"), ("data-race", "race")},
    "page_move": {
        ("lock-discipline", "unlock by a stranger"),
        ("lock-discipline", "unlock of a lock that nobody holds"),
    },
    "bounded_queue": {("liveness", "stuck")},
}


def short(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


@pytest.mark.parametrize("module", EXAMPLES, ids=short)
@pytest.mark.parametrize("engine", ["fiber", "gate"])
def test_the_bug_that_an_example_promises_is_found_and_no_other(module: ModuleType, engine: str) -> None:
    explored = mmrace.explore(module.main, exhaustive=True, engine=engine)
    assert explored.verdict == "FAIL"
    assert {(finding.oracle, finding.rule) for finding in explored.findings} == PROMISED[short(module)]


@pytest.mark.parametrize("module", EXAMPLES, ids=short)
def test_the_mended_twin_passes_in_every_schedule(module: ModuleType) -> None:
    explored = mmrace.explore(module.mended, exhaustive=True)
    assert (explored.verdict, explored.exhaustive) == ("PASS", True)


@pytest.mark.slow
@pytest.mark.parametrize("module", EXAMPLES, ids=short)
def test_the_commands_of_its_first_lines_do_what_they_say(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = re.findall(r"^mmrace (.*?)(?:  +# (.*))?$", inspect.getdoc(module) or "", re.M)
    assert len(commands) == 2
    monkeypatch.chdir(ROOT)
    for command, remark in commands:
        code = in_process.run(monkeypatch, *shlex.split(command), "--store", str(tmp_path), "--jobs", "1")
        said = capsys.readouterr()
        assert said.out, said.err
        last = said.out.splitlines()[-1]
        wanted = (1, "FAIL") if remark == "BUGGY: ends in FAIL" else (0, "PASS")
        assert (code, last.split()[0]) == wanted, command


def test_every_example_is_tested() -> None:
    files = {path.stem for path in (ROOT / "mmrace" / "examples").glob("*.py")} - {"__init__"}
    assert files == PROMISED.keys()
