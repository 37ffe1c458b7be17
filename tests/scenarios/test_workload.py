"""Workloads: what is loaded, what is refused and why, and how much of an order was kept."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from mmrace.runtime.errors import UsageError
from mmrace.scenarios import workload
from mmrace.scenarios.workload import ACTIONS_MAX, KINDS, PAGES_MAX, SCHEMA, Action, Workload, order_kept, packaged
from tests.scenarios.workloads import TINY, changed, tiny


def refused(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        Workload.parse(text.encode(), "a test")
    assert caught.value.where.startswith("a test")
    return caught.value


# -- loading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", packaged())
def test_packaged_workloads_load_by_name(name: str) -> None:
    loaded = Workload.load(name)
    assert loaded.name == name and loaded.source
    assert set(loaded.counts()) <= set(KINDS)
    assert sum(loaded.counts().values()) == len(loaded.actions)


def test_a_workload_loads_by_path_as_by_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    assert Workload.load(str(path)) == tiny()
    bare = tmp_path / "mine"
    path.rename(bare)
    assert Workload.load(str(bare)) == tiny()


def test_what_is_loaded_is_what_is_written() -> None:
    made = tiny()
    assert made.pages == (2, 2)
    assert made.actions[0] == Action("dirty", 0, 5, page=0, buffers=(0, 1))
    assert made.actions[2] == Action("commit", 2000, 2600)
    assert made.actions[5].mode == "MIGRATE_SYNC"
    assert made.counts() == {"dirty": 2, "migrate": 3, "commit": 1, "writeback": 1, "reclaim": 1, "read": 1}


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
    assert caught.value.where == str(tmp_path / name)


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".json", "a\0b", "a\0b.json", "../../data/ext3-k61"])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        Workload.load(name)


def test_a_fifo_and_a_file_beyond_the_limit_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "large.json").write_text(json.dumps(TINY))
    monkeypatch.setattr(workload, "BYTES_MAX", 100)
    for name in ("fifo.json", "large.json"):
        with pytest.raises(UsageError) as caught:
            Workload.load(str(tmp_path / name))
        assert "regular" in str(caught.value) or "larger" in str(caught.value)


# -- malformed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "truncated"),
        ("{", "truncated"),
        ("[]", "got `array`"),
        ("3", "got `int`"),
        ("{}", "missing required field `schema`"),
        (changed({"actions": None}), "missing required field `actions`"),
        (changed({"pages": None}), "missing required field `pages`"),
        (changed({"name": None}), "missing required field `name`"),
        (changed({"source": None}), "missing required field `source`"),
        (changed({"actions": 5}), "$.actions"),
        (changed({"pages": [3]}), "$.pages[0]"),
        (changed({"pages": [{}]}), "missing required field `buffers` - at `$.pages[0]`"),
        (changed({"pages": [{"buffers": "two"}]}), "$.pages[0].buffers"),
        (changed({"pages": [{"buffers": 10**30}]}), "$.pages[0].buffers"),
        (changed({"pages": [{"buffers": 0}]}), "$.pages[0].buffers"),
        (changed(action=(0, {"do": None})), "missing required field `do` - at `$.actions[0]`"),
        (changed(action=(0, {"begin_us": None})), "missing required field `begin_us` - at `$.actions[0]`"),
        (changed(action=(0, {"begin_us": -1})), "$.actions[0].begin_us"),
        (changed(action=(0, {"end_us": 10**30})), "$.actions[0].end_us"),
        (changed(action=(0, {"end_us": "soon"})), "$.actions[0].end_us"),
        (changed(action=(0, {"page": [1]})), "$.actions[0].page"),
        (changed(action=(0, {"buffers": 1})), "$.actions[0].buffers"),
        (changed(action=(0, {"buffers": ["first"]})), "$.actions[0].buffers[0]"),
        (changed({"pages": [{"buffers": 2}] * (PAGES_MAX + 1)}), "$.pages"),
        (changed({"actions": [TINY["actions"][0]] * (ACTIONS_MAX + 1)}), "$.actions"),
        ('{"source": ' + "[" * 100_000 + "]" * 100_000 + "}", "recursion"),
        ('{"schema": NaN}', "invalid character"),
    ],
)
def test_what_is_no_workload_is_refused_with_its_error(text: str, got: str) -> None:
    error = refused(text)
    assert got in str(error.got) and SCHEMA in error.expected
    assert "ktrace_workload" in error.try_


def test_another_schema_is_refused() -> None:
    error = refused(changed({"schema": "mmrace-workload/0"}))
    assert (error.expected, error.got) == (SCHEMA, "mmrace-workload/0")


@pytest.mark.parametrize(
    ("number", "change", "got"),
    [
        (0, {"do": "truncate"}, "unknown deed 'truncate'"),
        (3, {"end_us": 2099}, "ends before it begins"),
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
