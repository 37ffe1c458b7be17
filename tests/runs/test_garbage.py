"""A run of the kernel model, played, judged and released, leaves nothing to the garbage collector."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mmrace.installed import run_one
from mmrace.runs.spec import RunSpec
from tests.garbage import garbage
from tests.scenarios.staged import gate_spec

SHORT = {"pages": 1, "buffers": 1, "words": 1, "rounds": 1, "migrations": 1, "passes": 3}
SEED = 3
SPECS = {
    "pass": (gate_spec("async-vs-commit", SEED, **SHORT), "PASS"),
    "fail": (gate_spec("async-vs-commit", SEED, "double-put", **SHORT), "FAIL"),
}


def verdict_of(spec: RunSpec) -> str:
    """Do a run and let go of it."""
    return str(run_one(spec).verdict)


@pytest.mark.parametrize("strategy", ["random", "pct"])
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("engine", ["fiber", "gate"])
def test_a_run_leaves_no_garbage(engine: str, name: str, strategy: str) -> None:
    spec, verdict = SPECS[name]
    spec = replace(spec, engine=engine, strategy=strategy)
    assert verdict_of(spec) == verdict  # and what is made once a process is there
    assert garbage(lambda: verdict_of(spec)) == 0
