"""Stand-ins for runs that far workers make: importable by name, and quickly.  Those that misbehave say BUGGY."""

from __future__ import annotations

import os
import signal

from mmrace.runs.spec import RunResult, RunSpec

CULPRIT = 3  # the seed of a run that takes a process with it


def passing(spec: RunSpec, keep_record: bool) -> RunResult:
    return RunResult(spec, "PASS")


def crashing(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the process that makes the run crashes."""
    if spec.seed == CULPRIT:
        os.kill(os.getpid(), signal.SIGSEGV)
    return RunResult(spec, "PASS")


def killing_worker(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the Dask worker itself is killed."""
    if spec.seed == CULPRIT:
        os.kill(os.getppid(), signal.SIGKILL)
    return RunResult(spec, "PASS")
