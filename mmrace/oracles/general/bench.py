"""The bench: ask every judge, and make one verdict of their answers.

Invariant: judges do not know of each other, and the verdict is a function of their judgements.  Which judges sit is
the program's to say; a judge that had nothing to look at says so, and whether that counts is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmrace.oracles.general.judgement import Judgement, Oracle, Verdict
from mmrace.runtime.record import Record


def judge_all(record: Record, judges: Mapping[str, Oracle]) -> list[Judgement]:
    """Ask every judge, in their order."""
    return [judge(record) for judge in judges.values()]


def overall(judgements: Iterable[Judgement], required: Iterable[str] | None = None) -> Verdict:
    """Make one verdict: FAIL if any judge says so, else UNKNOWN if one that counts cannot tell, else PASS.

    Args: required: names of the judges that must have found something to check, default all that were asked.  One of
    them that was not asked makes the verdict UNKNOWN.  Of the others a judge that had nothing to check does not count;
    but if nobody had anything to check, the verdict is UNKNOWN.
    """
    by_name = {judgement.oracle: judgement for judgement in judgements}
    if any(judgement.verdict is Verdict.FAIL for judgement in by_name.values()):
        return Verdict.FAIL
    needed = set(by_name if required is None else required)
    told = {name for name, judgement in by_name.items() if judgement.verdict is Verdict.PASS}
    left_open = {name for name, judgement in by_name.items() if name not in told and not judgement.nothing_to_check}
    return Verdict.PASS if told and needed <= told and not left_open else Verdict.UNKNOWN
