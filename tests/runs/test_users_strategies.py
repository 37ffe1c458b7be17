"""A user's wrong strategy is his error, named with file and line; one of mmrace's own is a bug of mmrace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmrace.installed import MAKERS, run_one
from mmrace.runs.spec import LoadedFile, RunSpec
from mmrace.runtime.errors import InternalError, UsageError
from mmrace.runtime.strategy import BaseStrategy, SteeredRun
from mmrace.runtime.task import Task
from mmrace.search.explore.walk import Walk
from mmrace.strategies import registry, users
from mmrace.strategies.contract import Registered, Unprofiled
from tests.runs.program_files import additions_forgotten
from tests.search.explore.explorations import SMALL

HEAD = """
from mmrace.runtime.strategy import BaseStrategy
from mmrace.runtime.task import Task
from mmrace.strategies.contract import Profiled, Registered, Standing, Unprofiled

class Mine(BaseStrategy):
"""
PICK = "    def pick(self, enabled, running, step):\n        return enabled[0]\n"
TAIL = """
class NoText(Exception):
    def __repr__(self):
        raise ValueError
    __str__ = __repr__

"""
TAIL += 'STRATEGY = Registered("mine", "mine", lambda options: Unprofiled(lambda draw: Mine()))\n'

WRONG_RUN = {
    "pick returns None": ("    def pick(self, enabled, running, step):\n        return None\n", "got None", 7),
    "pick returns nothing": ("    def pick(self, enabled, running, step):\n        pass\n", "got None", 7),
    "pick returns a number": ("    def pick(self, enabled, running, step):\n        return 0\n", "got 0", 7),
    "pick returns a task that has to wait": (
        "    def attach(self, run):\n        self.run = run\n"
        "    def pick(self, enabled, running, step):\n"
        "        return next((task for task in self.run.tasks if task not in enabled), enabled[0])\n",
        "which is not",
        9,
    ),
    "pick raises": ("    def pick(self, enabled, running, step):\n        return enabled[99]\n", "IndexError", 8),
    "pick exits": ("    def pick(self, enabled, running, step):\n        raise SystemExit(0)\n", "SystemExit", 8),
    "pick interrupts": (
        "    def pick(self, enabled, running, step):\n        raise KeyboardInterrupt\n",
        "Interrupt",
        8,
    ),
    "pick ends the process": (
        "    def pick(self, enabled, running, step):\n        __import__('os')._exit(0)\n",
        "ProcessEnded: os._exit(0)",
        8,
    ),
    "pick raises a base of exceptions": (
        "    def pick(self, enabled, running, step):\n        raise BaseException(3)\n",
        "BaseException: 3",
        8,
    ),
    "pick raises what has no text": (
        "    def pick(self, enabled, running, step):\n        raise NoText\n",
        "NoText: (its text cannot be made: ValueError)",
        8,
    ),
    "pick returns what has no text": (
        "    def pick(self, enabled, running, step):\n        return NoText()\n",
        "(the repr of a NoText cannot be made: ValueError)",
        7,
    ),
    "pick takes another number of arguments": ("    def pick(self):\n        return None\n", "TypeError", 7),
    "there is no pick": ("    pass\n", "AttributeError", None),
    "choose is out of range": (
        PICK + "    def choose(self, task, n, step):\n        return n\n",
        "a number from 0 to",
        9,
    ),
    "choose is below the range": (PICK + "    def choose(self, task, n, step):\n        return -1\n", "got -1", 9),
    "choose returns None": (PICK + "    def choose(self, task, n, step):\n        pass\n", "got None", 9),
    "choose raises": (PICK + "    def choose(self, task, n, step):\n        return 1 // 0\n", "ZeroDivision", 10),
    "attach raises": (PICK + "    def attach(self, run):\n        run.x.y\n", "AttributeError", 10),
    "finish raises": (PICK + "    def finish(self):\n        assert False\n", "AssertionError", 10),
}


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what the test registers."""
    additions_forgotten(monkeypatch)


def refused(path: Path, text: str, line: int | None, got: str, engine: str) -> None:
    """Assert that a run under a user's strategy is his error, at a line of his file."""
    path.write_text(text)
    MAKERS.load([LoadedFile(str(path))])
    spec = RunSpec("migrate-vs-write-error", SMALL, strategy="mine", load=(LoadedFile(str(path)),), engine=engine)
    with pytest.raises(UsageError) as caught:
        run_one(spec)
    assert got in str(caught.value)
    found = re.search(rf"\({re.escape(str(path))}, line (\d+)\)", caught.value.where)
    assert (int(found[1]) if found else None) == line


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("engine", ["fiber", "gate"])
@pytest.mark.parametrize("wrong", WRONG_RUN)
def test_what_a_users_strategy_does_wrong_is_his_error_at_its_line(tmp_path: Path, wrong: str, engine: str) -> None:
    body, got, line = WRONG_RUN[wrong]
    refused(tmp_path / "mine.py", HEAD + body + TAIL, line, got, engine)


