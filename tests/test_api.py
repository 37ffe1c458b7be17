"""The front door from Python: `mmrace.explore` over functions, names of functions, and scenarios."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import mmrace
from mmrace import runtime as rt
from mmrace.api import Explored, Interrupted
from mmrace.examples import lost_update, two_locks
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record
from tests.runs import program_files
from tests.runs.program_files import GOOD, RACY, additions_forgotten, imports_restored, python, write
from tests.runs.test_registrations import BUG, CAST, JUDGE, STRATEGY
from tests.runtime.engines import Box, box

ROOT = Path(__file__).resolve().parents[1]
SHORT = {"buffers": 1, "idle": 0, "migrations": 1, "rounds": 1, "words": 1}


def rules(explored: Explored) -> set[str]:
    return {finding.rule for finding in explored.findings}


@pytest.fixture
def own_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Path]]:
    """Files with a cast, a planted bug, a judge and a strategy, which are forgotten afterwards."""
    additions_forgotten(monkeypatch)
    texts = {"cast": CAST, "bug": BUG, "judge": JUDGE, "strategy": STRATEGY}
    with imports_restored(tmp_path):
        yield {name: write(tmp_path / f"{name}.py", text) for name, text in texts.items()}


# -- what is explored


def test_the_bug_of_a_function_is_found_and_its_mended_twin_passes_exhaustively() -> None:
    found = mmrace.explore(lost_update.main, exhaustive=True)
    assert (found.verdict, found.because) == ("FAIL", "")
    assert {"race", "AssertionError"} <= rules(found)
    mended = mmrace.explore(lost_update.mended, exhaustive=True)
    assert mended == Explored("PASS", "", (), mended.schedules, 2, True, {})


def adds(shared: Box) -> None:
    rt.mutex_lock(shared.mutex)
    shared.x += 1
    rt.mutex_unlock(shared.mutex)


def adding(tasks: int = 2) -> None:
    """Add one in each task."""
    shared = box()
    for _ in range(tasks):
        rt.spawn(adds, shared)
    rt.join_others()
    assert shared.x == tasks


def named_migrator() -> None:
    """Have a task of the name that the judge of a file forbids."""
    rt.spawn(adds, box(), name="migrator")
    rt.join_others()


class Holder:
    """Holds a program."""

    def __init__(self, tasks: int) -> None:
        self.tasks = tasks

    def method(self) -> None:
        adding(self.tasks)

    def __call__(self) -> None:
        adding(self.tasks)


def local() -> Callable[[], None]:
    def inside() -> None:
        adding()

    return inside


HERE = {
    "lambda": (lambda: adding(tasks=2), 2),
    "local": (local(), 2),
    "method": (Holder(3).method, 6),
    "object": (Holder(3), 6),
    "partial": (partial(adding, tasks=3), 6),
}


@pytest.mark.parametrize(("function", "classes"), HERE.values(), ids=HERE)
def test_a_function_that_only_this_process_has_is_explored_here(
    function: Callable[..., object], classes: int, tmp_path: Path
) -> None:
    explored = mmrace.explore(function, exhaustive=True, folder=tmp_path)
    assert (explored.verdict, explored.classes, explored.exhaustive) == ("PASS", classes, True)
    with pytest.raises(UsageError, match=r"expected a function at the top level of a file.*try: jobs=0"):
        mmrace.explore(function, schedules=1, jobs=1)


def test_what_is_found_in_such_a_function_is_kept_and_can_be_shown(tmp_path: Path) -> None:
    name = "test_what_is_found_in_such_a_function_is_kept_and_can_be_shown.<locals>.<lambda>"
    explored = mmrace.explore(lambda: lost_update.main(2), schedules=5, folder=tmp_path)
    assert explored.verdict == "FAIL"
    for path in explored.records.values():
        record = Record.read(path)
        assert (record.header["digest"], record.header["program"]) == ("", f"{__name__}:<{name}>")


def test_a_text_names_a_function_of_a_file_or_of_a_module(tmp_path: Path) -> None:
    with imports_restored(tmp_path):
        path = write(tmp_path / "texts.py", GOOD)
        assert mmrace.explore(f"{path}:main", exhaustive=True).classes == 2
    assert mmrace.explore("mmrace.examples.lost_update:mended", exhaustive=True).classes == 2


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [0, 2])
def test_what_files_of_ones_own_add_is_explored_by_name(own_files: dict[str, Path], jobs: int) -> None:
    both: list[str | Path] = [own_files["cast"], str(own_files["bug"])]
    small = {"idle": 0, "rounds": 1, "migrations": 2}
    passed = mmrace.explore("mine", load=own_files["cast"], schedules=4, params=small, jobs=jobs)
    assert (passed.verdict, passed.schedules) == ("PASS", 4)
    found = mmrace.explore("mine", load=both, variant="no-thaw", schedules=4, params=small, jobs=jobs)
    assert found.verdict == "FAIL" and "exception" in {finding.oracle for finding in found.findings}


def test_judges_and_strategies_of_ones_own_reach_functions_too(own_files: dict[str, Path]) -> None:
    judged = mmrace.explore(adding, load=own_files["judge"], schedules=4)
    assert judged.verdict == "PASS"
    found = mmrace.explore(named_migrator, load=own_files["judge"], schedules=2)
    assert [finding.oracle for finding in found.findings] == ["nobody"]
    left_out = mmrace.explore(named_migrator, load=own_files["judge"], without="nobody", schedules=2)
    assert left_out.findings == ()
    assert mmrace.explore(adding, load=str(own_files["strategy"]), strategy="oldest", schedules=2).classes == 1


def test_a_file_that_a_function_needed_adds_its_scenario_too(own_files: dict[str, Path]) -> None:
    assert mmrace.explore(adding, load=own_files["cast"], schedules=4).verdict == "PASS"
    assert mmrace.explore("mine", load=own_files["cast"], schedules=1, params={"idle": 0}).schedules == 1


@pytest.mark.parametrize(
    ("load", "words"), [(3, "the path of a Python file"), ([3], "the path of a"), ("nosuch.py", "which is not there")]
)
def test_what_names_no_file_to_load_is_a_wrong_call(load: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        mmrace.explore(adding, load=load, schedules=1)


@pytest.mark.slow
def test_a_text_without_a_colon_names_a_scenario() -> None:
    explored = mmrace.explore("async-vs-commit", schedules=3, params=SHORT)
    assert (explored.verdict, explored.schedules) == ("PASS", 3)
    found = mmrace.explore("async-vs-commit", schedules=20, params=SHORT, variant="double-put", until_found=True)
    assert found.verdict == "FAIL" and found.schedules < 20


def test_nothing_to_interleave_is_unknown() -> None:
    explored = mmrace.explore(lambda: adds(box()), exhaustive=True)
    assert explored.verdict == "UNKNOWN"
    assert "no two tasks had something to do" in explored.because


# -- how


@pytest.mark.parametrize("engine", ["fiber", "gate"])
@pytest.mark.parametrize("strategy", ["random", "pct:depth=3", "portfolio", "preemption:bound=1", "dpor"])
def test_each_engine_makes_the_same_schedules(engine: str, strategy: str) -> None:
    explored = mmrace.explore(two_locks.main, schedules=6, strategy=strategy, engine=engine)
    assert explored.verdict == "FAIL"
    assert "lock-order cycle" in rules(explored)


def test_a_seed_decides_which_schedules_are_drawn() -> None:
    def classes(seed: int) -> list[object]:
        seen: list[object] = []
        mmrace.explore(partial(watching, seen), schedules=8, strategy="random", seed=seed)
        return seen

    assert classes(1) == classes(1) != classes(2)


def watching(seen: list[object]) -> None:
    """Leave word of the order of two tasks."""

    def two() -> None:
        for task in [rt.spawn(lambda name=name: seen.append(name)) for name in "ab"]:
            rt.join(task)

    two()


def test_parameters_are_those_of_the_function() -> None:
    assert mmrace.explore(adding, exhaustive=True, params={"tasks": 3}).classes == 6


@pytest.mark.parametrize("given", [{"schedules": 3}, {"schedules": 3, "strategy": "dpor"}])
def test_an_exploration_lasts_as_long_as_it_is_told(given: dict[str, Any]) -> None:
    explored = mmrace.explore(partial(adding, tasks=4), **given)
    assert (explored.schedules, explored.exhaustive) == (3, False)


def test_it_stops_at_the_first_finding_if_that_is_all_that_is_asked() -> None:
    explored = mmrace.explore(lost_update.main, schedules=1000, until_found=True)
    assert explored.findings and explored.schedules < 100


@pytest.mark.parametrize("without", ["data-race", ["data-race"], ("data-race",)])
def test_judges_can_be_switched_off(without: Any) -> None:
    assert rules(mmrace.explore(lost_update.main, exhaustive=True, without=without)) == {"AssertionError"}


def test_a_walk_of_runs_that_pass_their_bound_says_what_to_do() -> None:
    def polls(steps_max: int = 200) -> None:
        shared = box()

        def waits() -> None:
            while not shared.x:
                rt.schedule()

        def sets() -> None:
            shared.x = 1

        rt.spawn(waits)
        rt.spawn(sets)

    explored = mmrace.explore(polls, exhaustive=True, seconds=60.0, without=["data-race"])
    assert (explored.verdict, explored.exhaustive) == ("UNKNOWN", False)
    assert "passed its bound of 200 ops" in explored.because
    assert "until_changed" in explored.because and "steps_max: int = 2000" in explored.because


# -- what is kept


def test_records_are_kept_in_a_folder_and_repeat_what_was_found(tmp_path: Path) -> None:
    explored = mmrace.explore(lost_update.main, schedules=10, folder=tmp_path / "kept")
    assert explored.records.keys() == {finding.signature for finding in explored.findings}
    from mmrace.installed import replay_record  # noqa: PLC0415  (after the fact: exploring does not need it)

    for signature, path in explored.records.items():
        assert path.is_relative_to(tmp_path / "kept")
        assert signature in {finding.signature for finding in replay_record(str(path)).findings}


def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    explored = mmrace.explore(lost_update.main, schedules=3)
    assert explored.findings and explored.records == {}
    assert list(tmp_path.iterdir()) == []


# -- wrong calls


WRONG: dict[str, tuple[object, dict[str, Any], str]] = {
    "no program": (3, {}, "expected a function, the name of one, or a scenario's name, got 3"),
    "a class": (Holder, {}, "a plain function.*got 'a class'"),
    "an argument without a default": (adds, {}, "parameters all have defaults"),
    "no scenario": ("async-vs-comit", {}, "async-vs-commit"),
    "no file": ("nosuch.py:main", {}, "nosuch.py, which is not there"),
    "a file only": (str(program_files.__file__), {}, "expected a function in a file"),
    "no schedule": (adding, {"schedules": 0}, "schedules=.*1 or more"),
    "part of a schedule": (adding, {"schedules": 1.5}, "a whole number"),
    "no time": (adding, {"seconds": 0}, "seconds=.*more than 0"),
    "time as a text": (adding, {"seconds": "10s"}, "more than 0"),
    "a seed below 0": (adding, {"seed": -1}, "seed=.*0 or more"),
    "jobs below 0": (adding, {"jobs": -1}, "jobs="),
    "engine free": (adding, {"engine": "free"}, "engine.*got 'free'"),
    "no strategy": (adding, {"strategy": "pos2"}, "strategy.*pos"),
    "a sampler to the end": (adding, {"strategy": "pos", "exhaustive": True}, "--strategy dpor"),
    "a walk in many processes": (adding, {"exhaustive": True, "jobs": 2}, "one process"),
    "no judge": (adding, {"without": ["nosuch"], "schedules": 1}, "expected a judge out of.*data-race"),
    "no parameter": (adding, {"params": {"task": 3}}, "did you mean tasks"),
    "another type": (adding, {"params": {"tasks": "3"}}, "a whole number, got '3'"),
    "a variant of a function": (adding, {"variant": "double-put"}, "expected no --variant"),
    "an era of a function": (adding, {"era": "3.1"}, "expected no --era"),
    "an era that does not exist": ("async-vs-commit", {"era": "2.6"}, r"3\.2\+trylock"),
    "no bound": (lambda steps_max=0: None, {}, "a number of ops, 1 or more"),
}


@pytest.mark.parametrize(("program", "given", "needle"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_is_refused_before_anything_is_run(
    program: Any, given: dict[str, Any], needle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=needle):
        mmrace.explore(program, **given)


@pytest.mark.parametrize("strategy", ["random", "dpor"])
def test_a_wrong_call_inside_the_program_is_one_too(strategy: str) -> None:
    with pytest.raises(UsageError, match="expected a CPU in 0"):
        mmrace.explore(lambda: rt.spawn(rt.schedule, cpu=99), schedules=3, strategy=strategy)


# -- Ctrl-C


@pytest.mark.parametrize("strategy", ["random", "dpor"])
@pytest.mark.parametrize("engine", ["fiber", "gate"])
def test_ctrl_c_is_raised_with_what_is_known_so_far(strategy: str, engine: str) -> None:
    runs: list[int] = []

    def racy() -> None:
        runs.append(1)
        if len(runs) == 40:  # those included that look at the program before the first schedule
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        lost_update.main(3)

    with pytest.raises(KeyboardInterrupt) as caught:
        mmrace.explore(racy, strategy=strategy, engine=engine)
    assert isinstance(caught.value, Interrupted)
    so_far = caught.value.so_far
    assert (so_far.verdict, so_far.exhaustive) == ("FAIL", False)
    assert so_far.schedules > 0


def test_the_handlers_of_the_host_program_are_left_alone() -> None:
    seen: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, frame: seen.append(number)) for number in numbers}

    def racy() -> None:
        if not seen:
            signal.raise_signal(signal.SIGTERM)
        lost_update.main()

    try:
        assert mmrace.explore(racy, schedules=4).schedules == 4
        signal.raise_signal(signal.SIGHUP)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert seen == [signal.SIGTERM, signal.SIGHUP]


# -- processes of their own


@pytest.mark.slow
def test_workers_resolve_the_name_of_the_function(tmp_path: Path) -> None:
    path = write(tmp_path / "prog.py", RACY)
    with imports_restored(tmp_path):
        alone = mmrace.explore(f"{path}:main", schedules=40, seed=3)
        shared = mmrace.explore(f"{path}:main", schedules=40, seed=3, jobs=2, folder=tmp_path / "kept")
    assert (alone.verdict, alone.classes, rules(alone)) == (shared.verdict, shared.classes, rules(shared))
    assert shared.schedules == 40 and shared.records


@pytest.mark.slow
def test_a_file_that_changed_under_the_workers_is_a_wrong_call(tmp_path: Path) -> None:
    text = f"{GOOD}\nfrom pathlib import Path\nPath(__file__).write_text(Path(__file__).read_text() + '#')\n"
    with imports_restored(tmp_path), pytest.raises(UsageError, match="has changed"):
        mmrace.explore(f"{write(tmp_path / 'restless.py', text)}:main", schedules=4, jobs=1)


Script = Callable[[str, int], subprocess.CompletedProcess[str]]
SCRIPT = f"""{RACY}
import sys, mmrace
GUARD:
    found = mmrace.explore(main, schedules=20, jobs=int(sys.argv[1]), folder="kept")
    print(found.verdict, found.schedules, sorted(found.records))
