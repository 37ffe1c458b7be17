"""A run stops before a step, in its task's thread, at the code that does it; and goes on as if nothing had been."""

from __future__ import annotations

import bdb
import builtins
import os
import signal
import sys
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mmrace import installed
from mmrace.examples import lost_update
from mmrace.runs import debugging, functions
from mmrace.runs.debugging import DebuggerQuit
from mmrace.runs.follow import with_sites
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime import live, places, pool
from mmrace.runtime.breaking import BreakAt, Leave, Stop
from mmrace.runtime.errors import UsageError
from mmrace.runtime.places import Place
from mmrace.runtime.record import Record
from mmrace.search.pool import cores
from tests.runs.program_files import mmrace

FILE = lost_update.__file__
SPEC = RunSpec(f"{FILE}:main", maker=functions.KIND, engine="gate", strategy="random", seed=1)
MAIN = threading.main_thread().ident or 0
AGAIN_SECONDS = 0.1
TIMES_MAX = 600  # that Ctrl-C is pressed; once will do if the main thread waits already
WRITE = Place("main.1", "deposit:balance#2", 1)


@pytest.fixture(autouse=True)
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave this process on all of its cores, and to Python's own debugger unless a test says otherwise."""
    monkeypatch.setattr(cores, "pin", lambda engine: None)
    monkeypatch.delenv("PYTHONBREAKPOINT", raising=False)


def anything(engine: object) -> Any:
    """Return an engine with what only its class has."""
    return engine


def recorded(breaking: BreakAt | None = None, spec: RunSpec = SPEC) -> Record:
    result: RunResult = installed.run_one(spec, True, breaking=breaking)
    assert result.record is not None
    return result.record


def interrupt_until(told: threading.Event) -> None:
    """Press Ctrl-C until that is told: one that comes just before the main thread waits is seen only afterwards."""
    for _ in range(TIMES_MAX):
        signal.pthread_kill(MAIN, signal.SIGINT)
        if told.wait(AGAIN_SECONDS):
            return
    raise AssertionError("nobody told")


def hooked(monkeypatch: pytest.MonkeyPatch, hook: Callable[[], None]) -> None:
    monkeypatch.setattr(sys, "breakpointhook", hook)


def step_of(record: Record) -> int:
    return places.find(record, WRITE, where="test")


def test_the_hook_is_called_once_in_the_thread_of_the_task_with_the_names_of_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[dict[str, Any]] = []

    def hook() -> None:
        frame = sys._getframe(1)
        seen.append({
            "thread": threading.current_thread().name,
            "file": frame.f_code.co_filename,
            "line": Path(FILE).read_text().splitlines()[frame.f_lineno - 1].strip(),
            "before": frame.f_globals["before"],
            "running": live.engine.current().name,
            "events": len(anything(live.engine).events),
        })  # fmt: skip

    hooked(monkeypatch, hook)
    record = recorded(BreakAt(WRITE, debugging.ask))
    (told,) = seen
    assert told["thread"].startswith("mmrace-") and told["thread"] != threading.main_thread().name
    assert (told["file"], told["line"]) == (FILE, "account.balance = before + 1")
    assert (told["running"], told["before"]) == ("main.1", 0)
    assert told["events"] == step_of(record)


def test_a_step_is_found_by_number_and_by_name_and_the_stop_says_both(monkeypatch: pytest.MonkeyPatch) -> None:
    hooked(monkeypatch, lambda: None)
    step = step_of(recorded())
    stops = []
    for wanted in (step, WRITE):
        breaking = BreakAt(wanted, debugging.ask)
        recorded(breaking)
        assert breaking.stop is not None
        stops.append((breaking.stop.event, breaking.stop.place, breaking.stop.op))
    assert stops == [(step, WRITE, "write account.balance")] * 2


def test_the_others_stand_still_and_nobody_takes_them_for_stuck() -> None:
    told: list[tuple[Stop, int, int, int]] = []

    def ask(stop: Stop, frame: FrameType, leave: Leave) -> None:
        engine: Any = live.engine
        told.append((stop, len(engine.masks), engine.progress(), engine.progress()))

    recorded(BreakAt(WRITE, ask))
    ((stop, masks, before, after),) = told
    assert {other.task for other in stop.others} == {"main", "main.0"}
    assert {other.task: other.enabled for other in stop.others}["main"] is False
    assert masks and before != after


