"""Beside other plugins, under -x and Ctrl-C, and at no cost to who does not use it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmrace.plugin.asked import ARGUMENTS
from mmrace.plugin.hooks import HELP
from tests.plugin.sessions import PLUGIN, file, in_a_process, schedules, session

ROOT = Path(__file__).resolve().parents[2]

TWO = """
@pytest.mark.mmrace(schedules=30)
def test_one():
    play(deposit)

@pytest.mark.mmrace(schedules=30)
def test_other():
    play(deposit)

@pytest.mark.mmrace(schedules=30)
def test_good():
    play(locked)
"""

ENDLESS = """
import os, signal
RUNS = []

@pytest.mark.timeout({seconds})
@pytest.mark.mmrace(schedules=10**9)
def test_endless():
    play(locked)
    RUNS.append(1)
    if len(RUNS) == {alarm}:
        os.kill(os.getpid(), signal.SIGALRM)

@pytest.mark.mmrace(schedules=3)
def test_after():
    play(locked)
"""
"""The alarm of pytest-timeout rings in a run, as it would after so many seconds."""

INTERRUPTED = """
import os, signal

@pytest.mark.mmrace(schedules=10**9)
def test_endless():
    play(locked)
    os.kill(os.getpid(), signal.SIGINT)

@pytest.mark.mmrace(schedules=3)
def test_after():
    play(locked)
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fiber", "gate"])
def test_the_alarm_of_pytest_timeout_ends_the_exploration_and_only_its_test(
    pytester: pytest.Pytester, engine: str
) -> None:
    file(pytester, ENDLESS.format(seconds=600, alarm=30))
    done = in_a_process(pytester, f"--mmrace-engine={engine}")
    done.assert_outcomes(failed=1, passed=1)
    done.stdout.fnmatch_lines(
        ["*Failed: Timeout (>600.0s) from pytest-timeout.; mmrace had judged * schedules*: UNKNOWN"]
    )
    assert "exception: " not in done.stdout.str()


@pytest.mark.slow
def test_the_thread_of_pytest_timeout_ends_the_process_as_it_always_does(pytester: pytest.Pytester) -> None:
    file(pytester, ENDLESS.format(seconds=3, alarm=0))
    done = in_a_process(pytester, "--timeout-method=thread")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*Timeout*"])


@pytest.mark.slow
def test_pytest_repeat_repeats_with_other_seeds_and_one_database(pytester: pytest.Pytester) -> None:
    file(
        pytester,
        """
SEEN = []

@pytest.mark.mmrace(schedules=4, strategy="random")
def test_counts(record_property):
    SEEN.append(rt.choose(1000000))
    play(locked)

def test_all_differ():
    assert len(set(SEEN)) > 8
""",
    )
    in_a_process(pytester, "--count=3", "-k", "counts").assert_outcomes(passed=3)
    session(pytester, "--count=3", "-p", "no:xdist").assert_outcomes(passed=6)
    file(pytester, TWO.replace("def test_one()", "@pytest.mark.parametrize('n', [1])\ndef test_one(n)"))
    done = session(pytester, "--count=3", "-k", "test_one")
    done.assert_outcomes(failed=3)
    assert len({path.parent for path in schedules(pytester)}) == 1
    lines = [line for line in done.outlines if line.startswith("replay: ")]
    assert all(line.startswith("replay: pytest 'test_it.py::test_one[1]' --mmrace-replay=") for line in lines) and lines


@pytest.mark.slow
def test_pytest_xdist_distributes_and_each_worker_knows_what_failed(pytester: pytest.Pytester) -> None:
    file(pytester, TWO)
    for again in (False, True):
        done = in_a_process(pytester, "-n", "2")
        done.assert_outcomes(failed=2, passed=1)
        told = [line for line in done.stdout.lines if "kept because it failed" in line]
        assert len({*told}) == 2 * again  # where CI is set, pytest's summary tells a failure whole once more
    assert len(schedules(pytester)) == 2
    file(pytester, TWO.replace("deposit", "locked"))
    done = in_a_process(pytester, "-n", "2")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["test_it.py::test_one: kept schedule *: PASS*"])


@pytest.mark.slow
@pytest.mark.parametrize("words", ["-x", "--maxfail=1"])
def test_the_first_failure_ends_the_session_if_so_asked(pytester: pytest.Pytester, words: str) -> None:
    file(pytester, TWO)
    session(pytester, words).assert_outcomes(failed=1)
    assert len(schedules(pytester)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["fiber", "gate"])
def test_ctrl_c_ends_the_session(pytester: pytest.Pytester, engine: str) -> None:
    file(pytester, INTERRUPTED)
    done = in_a_process(pytester, f"--mmrace-engine={engine}")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in done.stdout.str() and "passed" not in done.stdout.str()
    assert schedules(pytester) == []


COUNT = """
import sys
def pytest_sessionfinish():
    names = [name for name in sys.modules if name.split(".")[0] in ("mmrace", "greenlet", "rich", "msgspec", "loguru")]
    print("imported", *sorted(names))
"""


@pytest.mark.slow
def test_a_session_that_does_not_use_it_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COUNT)
    pytester.makepyfile("def test_nothing(): pass")
    done = in_a_process(pytester, "-s", "-p", "no:xdist")
    assert "imported mmrace mmrace.plugin mmrace.plugin.hooks mmrace.version" in [
        line.lstrip(".") for line in done.outlines
    ]


@pytest.mark.slow
def test_a_function_needs_nothing_of_the_kernel_model(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(COUNT.replace("print(", "print([name for name in names if '.kernel' in name], "))
    file(pytester, TWO)
    done = in_a_process(pytester, "-s", "-k", "good")
    done.stdout.fnmatch_lines(["*[[][]] imported *"])


def test_the_help_of_the_marker_names_every_argument(pytester: pytest.Pytester) -> None:
    done = session(pytester, "--markers")
    done.stdout.fnmatch_lines([f"@pytest.mark.{HELP}"])
    assert [name for name in ARGUMENTS if f"{name}=" not in HELP] == []


@pytest.mark.slow
def test_mmrace_runs_where_there_is_no_pytest() -> None:
    code = "import sys; sys.modules['pytest'] = None; import mmrace, mmrace.cli; mmrace.explore; mmrace.replay"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_package_says_where_its_plugin_is() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'[project.entry-points.pytest11]\nmmrace = "{PLUGIN}"\n' in text
