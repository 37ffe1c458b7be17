"""The text of a kept test is Python, short, and named after what it keeps."""

from __future__ import annotations

import ast

import pytest

from mmrace.report import kept_test
from mmrace.runs.schedule import KeptSchedule
from mmrace.runs.spec import RunSpec
from mmrace.strategies.guided import Preemption

TITLES = ['ends in """ and \\ and\nmore', "x" * 900, 'a "quoted" \x1b[31m one', ""]


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("variant", ["", "double-put"])
def test_whatever_a_title_has_in_it_the_test_is_python_with_short_lines(title: str, variant: str) -> None:
    turns = (Preemption("a", "f:x", 1, "b"),)
    spec = RunSpec("a/b.py:main", (("n", 2),), variant)
    schedule = KeptSchedule(spec, "0" * 12, "data-race", "race", title, turns, ())
    text = kept_test.text(schedule, "it")
    assert ast.get_docstring(ast.parse(text))
    assert all(len(line) <= 120 or "xxx" in line for line in text.splitlines())
    assert text.count('"""') == 2


@pytest.mark.parametrize(
    ("spec", "rule", "name"),
    [
        (RunSpec("dir/dep-osits.py:main", maker="function"), "race", "dep_osits_main_race"),
        (RunSpec("pack.mod:Case.run", maker="function"), "lock-order cycle", "mod_case_run_lock_order_cycle"),
        (RunSpec("async-vs-commit", variant="async-backout"), "unlock by a stranger",
         "async_backout_unlock_by_a_stranger"),
        (RunSpec("async-vs-commit"), "stuck", "async_vs_commit_stuck"),
    ],
)  # fmt: skip
def test_a_name_says_the_program_and_the_rule(spec: RunSpec, rule: str, name: str) -> None:
    assert kept_test.name_of(KeptSchedule(spec, "0" * 12, "o", rule, "t", (), ())) == name
