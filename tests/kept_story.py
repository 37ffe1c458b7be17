"""From a race to its test, as somebody does it who has mmrace and pytest: found, kept, red, mended, green.

    python tests/kept_story.py FOLDER        in an empty folder, with the mmrace of this Python; raises where it differs

It imports nothing of the checkout; `make wheel-test` runs it on the wheel.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
from mmrace import runtime as rt

class Account(rt.Struct):
    balance = rt.shared(0)
    lock = rt.mutex()

def deposit(account):
    account.balance = account.balance + 1

def main(tasks=3):
    account = Account("account")
    for _ in range(tasks):
        rt.spawn(deposit, account)
    rt.join_others()
    assert account.balance == tasks
"""
RACY = "    account.balance = account.balance + 1\n"
MENDED = f"    rt.mutex_lock(account.lock)\n{RACY}    rt.mutex_unlock(account.lock)\n"
PLUGIN = """
import sys

def test_the_plugin_is_there_and_mmrace_is_left_as_it_is(explore):
    import mmrace.api
    assert "Rewriting" not in type(mmrace.api.__loader__).__name__
"""


def run(folder: Path, expected: int, *words: str) -> str:
    """Run a module of this Python; return what it printed.  Raises AssertionError for another exit code."""
    done = subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == expected, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tell(folder: Path) -> list[str]:
    """Live through the story in a folder; return its chapters."""
    program = folder / "deposits.py"
    program.write_text(PROGRAM, encoding="utf-8")
    options = "--schedules 50 --without data-race --jobs 1 --quiet --until-found"
    found = run(folder, 1, "mmrace", "explore", "deposits.py:main", *options.split())
    assert "AssertionError: assert account.balance == tasks" in found
    (finding,) = folder.glob(".mmrace/findings/*")
    assert "the same findings as recorded" in run(folder, 1, "mmrace", "replay", str(finding))
    kept = run(folder, 0, "mmrace", "keep", str(finding))
    assert "kept: test_deposits_main_assertionerror.py" in kept
    (folder / "test_plugin.py").write_text(PLUGIN, encoding="utf-8")
    red = run(folder, 1, "pytest", "-q")
    assert "1 failed, 1 passed" in red and "AssertionError: assert account.balance == tasks" in red
    program.write_text(PROGRAM.replace(RACY, MENDED), encoding="utf-8")
    assert "2 passed" in run(folder, 0, "pytest", "-q")
    return ["found", "replayed", "kept", "red", "mended", "green"]


if __name__ == "__main__":
    print(*tell(Path(sys.argv[1]).resolve()))
