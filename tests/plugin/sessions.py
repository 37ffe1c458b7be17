"""Sessions of pytest inside a test, with the plugin, whether or not this checkout is installed with it.

A session in this process forgets in the end what it imported.  So all of mmrace is imported before: a module that was
there twice would have two of each class.
"""

from __future__ import annotations

import importlib.metadata
import pkgutil
from pathlib import Path

import pytest

import mmrace

PLUGIN = "mmrace.plugin.hooks"
INSTALLED = any(entry.value == PLUGIN for entry in importlib.metadata.entry_points(group="pytest11"))
WORDS = ("--strict-markers", "-p", "no:cacheprovider", *(() if INSTALLED else ("-p", PLUGIN)))

HEAD = """
import pytest
from mmrace import runtime as rt

class Account(rt.Struct):
    balance: rt.Field[int] = rt.shared(0)
    lock = rt.mutex()

def deposit(account):
    account.balance = account.balance + 1

def locked(account):
    rt.mutex_lock(account.lock)
    deposit(account)
    rt.mutex_unlock(account.lock)

def play(add, times=2):
    account = Account("account")
    for _ in range(times):
        rt.spawn(add, account)
    rt.join_others()
    assert account.balance == times
"""

for module in pkgutil.walk_packages(mmrace.__path__, "mmrace."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)


def session(pytester: pytest.Pytester, *words: str, quiet: bool = True) -> pytest.RunResult:
    """Run the tests of the folder in this process; nothing of xdist, and no cache."""
    return pytester.runpytest_inprocess(*WORDS, "-p", "no:randomly", *["-q"] * quiet, *words)


def in_a_process(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run the tests of the folder in a process of its own: by those who end, or distribute, processes."""
    pytester.makeini("[pytest]\n")
    return pytester.runpytest_subprocess(*WORDS, "-q", *words)


def file(pytester: pytest.Pytester, text: str, name: str = "test_it") -> Path:
    """Write a file of tests; what it calls is in `HEAD`."""
    return pytester.makepyfile(**{name: HEAD + text})


def schedules(pytester: pytest.Pytester) -> list[Path]:
    """Return the files of the kept schedules."""
    return sorted(pytester.path.glob(".mmrace/schedules/*/*.json"))
