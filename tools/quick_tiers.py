"""Run the quick tests under further Pythons of this machine, each in an environment of its own that goes afterwards.

    python tools/quick_tiers.py [--newest]

With --newest, as `.ci/run` has it: under the newest of them only, and of the tests those of what is nearest to the
interpreter.  The night has all under each.

Exit code: 1 if tests failed, else 0.  A Python that cannot be used is named, and why; so is one that was left out.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.pythons import Found, others

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", "-m", "not slow")
NEAREST = tuple(f"tests/{name}" for name in ("runtime", "runs", "strategies", "search", "plugin", "cli"))
"""Threads, fibers, processes, pickles, command lines: half of the quick tests.  A judge or a claim is plain Python."""


def chosen(found: Sequence[Found], newest: bool) -> list[Found]:
    """Return those that can be used: all, or the last one, which is the newest."""
    usable = [python for python in found if python.executable is not None]
    return usable[-1:] if newest else usable


def passes(executable: str, places: Sequence[str] = ()) -> bool:
    """Install mmrace into a fresh environment of a Python, and run the quick tests there, or those of some places."""
    with tempfile.TemporaryDirectory() as away:
        own = str(Path(away, "venv", "bin", "python"))
        commands = (
            [executable, "-m", "venv", str(Path(away, "venv"))],
            [own, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "-e", ".[test]"],
            [own, *QUICK, *places],
        )
        return all(subprocess.run(command, cwd=ROOT, check=False).returncode == 0 for command in commands)


def main(arguments: Sequence[str]) -> int:
    """Run them, and say what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--newest", action="store_true", help="only under the newest")
    found = list(others(os.environ))
    newest = parser.parse_args(arguments).newest
    run = chosen(found, newest)
    failed = []
    for python in found:
        if python in run:
            print(f"== {python.name}", flush=True)
            if not passes(str(python.executable), NEAREST if newest else ()):
                failed.append(python.name)
        else:
            print(f"{python.name} left out: {python.why or 'not the newest; the night has it'}", flush=True)
    if failed:
        print(f"quick tests failed under {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
