"""The client of `stress/fleet.py`: an exploration whose every outcome is noted, with when it came.

    python -m stress.fleet_client near|ADDRESS|local:N FOLDER RUNS NOTES

A line of NOTES a schedule: when (monotonic seconds), its number, class and verdict; at last "end" and the findings with
how often each was seen.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TextIO

from loguru import logger

from mmrace.examples import lost_update
from mmrace.installed import MAKERS
from mmrace.runs.functions import KIND
from mmrace.search.explore.ask import Ask
from mmrace.search.explore.driver import Explorer
from mmrace.search.explore.result import Exploration
from mmrace.search.pool.contract import Pool
from mmrace.search.pool.far import FarPool
from mmrace.search.pool.fleet import LOCAL, Fleet
from mmrace.search.pool.making import Making
from mmrace.search.pool.messages import Job, Outcome
from mmrace.search.totals import Hit

PROGRAM = f"{lost_update.__file__}:main"  # of two milliseconds: what a machine has to do is start processes again
NEAR = "near"
RECONNECT_SECONDS = 120.0


class Nobody:
    """An observer that tells nobody."""

    def progress(self, result: Exploration) -> None:
        """Do nothing."""

    def found(self, hit: Hit) -> None:
        """Do nothing."""


class Noted(Explorer):
    """An exploration that notes what comes.  Args: notes: where."""

    def __init__(
        self, ask: Ask, folder: Path, notes: TextIO, pool: Callable[[Making], AbstractContextManager[Pool]] | None
    ) -> None:
        super().__init__(ask, MAKERS, folder, Nobody(), pool=pool)
        self.notes = notes

    def take(self, job: Job, outcome: Outcome) -> None:
        """Note an outcome, and count it."""
        run = outcome.result
        came = ("-", "-") if run is None else (run.digest, run.verdict)
        print(f"{time.monotonic():.3f}", job.index, *came, file=self.notes, flush=True)
        super().take(job, outcome)


def main(arguments: list[str]) -> int:
    """Explore; return the exit code."""
    where, folder, runs, notes = arguments
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    ask = Ask(PROGRAM, maker=KIND, params=(("tasks", 3),), strategy="random", promote="all", runs=int(runs), jobs=2)
    place = Fleet(local=int(where.removeprefix(LOCAL))) if where.startswith(LOCAL) else Fleet(where)

    def pool(making: Making) -> FarPool:
        return FarPool(place, making, reconnect_seconds=RECONNECT_SECONDS)

    with open(notes, "w", encoding="utf-8") as out:
        result = Noted(ask, Path(folder), out, None if where == NEAR else pool).run()
        hits = {signature: hit.times for signature, hit in sorted(result.hits.items())}
        said = {"hits": hits, "troubles": [str(trouble) for trouble in result.troubles], "losses": result.losses}
        print("end", json.dumps(said), file=out, flush=True)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
