"""Workloads: what is loaded, what is refused and why, and how much of an order was kept."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.scenarios.workload import KINDS, SCHEMA, Action, Workload, order_kept, packaged
from tests.scenarios.workloads import TINY, changed, tiny


def refused(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        Workload.parse(text, "a test")
    assert caught.value.where.startswith("a test")
    return caught.value


# -- loading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", packaged())
def test_packaged_workloads_load_by_name(name: str) -> None:
    workload = Workload.load(name)
    assert workload.name == name and workload.source
    assert set(workload.counts()) <= set(KINDS)
    assert sum(workload.counts().values()) == len(workload.actions)


def test_a_workload_loads_by_path_as_by_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    assert Workload.load(str(path)) == tiny()
    bare = tmp_path / "mine"
    path.rename(bare)
    assert Workload.load(str(bare)) == tiny()


def test_what_is_loaded_is_what_is_written() -> None:
    workload = tiny()
    assert workload.pages == (2, 2)
    assert workload.actions[0] == Action("dirty", 0, 5, page=0, buffers=(0, 1))
    assert workload.actions[2] == Action("commit", 2000, 2600)
    assert workload.actions[5].mode == "MIGRATE_SYNC"
    assert workload.counts() == {"dirty": 2, "migrate": 2, "commit": 1, "writeback": 1, "reclaim": 1}


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        Workload.load("no-such-workload")
    assert all(name in caught.value.expected for name in packaged())


@pytest.mark.parametrize("name", ["missing.json", "folder.json", "latin1.json"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "latin1.json").write_bytes(b'{"name": "caf\xe9"}')
    with pytest.raises(UsageError) as caught:
        Workload.load(str(tmp_path / name))
    assert caught.value.expected == "a readable workload file"


# -- malformed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "JSONDecodeError"),
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ("3", "TypeError"),
        ("{}", "KeyError: 'schema'"),
        (changed({"actions": None}), "KeyError: 'actions'"),
        (changed({"pages": None}), "KeyError: 'pages'"),
        (changed({"name": None}), "KeyError: 'name'"),
        (changed({"source": None}), "KeyError: 'source'"),
        (changed({"actions": 5}), "TypeError"),
        (changed({"pages": [3]}), "TypeError"),
        (changed({"pages": [{}]}), "KeyError: 'buffers'"),
        (changed({"pages": [{"buffers": "two"}]}), "ValueError"),
        (changed(action=(0, {"do": None})), "KeyError: 'do'"),
        (changed(action=(0, {"begin_us": None})), "KeyError: 'begin_us'"),
        (changed(action=(0, {"end_us": "soon"})), "ValueError"),
        (changed(action=(0, {"page": [1]})), "TypeError"),
        (changed(action=(0, {"buffers": 1})), "TypeError"),
        (changed(action=(0, {"buffers": ["first"]})), "ValueError"),
    ],
)
def test_what_is_no_workload_is_refused_with_its_error(text: str, got: str) -> None:
    error = refused(text)
    assert str(error.got).startswith(got) and SCHEMA in error.expected
    assert "ktrace_workload" in error.try_


def test_another_schema_is_refused() -> None:
    error = refused(changed({"schema": "mmrace-workload/0"}))
    assert (error.expected, error.got) == (SCHEMA, "mmrace-workload/0")


@pytest.mark.parametrize(
    ("number", "change", "got"),
    [
        (0, {"do": "truncate"}, "unknown deed 'truncate'"),
        (3, {"end_us": 2099}, "ends before it begins"),
        (0, {"begin_us": -1}, "out of order"),
        (4, {"begin_us": 2050}, "out of order"),
        (1, {"page": 2}, "page 2 of 2"),
        (1, {"page": -1}, "page -1 of 2"),
        (0, {"page": None}, "page -1 of 2"),
        (3, {"page": None}, "page -1 of 2"),
        (6, {"page": None}, "page -1 of 2"),
        (2, {"page": 0}, "page 0 of 2"),
        (0, {"buffers": [0, 2]}, "buffers (0, 2)"),
        (0, {"buffers": [-1]}, "buffers (-1,)"),
        (1, {"mode": None}, "mode ''"),
        (5, {"mode": "MIGRATE_NOW"}, "mode 'MIGRATE_NOW'"),
    ],
)
def test_an_inconsistent_action_is_refused_by_number(number: int, change: dict[str, Any], got: str) -> None:
    error = refused(changed(action=(number, change)))
    assert error.got == got
    assert error.where == f"a test: action {number}"


@pytest.mark.parametrize("top", [{"actions": []}, {"actions": [], "pages": []}])
def test_an_empty_workload_is_refused(top: dict[str, Any]) -> None:
    assert refused(changed(top)).expected == "at least one page and one action"


# -- order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_pairs_kept_are_those_of_a_count_by_hand(seed: int) -> None:
    draw = random.Random(seed)
    actions = draw.randrange(1, 40)
    begun = draw.sample(range(actions), draw.randrange(actions + 1))
    pairs = [(a, b) for i, a in enumerate(begun) for b in begun[i + 1 :]]
    assert order_kept(begun, actions) == (sum(a < b for a, b in pairs), len(pairs))


def test_the_recorded_order_is_kept_whole_and_its_reverse_not_at_all() -> None:
    assert order_kept(list(range(9)), 9) == (36, 36)
    assert order_kept(list(reversed(range(9))), 9) == (0, 36)
    assert order_kept([], 9) == (0, 0)


@pytest.mark.parametrize("begun", [[0, 3], [-1]])
def test_an_action_that_is_not_in_the_workload_is_an_error(begun: list[int]) -> None:
    with pytest.raises(ValueError, match="of 3"):
        order_kept(begun, 3)
