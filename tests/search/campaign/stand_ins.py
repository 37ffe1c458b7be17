"""Stand-ins for one run, and a catalogue of them: importable by name, as workers need.

What a stand-in does depends on its spec, and on what an environment variable points it to: worker processes inherit
the environment.  Those that misbehave say BUGGY.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mmrace.oracles.general.judgement import Finding
from mmrace.runs.conversion import FOLLOWED, Conversion
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import InternalError, NondeterminismError, UsageError
from mmrace.runtime.param import Number, Parameters, Text
from mmrace.runtime.record import Record
from mmrace.search.catalogue import Catalogue
from mmrace.strategies import registry, retrace

SCRATCH = "MMRACE_TEST_SCRATCH"
"""Folder in which stand-ins leave word of what they did."""


PARAMS = Parameters(
    "a stand-in", (Number("pages", 1, 1, 9, says="pages of the file"), Text("mode", "sync", says="how it migrates"))
)


@dataclass(frozen=True)
class StandInScenario:
    name: str
    title: str = "a stand-in"
    params: Parameters = field(default_factory=lambda: PARAMS)
    marks: tuple[str, ...] = ("seen", "never seen")
    variations: tuple[Mapping[str, int | str], ...] = ({},)
    needs_workload: bool = False
    maker: str = "scenario"
    digest: str = ""

    def merged(self, params: Mapping[str, int | str]) -> Mapping[str, int | str]:
        return self.params.merged(params)

    def typed(self, texts: Mapping[str, str]) -> Mapping[str, int | str]:
        return self.params.typed(texts)


@dataclass(frozen=True)
class StandInCanary:
    name: str
    title: str = "a planted bug"
    scenario: str = "alpha"
    params: Mapping[str, int | str] = field(default_factory=dict)
    noise: str = "off"
    cap_runs: int = 10  # 0: never measured
    oracle: str = "content"

    def params_under(self, engine: str) -> Mapping[str, int | str]:
        return self.params

    def cap_under(self, engine: str) -> int:
        if not self.cap_runs:
            raise UsageError(expected="a rate", got="none", try_="measure it")
        return self.cap_runs

    def caught_in(self, findings: Iterable[Finding]) -> bool:
        return any(finding.oracle == self.oracle for finding in findings)


def stand_in_catalogue(*canaries: StandInCanary, workloads: tuple[str, ...] = ()) -> Catalogue:
    made = [StandInScenario("alpha"), StandInScenario("beta"), StandInScenario("played", needs_workload=True)]
    return Catalogue(
        scenarios={scenario.name: scenario for scenario in made},
        canaries={canary.name: canary for canary in canaries},
        noise={"off": "no delays", "loud": "delays", "louder": "more delays"},
        workloads=workloads,
        strategies=tuple(registry.entries()),
        eras={"early": "before all that", "now": "the model itself"},
        era="now",
    )


def record_of(spec: RunSpec) -> Record:
    return Record({"engine": spec.engine, "seed": spec.seed}, [], table={}, tasks=[])


def note(spec: RunSpec, kind: str) -> int:
    """Leave word of a run; return how many times this spec has been noted."""
    path = Path(os.environ[SCRATCH]) / f"{kind}-{spec.program}-{spec.variant}-{spec.seed}"
    with open(path, "a", encoding="utf-8") as out:
        out.write("x")
    return path.stat().st_size


def passing(spec: RunSpec, keep_record: bool) -> RunResult:
    """Pass, and find every canary at its third run."""
    if SCRATCH in os.environ:
        note(spec, "run")
    counters = {"migrations.tried": 2, "migrations.moved": 1, "migrations.refused.page-lock": 1}
    if spec.workload:
        counters |= {"workload.commit.recorded": 4, "workload.commit.performed": 3}
        counters |= {"workload.pairs": 6, "workload.pairs_kept": 5}
    return RunResult(spec, "PASS", ops=10, switches=3, seconds=0.0001, counters=counters, marks={"seen": 1})


def failing(spec: RunSpec, keep_record: bool, oracle: str = "content", signature: str = "abc123") -> RunResult:
    """Fail every run with one signature."""
    if SCRATCH in os.environ:
        note(spec, "run")
    finding = Finding(oracle, "word went back", "page 4 shows an old word", {"expected": 2, "got": 1}, signature)
    return RunResult(spec, "FAIL", [finding], ops=10, seconds=0.0001, record=record_of(spec))


def made_again(free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
    """Make each failure of free threads again under control."""
    spec = replace(free.spec, engine="fiber", strategy=retrace.text(""))
    told = Conversion(FOLLOWED, 9, 10, replayed=5)
    made = replace(free, spec=spec, record=record_of(spec), free=free.record, conversion=told)
    return dict.fromkeys(wanted, made)


def breaking_when_made_again(free: RunResult, wanted: Collection[str], *, search: bool) -> Mapping[str, RunResult]:
    """BUGGY: the harness itself breaks."""
    raise ZeroDivisionError("nobody expected this")


def failing_on_canaries(spec: RunSpec, keep_record: bool, breaking: object = None) -> RunResult:
    """Fail what has a variant, pass the rest; nothing is stopped in a debugger."""
    return failing(spec, keep_record) if spec.variant else passing(spec, keep_record)


def failing_otherwise_on_canaries(spec: RunSpec, keep_record: bool) -> RunResult:
    """Fail what has a variant, but by an oracle that no canary names."""
    return failing(spec, keep_record, oracle="ledger") if spec.variant else passing(spec, keep_record)


def failing_on_the_third(spec: RunSpec, keep_record: bool) -> RunResult:
    """Find a canary when its runs so far are two; they come in order, whatever the worker."""
    if not spec.variant:
        return passing(spec, keep_record)
    note(spec, "canary")
    seen = len(list(Path(os.environ[SCRATCH]).glob(f"canary-*-{spec.variant}-*")))
    return failing(spec, keep_record) if seen == 3 else passing(spec, keep_record)


def unknowing(spec: RunSpec, keep_record: bool) -> RunResult:
    """Judge nothing."""
    return RunResult(spec, "UNKNOWN", unknown={"content": "nothing to check"})


def killed_once(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the process crashes the first time that an eighth of the specs is run."""
    if spec.seed % 8 == 0 and note(spec, "death") == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return passing(spec, keep_record)


