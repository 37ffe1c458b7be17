"""What this installation has: its scenarios, canaries, noise profiles and workloads, and the makers of its programs.

Here the two halves meet: what runs programs, and the kernel model that is one kind of them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mmrace.history import canaries
from mmrace.runs import follow, run
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runs.spec import RunResult
from mmrace.runtime import noise
from mmrace.runtime.record import Record
from mmrace.scenarios import casts, marks, workload
from mmrace.scenarios.maker import ScenarioMaker
from mmrace.search.catalogue import Catalogue

MAKERS = Makers(ScenarioMaker(), FunctionMaker())

run_one = partial(run.run_one, makers=MAKERS)
"""Make one run of whatever is installed, or of a function; see `runs.run.run_one`."""


def replay(record: Record, path: str = "") -> RunResult:
    """Replay a record that was read; see `runs.follow.replay`.

    Args: path: of its file; a program whose relative name leads nowhere from here is looked for beside and above it.
    """
    folders = tuple(map(str, Path(path).resolve().parents)) if path else ()
    return follow.replay(record, Makers(ScenarioMaker(), FunctionMaker(folders=folders)))


def replay_record(path: str) -> RunResult:
    """Replay a record file; see `replay`."""
    return replay(Record.read(path), path)


def catalogue() -> Catalogue:
    """Return what this installation has."""
    return Catalogue(
        scenarios={made.name: made for made in casts.all_scenarios()},
        canaries=canaries.canaries(),
        noise={name: profile.title for name, profile in noise.PROFILES.items()},
        workloads=tuple(workload.packaged()),
        marks=marks.declared(),
        excused=marks.EXCUSED,
    )
