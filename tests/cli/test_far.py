"""`--dask` and `--dask-tls`: what they take, and what they refuse."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmrace.cli import far
from mmrace.cli.explore import explore
from mmrace.cli.stress import stress
from mmrace.examples import lost_update
from mmrace.runtime.errors import UsageError
from mmrace.search.pool.fleet import Fleet
from tests.cli.processes import ROOT

PROGRAM = f"{lost_update.__file__}:main"
KILLED_AT_START = """
import os, signal
from multiprocessing.process import BaseProcess
start = BaseProcess.start
def started(process):
    start(process)
    os.kill(os.getpid(), signal.SIGKILL)
BaseProcess.start = started
from mmrace import cli
cli.main()
"""
"""The command line, killed when its worker has just been started, and is a second or two from running."""


@pytest.mark.parametrize(
    ("text", "fleet"),
    [
        ("local:2", Fleet(local=2)),
        ("tcp://head:8786", Fleet("tcp://head:8786")),
        ("tls://10.0.0.1:1", Fleet("tls://10.0.0.1:1")),
        ("head:8786", Fleet("head:8786")),
    ],
)
def test_a_fleet_is_a_scheduler_or_so_many_workers_here(text: str, fleet: Fleet) -> None:
    assert far._fleet(None, None, text) == fleet  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["local:0", "local:65", "local:", "local:two", "head", "tcp://head", "tcp://:1", ""])
def test_what_is_neither_is_refused_with_what_it_could_be(text: str) -> None:
    with pytest.raises(UsageError, match="local:2, for two workers of this machine; or tcp://HOST:8786"):
        far._fleet(None, None, text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dask", "local:2", "--jobs", "2"], "no --jobs with --dask"),
        (["--dask", "local:2", "--dask-tls", "a,b,c"], "listens on this machine only"),
        (["--dask-tls", "a,b,c"], "--dask beside it"),
        (["--dask", "head:1", "--dask-tls", "a,b"], "three files"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_begins(options: list[str], told: str) -> None:
    for command in (stress, explore):
        raised = CliRunner().invoke(command, [PROGRAM, *options]).exception
        assert isinstance(raised, UsageError) and told in str(raised)


def test_a_walk_is_made_in_one_process() -> None:
    raised = CliRunner().invoke(explore, [PROGRAM, "--exhaustive", "--dask", "local:2"]).exception
    assert isinstance(raised, UsageError) and "a strategy that draws schedules" in str(raised)


def test_without_dask_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r'pip install "mmrace\[dask\]"'):
        far.of(Fleet(local=2), None, None)


@pytest.mark.slow
@pytest.mark.timeout(300)  # a worker of Dask is started, on a machine that has much to do
def test_a_cluster_of_its_own_ends_with_a_client_that_is_killed_while_its_worker_starts(tmp_path: Path) -> None:
    """Whoever it started has its standard output, which is read to the end."""
    pytest.importorskip("distributed")
    words = ("stress", PROGRAM, "--runs", "9", "--dask", "local:1", "--store", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_START, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL and "Traceback" not in done.stderr