"""


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Run a script that explores its own function; return how that ended."""

    def run(guard: str, jobs: int) -> subprocess.CompletedProcess[str]:
        write(tmp_path / "script.py", SCRIPT.replace("GUARD", guard))
        return program_files.script("script.py", str(jobs), cwd=tmp_path)

    return run


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [0, 2])
def test_a_script_explores_its_own_function(script: Script, jobs: int, tmp_path: Path) -> None:
    done = script('if __name__ == "__main__"', jobs)
    assert done.stdout.startswith("FAIL 20 ["), done.stderr
    assert done.stderr == "", "a library says nothing"
    assert list((tmp_path / "kept" / "findings").iterdir())


@pytest.mark.slow
def test_a_script_that_explores_wherever_it_is_loaded_is_told_what_to_write(script: Script) -> None:
    done = script("if True", 2)
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("mmrace.runtime.errors.UsageError")
    assert "script.py, line" in line and 'if __name__ == "__main__": mmrace.explore(main)' in line


@pytest.mark.slow
def test_a_record_of_a_script_is_replayed_by_the_command_line(script: Script, tmp_path: Path) -> None:
    script('if __name__ == "__main__"', 0)
    [kept, *_] = (tmp_path / "kept" / "findings").iterdir()
    done = program_files.mmrace("replay", str(kept / "record.jsonl"), cwd=ROOT)
    assert done.returncode == 1
    assert "the same findings as recorded" in done.stdout, done.stderr


