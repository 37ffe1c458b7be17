"""A minimal file of a small wrong program, made without minimising anything, and the folder of its finding."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mmrace import installed
from mmrace.examples import lost_update
from mmrace.oracles.general.judgement import Finding
from mmrace.runs import functions
from mmrace.runs.follow import with_sites
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.minimal import MINIMAL, Causal, Flips, Minimal, Op, Replayed, Schedule, Shrunk, Size
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.store import FindingStore
from mmrace.runtime import places
from mmrace.runtime.record import Record
from mmrace.strategies.guided import choices_of, preemptions_of

SEEDS = 40  # one of which loses an update


def spec(seed: int, engine: str = "fiber") -> RunSpec:
    name = f"{lost_update.__file__}:main"
    found = RunSpec(name, maker=functions.KIND, engine=engine, strategy="random", seed=seed)
    return RunSpec(
        name,
        maker=functions.KIND,
        engine=engine,
        strategy="random",
        seed=seed,
        digest=FunctionMaker().program(found).digest,
    )


@cache
def failed() -> RunResult:
    """Return a run that lost an update, its record with sites."""
    for seed in range(SEEDS):
        result = run_one(spec(seed), True, makers=installed.MAKERS)
        if any("assert" in finding.title for finding in result.findings):
            return result
    raise AssertionError("no seed loses an update")


@cache
def passed() -> Record:
    """Return the record of a run with sites in which no update was lost, whatever else it showed."""
    for seed in range(SEEDS):
        result = run_one(spec(seed), True, makers=installed.MAKERS)
        if not any("assert" in finding.title for finding in result.findings):
            return with_sites(result, installed.MAKERS)
    raise AssertionError("every seed loses an update")


@cache
def minimal() -> Minimal:
    """Return a minimal file of that run, as it is: nothing is shrunk."""
    result = failed()
    record = result.record
    assert record is not None
    turns, choices = preemptions_of(record), choices_of(record)
    size = Size(len(turns), len(choices), len(record.events), len(record.tasks), {})
    finding: Finding = result.findings[0]
    steps = [step for step, _ in places.places_of(record) if step <= int(str(finding.facts["step"]))]
    ops = [Op(*_named(record, step), step) for step in steps[-2:]]
    return Minimal(
        result.spec,
        finding,
        Schedule(tuple(turns), tuple(choices)),
        (Causal(ops[0], ops[1], "account.balance", Flips(0, 3)),),
        Shrunk(7, 0.25, size, size),
        Replayed(5, 5),
        record,
    )


def _named(record: Record, step: int) -> tuple[str, str, int]:
    place = places.name_of(record, step)
    assert place is not None
    return place.task, place.site, place.visit


def folder(where: Path, *, with_minimal: bool = True) -> Path:
    """Keep the finding below a folder, with a minimal file if asked; return its folder."""
    saved = FindingStore(where).save(failed())[minimal().signature]
    made = Path(saved.folder)
    if with_minimal:
        minimal().write(made / MINIMAL)
    return made
