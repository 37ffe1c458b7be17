"""The command line, run in this process: over what is installed, or whatever a test put in its place."""

from __future__ import annotations

import sys

import pytest

from mmrace import cli
from mmrace.search.pool import cores


def run(monkeypatch: pytest.MonkeyPatch, *words: str, program: str = "mmrace") -> int:
    """Run a command by its words; return the exit code.  The process stays on the cores that it has.

    Args: program: what the process was started as.
    """
    monkeypatch.setattr(cores, "pin", lambda engine: None)
    monkeypatch.setattr(sys, "argv", [program, *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code