# -- imports


UNIMPORTABLE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("mmrace.kernel", "mmrace.actors", "mmrace.scenarios", "mmrace.history")):
            raise ImportError(f"{name} is out of bounds")

sys.meta_path.insert(0, Refuse())
"""


@pytest.mark.slow
def test_a_program_of_ones_own_needs_nothing_of_the_kernel(tmp_path: Path) -> None:
    for name, text in {"racy": RACY, "good": GOOD}.items():
        write(tmp_path / f"{name}.py", text)
    done = python(
        f"""{UNIMPORTABLE}
import mmrace
found = mmrace.explore("racy.py:main", exhaustive=True, folder="kept")
print(found.verdict, sorted(finding.rule for finding in found.findings))
twin = mmrace.explore("good.py:main", exhaustive=True)
print(twin.verdict, twin.exhaustive, twin.classes)
print(mmrace.explore("good.py:main", schedules=20, jobs=1).verdict)
""",
        tmp_path,
    )
    assert done.stdout.splitlines() == ["FAIL ['AssertionError', 'race', 'race']", "PASS True 2", "PASS"], done.stderr


def test_the_runtime_imports_no_kernel_and_no_front_door() -> None:
    code = "import sys, mmrace.runtime; print(*sorted(name for name in sys.modules if name.startswith('mmrace')))"
    found = python(code, ROOT).stdout.split()
    assert "mmrace.runtime.live" in found
    assert [name for name in found if not name.startswith("mmrace.runtime")] == ["mmrace", "mmrace.version"]


def test_the_front_door_is_there_when_it_is_asked_for() -> None:
    assert mmrace.Explored is Explored
    assert set(mmrace.__all__) == {"Explored", "Minimal", "Replayed", "explore", "minimise", "replay"}
    with pytest.raises(AttributeError, match="no attribute 'exlpore'"):
        mmrace.exlpore  # noqa: B018
    assert "mmrace.api" in sys.modules