@pytest.mark.parametrize("step", [0, 3, 6, 9])
def test_a_run_that_was_stopped_and_let_go_makes_the_record_that_it_makes_anyway(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked(monkeypatch, lambda: None)
    stopped, whole = recorded(BreakAt(step, debugging.ask)), recorded()
    assert list(stopped.plain()) == list(whole.plain()) and stopped.masks == whole.masks
    assert stopped.verdict == whole.verdict


def test_to_quit_ends_the_run_and_nothing_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def hook() -> None:
        raise bdb.BdbQuit

    hooked(monkeypatch, hook)
    for _ in range(2):
        with pytest.raises(DebuggerQuit, match="UNKNOWN: the run was quit"):
            recorded(BreakAt(WRITE, debugging.ask))
    assert pool.pool_size() == 0  # no thread is left, and the next run goes as ever
    hooked(monkeypatch, lambda: None)
    assert recorded(BreakAt(WRITE, debugging.ask)).verdict == recorded().verdict


def test_a_debugger_that_quits_from_a_later_line_ends_the_run_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that traces: it raises in the middle of the program."""

    def hook() -> None:
        def trace(frame: Any, event: str, arg: Any) -> Any:
            raise bdb.BdbQuit

        frame = sys._getframe(1)
        while frame.f_code.co_name != "deposit":
            assert frame.f_back is not None
            frame = frame.f_back
        frame.f_trace = trace
        sys.settrace(lambda *_: None)

    hooked(monkeypatch, hook)
    with pytest.raises(DebuggerQuit):
        recorded(BreakAt(WRITE, debugging.ask))
    result = installed.run_one(SPEC, True)
    assert result.record is not None
    with pytest.raises(DebuggerQuit):
        installed.replay(result.record, breaking=BreakAt(step_of(recorded()), debugging.ask))


def test_to_quit_a_replay_is_no_difference_to_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """BUG once: the rest of the record was missed, exit code 3."""

    def hook() -> None:
        raise bdb.BdbQuit

    record = installed.run_one(SPEC, True).record
    assert record is not None
    hooked(monkeypatch, hook)
    with pytest.raises(DebuggerQuit):
        installed.replay(record, breaking=BreakAt(step_of(record), debugging.ask))


def test_ctrl_c_at_the_prompt_says_how_to_leave_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The main thread would wait for the task that is being asked, which does not come to a point."""
    told = threading.Event()
    monkeypatch.setattr(debugging, "hint", told.set)

    hooked(monkeypatch, lambda: interrupt_until(told))
    before = signal.getsignal(signal.SIGINT)
    stopped = recorded(BreakAt(WRITE, debugging.ask))
    assert told.is_set() and list(stopped.plain()) == list(recorded().plain())
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_at_a_later_prompt_says_how_to_leave_too(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(debugging, "hint", told.set)
    monkeypatch.setattr(builtins, "interrupted", lambda: interrupt_until(told), raising=False)
    monkeypatch.setattr(sys, "stdin", StringIO("n\n!interrupted()\nc\n"))
    stopped = recorded(BreakAt(WRITE, debugging.ask))
    assert told.is_set() and list(stopped.plain()) == list(recorded().plain())


def test_a_scenario_is_stopped_in_the_kernels_code(monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[str] = []
    hooked(monkeypatch, lambda: files.append(sys._getframe(1).f_code.co_filename))
    params = (("buffers", 1), ("idle", 0), ("migrations", 1), ("rounds", 1), ("words", 1))
    spec = RunSpec("async-vs-commit", params, engine="gate", strategy="random", seed=1)
    record = with_sites(installed.run_one(spec, True), installed.MAKERS)
    place = next(
        place
        for _, place in places.places_of(record)
        if str(place).startswith("migrator/") and "trylock_page:" in str(place)
    )
    recorded(BreakAt(place, debugging.ask), spec)
    (file,) = files
    assert file.endswith(os.path.join("kernel", "mm", "filemap.py"))


def test_a_step_that_never_comes_leaves_the_run_as_it_is() -> None:
    breaking = BreakAt(10_000, debugging.ask)
    assert recorded(breaking).events and breaking.stop is None


@pytest.mark.parametrize("engine", ["fiber", "free"])
def test_only_gate_has_a_thread_to_stop_in(engine: str) -> None:
    with pytest.raises(UsageError, match=rf"--break-at: expected --engine gate.*'{engine}'"):
        debugging.check_engine(engine, "--break-at")
    debugging.check_engine("gate", "--break-at")


# -- Python's own debugger, as a person has it ---------------------------------------------------------------------


def pdb(tmp_path: Path, answers: str, *words: str) -> tuple[int, str]:
    (tmp_path / "answers").write_text(answers)
    with (tmp_path / "answers").open() as typed:
        ended = mmrace(*words, cwd=tmp_path, stdin=typed)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.slow
def test_pdb_stands_before_the_op_steps_over_it_and_quits(tmp_path: Path) -> None:
    words = ("run", f"{FILE}:main", "--engine", "gate", "--seed", "1", "--break-at", "main.1/deposit:balance#2")
    code, out = pdb(tmp_path, "p before\np account\nn\nq\n", *words)
    assert code == 5 and "UNKNOWN: the run was quit in the debugger" in out, out
    assert "main.1 is about to write account.balance" in out and "-> account.balance = before + 1" in out
    assert "(Pdb) 0\n(Pdb) account\n(Pdb) --Return--" in out and "Traceback" not in out


@pytest.mark.slow
def test_pdb_lets_the_run_go_on_to_its_verdict(tmp_path: Path) -> None:
    words = ("run", f"{FILE}:main", "--engine", "gate", "--seed", "1")
    code, plain = pdb(tmp_path, "", *words)
    for answers in ("c\n", "n\nn\nc\n", "s\ns\ns\ns\nc\n", "b deposit\nc\nc\n"):
        stopped, out = pdb(tmp_path, answers, *words, "--break-at", "5")
        assert (stopped, out.splitlines()[-1]) == (code, plain.splitlines()[-1]), out
        assert "mmrace/runtime/" not in out.partition("-> ")[2], out


@pytest.mark.slow
def test_the_end_of_what_is_typed_ends_the_run(tmp_path: Path) -> None:
    code, out = pdb(tmp_path, "", "run", f"{FILE}:main", "--engine", "gate", "--seed", "1", "--break-at", "5")
    assert code == 5 and "Traceback" not in out, out
