"""`--dask` and `--dask-tls`: what they take, and what they refuse."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from mmrace.cli import far
from mmrace.cli.explore import explore
from mmrace.cli.stress import stress
from mmrace.examples import lost_update
from mmrace.runtime.errors import UsageError
from mmrace.search.pool.fleet import Fleet

PROGRAM = f"{lost_update.__file__}:main"


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