WRONG_SAMPLER = {
    "make raises": ('STRATEGY = Registered("mine", "mine", lambda options: options["no"])', "KeyError"),
    "make makes nothing": ('STRATEGY = Registered("mine", "mine", lambda options: None)', "AttributeError"),
    "the sampler makes nothing": (
        'STRATEGY = Registered("mine", "mine", lambda options: Unprofiled(lambda draw: None))', "AttributeError",
    ),
    "the sampler raises": (
        'STRATEGY = Registered("mine", "mine", lambda options: Profiled(lambda draw, profile: profile.no))',
        "AttributeError",
    ),
    "a mix has no members": (
        'STRATEGY = Registered("mine", "mine", lambda options: None, kind="mix")', "AttributeError",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("wrong", WRONG_SAMPLER)
def test_what_a_users_sampler_does_wrong_is_his_error(tmp_path: Path, wrong: str) -> None:
    text, got = WRONG_SAMPLER[wrong]
    path = tmp_path / "mine.py"
    path.write_text(HEAD + PICK + text)
    MAKERS.load([LoadedFile(str(path))])
    with pytest.raises(UsageError, match=got):
        run_one(RunSpec("async-vs-commit", SMALL, strategy="mine", load=(LoadedFile(str(path)),), engine="fiber"))


WALK = """
class Walk:
    def __init__(self): self.left = 3
    def next(self):
        self.left -= 1
        return Mine() if self.left >= 0 else None
    def learn(self, engine): pass
    def standing(self): return Standing(self.left < 0)

STRATEGY = Registered("mine", "mine", lambda options: Walk(), kind="walk")
"""
WRONG_WALK = {
    "next raises": ("self.left -= 1", "1 // 0", "ZeroDivisionError"),
    "learn raises": ("def learn(self, engine): pass", "def learn(self, engine): engine.no", "AttributeError"),
    "standing is none": ("return Standing(self.left < 0)", "return None", "a Standing"),
    "a strategy of it is none": ("return Mine()", "return 7", "BaseStrategy"),
}


def explore(path: Path) -> int:
    """Walk; return how many runs there were."""
    spec = RunSpec("async-vs-commit", SMALL, strategy="mine", load=(LoadedFile(str(path)),), engine="fiber")
    return sum(1 for _ in Walk(MAKERS.program(spec), spec, registry.walk("mine")))


@pytest.mark.usefixtures("forgotten")
def test_a_users_walk_is_walked(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + PICK + WALK)
    MAKERS.load([LoadedFile(str(path))])
    assert explore(path) == 3


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("wrong", WRONG_WALK)
def test_what_a_users_walk_does_wrong_is_his_error(tmp_path: Path, wrong: str) -> None:
    old, new, got = WRONG_WALK[wrong]
    path = tmp_path / "mine.py"
    path.write_text(HEAD + PICK + WALK.replace(old, new))
    MAKERS.load([LoadedFile(str(path))])
    with pytest.raises(UsageError, match=got):
        explore(path)


SWALLOWS = """
from mmrace import runtime as rt

class Cell(rt.Struct):
    value = rt.shared(0)

def main():
    cell = Cell("cell")
    def add():
        try:
            cell.value += 1
        except Exception:
            pass
    rt.spawn(add)
    rt.spawn(add)
    rt.join_others()
"""


@pytest.mark.usefixtures("forgotten")
def test_a_program_that_swallows_every_exception_hides_no_wrong_strategy(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SWALLOWS)
    path = tmp_path / "mine.py"
    path.write_text(HEAD + "    def pick(self, enabled, running, step):\n        return enabled[9]\n" + TAIL)
    MAKERS.load([LoadedFile(str(path))])
    with pytest.raises(UsageError, match="IndexError"):
        run_one(RunSpec(f"{tmp_path}/program.py:main", maker="function", engine="fiber", strategy="mine"))


class Broken(BaseStrategy):
    """BUGGY: answers with a task that has to wait."""

    def attach(self, run: SteeredRun) -> None:
        self.run = run

    def pick(self, enabled: list[Task], running: Task, step: int) -> Task:
        return next((task for task in self.run.tasks if task not in enabled), enabled[0])


@pytest.mark.usefixtures("forgotten")
def test_a_wrong_strategy_of_mmraces_own_stays_a_bug_of_mmrace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "__module__", "mmrace.strategies.broken")
    registry.register(Registered("broken", "broken", lambda options: Unprofiled(lambda draw: Broken())))
    monkeypatch.setattr(registry, "_OWN", registry._OWN | {"broken"})
    assert isinstance(users.watched(Broken()), Broken)
    with pytest.raises(InternalError, match=r"which is not enabled|disabled op"):
        run_one(RunSpec("async-vs-commit", SMALL, engine="fiber", strategy="broken"))
