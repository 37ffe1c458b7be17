"""Files of a user's own: what they register can be used, once, and by name only."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmrace.installed import run_one
from mmrace.runs import loading
from mmrace.runs.spec import RunSpec
from mmrace.strategies import registry
from tests.search.explore.explorations import SMALL

MINE = """
from mmrace.strategies import registry
from mmrace.strategies.contract import Drawing, Registered, Unprofiled


class Oldest(Drawing):
    def pick(self, enabled, running, step):
        return min(enabled, key=lambda task: task.id)


STRATEGY = Registered("oldest", "the oldest task first", lambda options: Unprofiled(Oldest))
registry.register(Registered("oldest-again", "the same", lambda options: Unprofiled(Oldest), {"unused": 0}))
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give a file that registers two strategies, which are forgotten after the test."""
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return str(path)


def test_a_file_registers_its_strategy_and_whatever_else_it_likes(mine: str) -> None:
    before = registry.names()
    loading.load([mine])
    assert sorted({*registry.names()} - {*before}) == ["oldest", "oldest-again"]
    loading.load([mine])  # executed again, the names would be taken


def test_a_spec_names_the_file_of_its_strategy(mine: str) -> None:
    runs = [
        run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", strategy=text, load=(mine,)), keep_record=True)
        for text in ("oldest", "oldest-again:unused=1")
    ]
    first, second = (run.record for run in runs)
    assert first is not None and second is not None
    assert list(first.plain()) == list(second.plain()) and first.header["load"] == [mine]
