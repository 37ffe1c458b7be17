"""The fixture `follow`: what a kept test calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

import mmrace
from mmrace.examples import lost_update
from mmrace.runs.schedule import KeptSchedule
from tests.plugin.sessions import file, session


@pytest.fixture
def kept(pytester: pytest.Pytester) -> KeptSchedule:
    """Give a kept schedule of an example, in the folder of the tests."""
    found = mmrace.explore(lost_update.main, exhaustive=True, without=["data-race"], folder=pytester.path / "found")
    schedule = KeptSchedule.of_minimal(mmrace.minimise(found.records[found.findings[0].signature], runs=60))
    schedule.write(pytester.path / "it.json")
    return schedule


def test_it_fails_with_what_the_schedule_was_kept_for(pytester: pytest.Pytester, kept: KeptSchedule) -> None:
    file(pytester, "def test_kept(follow):\n    follow('it.json')\n")
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"*[[]{kept.signature}[]]", "exception: AssertionError", "found by schedule it.json*"])


def test_it_passes_and_returns_what_came(pytester: pytest.Pytester, kept: KeptSchedule) -> None:
    text = (pytester.path / "it.json").read_text(encoding="utf-8")
    (pytester.path / "it.json").write_text(text.replace("lost_update:main", "lost_update:mended"), encoding="utf-8")
    file(
        pytester,
        "def test_kept(follow):\n    done = follow('it.json', near=9, engine='gate')\n    assert done.near == 9\n",
    )
    session(pytester).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("'no.json'", "*no.json: expected a readable record file, got 'no such file'*"),
        ("'it.json', near=-1", "*replay(near=): expected a whole number, 0 or more, got -1*"),
        ("'it.json', variant='double-put'", "*expected no --variant: a function has none*"),
    ],
)
def test_a_wrong_call_fails_in_one_line(pytester: pytest.Pytester, kept: KeptSchedule, call: str, says: str) -> None:
    file(pytester, f"def test_kept(follow):\n    follow({call})\n")
    done = session(pytester)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"mmrace: {says}"])


def test_without_the_plugin_it_is_an_error_and_not_green(pytester: pytest.Pytester, kept: KeptSchedule) -> None:
    file(pytester, "def test_kept(follow):\n    follow('it.json')\n")
    done = pytester.runpytest_inprocess("-p", "no:mmrace", "-p", "no:mmrace.plugin.hooks", "-p", "no:cacheprovider")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*fixture 'follow' not found*"])


def test_a_file_of_another_program_is_refused_by_name(pytester: pytest.Pytester, kept: KeptSchedule) -> None:
    other = KeptSchedule(replace(kept.spec, program="else.py:main"), "0" * 12, "o", "r", "t", (), ())
    other.write(pytester.path / "other.json")
    file(pytester, "def test_kept(follow):\n    follow('it.json')\n")
    done = session(pytester, "--mmrace-replay=other.json")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["mmrace: --mmrace-replay=other.json: *got 'one of another program, *else.py:main'*"])
    done = session(pytester, "--mmrace-replay=it.json")
    done.stdout.fnmatch_lines(["exception: AssertionError", "found by schedule it.json*"])
