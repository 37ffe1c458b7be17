"""What this installation has: its scenarios, canaries, noise profiles and workloads, and the makers of its programs.

Here the two halves meet: what runs programs, and the kernel model that is one kind of them.
"""

from __future__ import annotations

from functools import partial

from mmrace.history import canaries
from mmrace.runs import follow, run
from mmrace.runs.functions import FunctionMaker
from mmrace.runs.program import Makers
from mmrace.runtime import noise
from mmrace.scenarios import casts, marks, workload
from mmrace.scenarios.maker import ScenarioMaker
from mmrace.search.catalogue import Catalogue
from mmrace.strategies import registry

MAKERS = Makers(ScenarioMaker(), FunctionMaker())

run_one = partial(run.run_one, makers=MAKERS)
"""Make one run of whatever is installed, or of a function; see `runs.run.run_one`."""

replay_record = partial(follow.replay_record, makers=MAKERS)
"""Replay a record file; see `runs.follow.replay_record`."""


replay = partial(follow.replay, makers=MAKERS)
"""Replay a record that was read; see `runs.follow.replay`."""


def catalogue() -> Catalogue:
    """Return what this installation has."""
    return Catalogue(
        scenarios={made.name: made for made in casts.all_scenarios()},
        canaries=canaries.canaries(),
        noise={name: profile.title for name, profile in noise.PROFILES.items()},
        workloads=tuple(workload.packaged()),
        strategies=tuple(registry.entries()),
        marks=marks.declared(),
        excused=marks.EXCUSED,
    )
