"""The shipped examples: each `main` has the bug that it shows, and each mended twin passes."""

from __future__ import annotations

from pathlib import Path

import pytest

import mmrace

EXAMPLES = Path(mmrace.__file__).parent / "examples"
SCHEDULES = 300
"""Of the queue: its standstill needs three tasks in one order; POS alone meets it in about one schedule of ten."""

BUGS = {
    "lost_update": {("data-race", "race"), ("exception", "AssertionError")},
    "two_locks": {("liveness", "cycle"), ("lock-order", "lock-order cycle")},
    "bounded_queue": {("liveness", "stuck")},
}


@pytest.mark.parametrize("name", BUGS)
def test_an_example_has_the_bug_that_it_shows(name: str) -> None:
    found = mmrace.explore(f"{EXAMPLES / name}.py:main", schedules=SCHEDULES)
    assert found.verdict == "FAIL"
    assert {(finding.oracle, finding.rule) for finding in found.findings} == BUGS[name]


@pytest.mark.parametrize("name", ["lost_update", "two_locks"])
def test_a_mended_example_passes_over_every_interleaving(name: str) -> None:
    found = mmrace.explore(f"{EXAMPLES / name}.py:mended", exhaustive=True)
    assert (found.verdict, found.exhaustive) == ("PASS", True)


def test_the_mended_queue_passes() -> None:
    assert mmrace.explore(f"{EXAMPLES / 'bounded_queue'}.py:mended", schedules=SCHEDULES).verdict == "PASS"


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__"} == set(BUGS)
