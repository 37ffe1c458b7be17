"""What this installation has: its scenarios, canaries, noise profiles and workloads, and the makers of its programs.

Here the two halves meet: what runs programs, and the kernel model that is one kind of them.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from mmrace.claims.judges import judge_claim
from mmrace.history import canaries
from mmrace.history.canary import Canary
from mmrace.oracles.general import GENERAL
from mmrace.oracles.general.judgement import Oracle
from mmrace.oracles.protocol import PROTOCOL
from mmrace.runs import follow, run
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunResult
from mmrace.runtime import noise
from mmrace.runtime.record import Record
from mmrace.scenarios import casts, marks, workload
from mmrace.scenarios.maker import ScenarioMaker
from mmrace.search.catalogue import Catalogue, OracleEntry, pick
from mmrace.strategies import registry

MAKERS = Makers(ScenarioMaker(), FunctionMaker())

run_one = partial(run.run_one, makers=MAKERS)
"""Make one run of whatever is installed, or of a function; see `runs.run.run_one`."""


def replay(record: Record, path: str = "") -> RunResult:
    """Replay a record that was read; see `runs.follow.replay`.

    Args: path: of its file; a program whose relative name leads nowhere from here is looked for beside and above it.
    """
    folders = tuple(map(str, Path(path).resolve().parents)) if path else ()
    makers = Makers(ScenarioMaker(), FunctionMaker(folders=folders, pinned=True))
    return follow.replay(record, makers, draw=True, judge_claim=judge_claim)


def replay_record(path: str) -> RunResult:
    """Replay a record file; see `replay`."""
    return replay(Record.read(path), path)


def catalogue() -> Catalogue:
    """Return what this installation has.  Raises UsageError if a canary names a judge that the kernel model lacks."""
    return Catalogue(
        scenarios={made.name: made for made in casts.all_scenarios()},
        canaries={name: _judged(canary) for name, canary in canaries.canaries().items()},
        noise={name: profile.title for name, profile in noise.PROFILES.items()},
        workloads=tuple(workload.packaged()),
        strategies=tuple(registry.entries()),
        marks=marks.declared(),
        excused=marks.EXCUSED,
        oracles=_oracles(),
    )


def _judged(canary: Canary) -> Canary:
    pick("judge", canary.oracle, PROTOCOL, f"canary {canary.name}")
    return canary


def _oracles() -> tuple[OracleEntry, ...]:
    """Return every judge by name; where a general judge and one of the protocol share a name, both."""
    seats = {judge: (name, "general") for name, judge in GENERAL.items()}
    seats |= {judge: (name, "protocol") for name, judge in PROTOCOL.items() if judge not in seats}
    return tuple(sorted(OracleEntry(name, bench, _title(judge)) for judge, (name, bench) in seats.items()))


def _title(judge: Oracle) -> str:
    """Return the first line of the docstring of a judge's module."""
    return (sys.modules[judge.__module__].__doc__ or "").partition("\n")[0]
