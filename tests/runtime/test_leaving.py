"""Code that would end the whole process raises instead, and only where it is code of a user's."""

from __future__ import annotations

import os
import posix
import subprocess
import sys

import pytest

from mmrace.runtime import leaving
from mmrace.runtime.leaving import WAYS, ProcessEnded, kept


@pytest.fixture(autouse=True)
def _as_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever tests with Ctrl-C left: it may have fallen into the end of a block."""
    monkeypatch.setattr(kept, "_depth", 0)
    for way in WAYS:
        monkeypatch.setattr(os, way, getattr(posix, way))


@pytest.mark.parametrize("way", ["_exit", "execl", "execvp", "execve"])
def test_who_leaves_the_process_inside_raises_instead(way: str) -> None:
    args: dict[str, tuple[object, ...]] = {
        "_exit": (0,),
        "execve": ("/bin/true", ["true"], {}),
        "execvp": ("/bin/true", ["true"]),
    }
    with kept, pytest.raises(ProcessEnded, match=r"^os\._?ex.*\(.*\) ends the whole process$"):
        getattr(os, way)(*args.get(way, ("/bin/true", "true")))


def test_outside_and_after_an_inner_block_all_is_as_it_was() -> None:
    before = [getattr(os, way) for way in WAYS]
    with kept:
        with kept:
            pass
        assert all(getattr(os, way) is not leave for way, leave in zip(WAYS, before, strict=True))
    assert [getattr(os, way) for way in WAYS] == before


def test_ctrl_c_while_a_block_begins_leaves_no_later_block_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str, leave: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(leaving, "_refusing", interrupted)
        with pytest.raises(KeyboardInterrupt), kept:
            pass
    with kept, pytest.raises(ProcessEnded):
        os._exit(0)


def test_a_child_that_was_forked_inside_leaves() -> None:
    with kept:
        child = os.fork()
        if not child:
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def test_what_a_file_imports_inside_goes_on_to_refuse() -> None:
    names: dict[str, object] = {}
    with kept:
        exec("from os import _exit", names)
    with pytest.raises(ProcessEnded):
        names["_exit"](0)  # type: ignore[operator]


TIMED = """
import os, threading
from mmrace.runtime.leaving import kept
with kept:
    threading.Timer(0, lambda: os._exit(3)).start()
    threading.Event().wait()
"""


@pytest.mark.slow
def test_a_timer_leaves_since_it_is_a_watchdog() -> None:
    assert subprocess.run([sys.executable, "-c", TIMED], check=False).returncode == 3
