"""One run of a campaign: as any other, and of some under control the class of interleavings that it belongs to.

To find a run's class costs a quarter of the run, or more; so it is done for one in `CLASS_EVERY`, chosen by the seed,
which is a hash: what such a sample says of classes holds for all runs, only of fewer of them.
"""

from __future__ import annotations

from zlib import crc32

from mmrace.runs.play import play
from mmrace.runs.program import Makers
from mmrace.runs.run import judge_play, run_one
from mmrace.runs.spec import RunResult, RunSpec
from mmrace.runs.strategy_of import strategy_for
from mmrace.strategies.order.classes import ClassDigest

CLASS_EVERY = 16
"""Runs of which one tells its class: two percent of the time of a campaign that is all under control, a third of that
if a quarter of it is."""
DIGEST_MASK = (1 << 61) - 1


def campaign_one(spec: RunSpec, keep_record: bool = False, *, makers: Makers) -> RunResult:
    """Do one run and judge it; see `runs.run.run_one`."""
    if spec.engine == "free" or spec.seed % CLASS_EVERY:
        return run_one(spec, keep_record, makers=makers)
    program = makers.program(spec)
    with play(program, spec, strategy_for(program, spec), watch=ClassDigest) as played:
        result = judge_play(played, keep_record)
        assert isinstance(played.watched, ClassDigest)
        result.digest = _of_program(played.watched.value(), spec)
    return result


def _of_program(digest: int, spec: RunSpec) -> int:
    """Return a class as one of its program: orders of another, or with other parameters, are not the same class."""
    whose = "\n".join(map(str, (spec.program, spec.params, spec.workload, spec.variant, spec.era)))
    return (digest + (crc32(whose.encode()) << 29)) & DIGEST_MASK