def ended_once(spec: RunSpec, keep_record: bool) -> RunResult:
    """Be ended as the machine does for want of memory, the first time that an eighth of the specs is run."""
    if spec.seed % 8 == 0 and note(spec, "death") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return passing(spec, keep_record)


def killed_always(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: some specs never survive."""
    if spec.seed % 8 == 0:
        note(spec, "death")
        os.kill(os.getpid(), signal.SIGSEGV)
    return passing(spec, keep_record)


def hanging(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: some specs do not end the first time."""
    if spec.seed % 8 == 0 and note(spec, "hang") == 1:
        threading.Event().wait()
    return passing(spec, keep_record)


def endless(spec: RunSpec, keep_record: bool) -> RunResult:
    """Say that the first run has begun, and pass for ever after."""
    Path(os.environ[SCRATCH], "begun").touch()
    return passing(spec, keep_record)


def stuck(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: say so, and compute for ever."""
    os.write(1, b"stuck\n")
    while True:
        pass


def misused(spec: RunSpec, keep_record: bool) -> RunResult:
    """Refuse the spec."""
    raise UsageError(expected="a workload that exists", got=spec.workload, where="--workload")


def crashing(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the harness itself breaks."""
    raise ZeroDivisionError("nobody expected this")


def broken(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the harness notices that it is broken."""
    raise InternalError("a lock that was free could not be taken")


def diverging(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the replay of a failure left its record."""
    raise NondeterminismError(7, "READ page:0.index", "WRITE page:0.index")


def leaking(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: every run leaves a thread behind."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return passing(spec, keep_record)


def full_disk(spec: RunSpec, keep_record: bool) -> RunResult:
    """BUGGY: the disk is full as soon as somebody saves."""
    import errno  # noqa: PLC0415

    def write(self: Record, path: str | os.PathLike[str]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Record.write = write  # type: ignore[method-assign]
    return failing(spec, keep_record)
