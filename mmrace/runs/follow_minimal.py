"""Replay a minimal file: strictly where its own model still runs, else by its schedule, as far as that leads.

A strict replay is for proof, and survives no edit of the model.  A schedule in names does: it follows the turning
points that still exist, and says how many those were.  Invariant: what is replayed strictly is also the run that the
schedule alone makes, so that a schedule that was edited does not pass.
"""

from __future__ import annotations

from dataclasses import replace

from mmrace.runs.chosen import Chosen
from mmrace.runs.differences import of_events
from mmrace.runs.follow import models_of, replay, with_files
from mmrace.runs.judge import judge
from mmrace.runs.minimal import Minimal
from mmrace.runs.play import play
from mmrace.runs.program import Makers
from mmrace.runs.spec import LoadedFile, RunResult
from mmrace.runtime.errors import NotAsRecorded
from mmrace.strategies.guided import Guided


def replay_minimal(minimal: Minimal, makers: Makers, load: tuple[LoadedFile, ...] = ()) -> tuple[RunResult, str]:
    """Replay a minimal file and judge its run again; return how it was followed: "" strictly, else why not.

    Args: load: further files.  Raises UsageError; NondeterminismError if the same model does anything else.
    """
    minimal = replace(minimal, spec=with_files(minimal.spec, load))
    models = models_of(makers.program(minimal.spec), minimal.record)
    if models is not None:
        made, now = models
        return _guided(minimal, makers), f"the model is another one (made by {made}, here {now})"
    result, guided = replay(minimal.record, makers, load), _guided(minimal, makers)
    assert guided.record is not None
    other = next(of_events(minimal.record, guided.record), None)
    if other is not None:
        raise NotAsRecorded(
            [f"its schedule makes another run: recorded {other.recorded} as {other.what}, {other.now} now"]
        )
    return result, ""


def _guided(minimal: Minimal, makers: Makers) -> RunResult:
    """Run the schedule on the model as it is now, and judge the run."""
    program = makers.program(minimal.spec)
    strategy = Guided(minimal.schedule.turns, minimal.schedule.choices)
    with play(program, minimal.spec, Chosen(strategy), sites=True) as played:
        return judge(program, minimal.spec, played.record, played.seconds)
