"""Play a kept schedule again, as far as its program still has it, and schedules near it.

What a fix should have closed is tried where it was open, and a little beside that.  Invariant: a function of the file,
the program and `near`; whoever followed nothing of a schedule says UNKNOWN.  Not here: where the file comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mmrace.oracles.general.judgement import Verdict
from mmrace.runs.judge import EVERY
from mmrace.runs.program import Makers
from mmrace.runs.run import run_one
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runtime.errors import UsageError
from mmrace.runtime.strategy import Followed
from mmrace.search.totals import UNKNOWN_SHARE_MAX
from mmrace.strategies.guided import BY

NEAR = 50
"""Neighbours of a kept schedule that are tried: a bug that one in ten of them meets is missed with a chance of half a
percent; a function of one's own has as many runs in a tenth of a second, a scenario in some seconds."""


@dataclass(frozen=True, slots=True)
class Around:
    """What came of a kept schedule and those near it.

    Attributes: result: of the first run that failed, else of the schedule itself.  followed: how much of the schedule
    its own run was.  near: neighbours that were tried; if the result is not of the schedule itself, it is of the last.
    """

    result: RunResult
    followed: Followed
    near: int = 0

    @property
    def because(self) -> str:
        """Why it is UNKNOWN, if it is."""
        unknown = self.result.unknown
        if self.result.verdict != Verdict.UNKNOWN:
            return ""
        return unknown.get(EVERY) or "; ".join(f"{judge}: {reason}" for judge, reason in sorted(unknown.items()))


def play_around(path: str, spec: RunSpec, makers: Makers, near: int = 0, *, alone: bool = False) -> Around:
    """Play the schedule in a file, and if it passes, so many near it, up to the first that fails.

    Args: path: of a file that `guided` reads.  spec: of its run; who chooses is said here.  alone: a run with nothing
    to interleave passes too.  Raises UsageError.
    """
    _check(path)

    def run(strategy: str) -> RunResult:
        result = run_one(replace(spec, strategy=strategy, promote="all"), makers=makers)
        return replace(result, verdict=str(Verdict.PASS), unknown={}) if alone and result.alone else result

    for by in BY:  # the exact one first
        own = run(f"guided:record={path},by={by}")
        followed = own.followed or Followed(0, 0, "turning points")
        if followed.done or not followed.of:
            break
    if own.verdict != Verdict.PASS:
        return Around(own, followed)
    unknown: list[RunResult] = []
    for index in range(near):
        result = run(f"near:record={path},index={index},by={by}")
        if result.verdict == Verdict.FAIL:
            return Around(result, followed, index + 1)
        unknown += [result] * (result.verdict == Verdict.UNKNOWN)
    if len(unknown) > UNKNOWN_SHARE_MAX * near:
        told = {EVERY: f"{len(unknown)} of {near} schedules near it could not be judged", **unknown[0].unknown}
        own = replace(own, verdict=str(Verdict.UNKNOWN), unknown=told)
    return Around(own, followed, near)


def _check(path: str) -> None:
    """Raise UsageError for a path that the text of a strategy cannot have."""
    if "," in path:
        raise UsageError(
            expected="a schedule file whose path has no comma", got=path, where="schedule", try_="another name for it"
        )
