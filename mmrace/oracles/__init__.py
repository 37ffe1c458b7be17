"""Oracles: judges of the record and of the final state, one file each.

``ORACLES`` maps a name to a judge, a pure function of a record; `judge_all` asks them, `overall` makes one
verdict of their answers.  Invariant: oracles work from the record alone, live or read from a file, and never
import actors. Not here: content of metadata after a crash.
"""

from __future__ import annotations

from collections.abc import Iterable

from mmrace.oracles.general import bug_on, data_race, liveness, lock_discipline, lock_order, refcount, use_after_free
from mmrace.oracles.general.judgement import Evidence, Finding, Judgement, Oracle, Verdict, kind_of, signature
from mmrace.oracles.protocol import content, dirty, slot
from mmrace.runtime.errors import UsageError
from mmrace.runtime.record import Record

__all__ = [
    "ORACLES",
    "Evidence",
    "Finding",
    "Judgement",
    "Oracle",
    "Verdict",
    "judge_all",
    "kind_of",
    "overall",
    "signature",
]

ORACLES: dict[str, Oracle] = {
    content.NAME: content.judge,
    refcount.NAME: refcount.judge,
    slot.NAME: slot.judge,
    dirty.NAME: dirty.judge,
    use_after_free.NAME: use_after_free.judge,
    lock_discipline.NAME: lock_discipline.judge,
    bug_on.NAME: bug_on.judge,
    liveness.NAME: liveness.judge,
    lock_order.NAME: lock_order.judge,
    data_race.NAME: data_race.judge,
}


def judge_all(record: Record, names: Iterable[str] | None = None) -> list[Judgement]:
    """Ask every oracle, or those named, in the order of ORACLES.  Raises UsageError for an unknown name."""
    wanted = set(ORACLES if names is None else names)
    unknown = sorted(wanted - ORACLES.keys())
    if unknown:
        raise UsageError(
            expected=f"oracles out of {', '.join(ORACLES)}",
            got=", ".join(unknown),
            where="judge_all",
            try_="leave the names out to ask all of them",
        )
    return [judge(record) for name, judge in ORACLES.items() if name in wanted]


def overall(judgements: Iterable[Judgement], required: Iterable[str] | None = None) -> Verdict:
    """Make one verdict: FAIL if any oracle failed; else UNKNOWN if a required one does not know; else PASS.

    Args: required: names of the oracles whose UNKNOWN counts, default all that were asked.  A required oracle
    that was not asked counts as UNKNOWN, and so does an empty bench.
    """
    verdicts = {judgement.oracle: judgement.verdict for judgement in judgements}
    if Verdict.FAIL in verdicts.values():
        return Verdict.FAIL
    needed = list(verdicts) if required is None else list(required)
    if not needed or any(verdicts.get(name) is not Verdict.PASS for name in needed):
        return Verdict.UNKNOWN
    return Verdict.PASS
