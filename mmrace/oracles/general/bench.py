"""A bench of judges: ask them all about one record, and make one verdict of their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mmrace.oracles.general.judgement import Judgement, Oracle, Verdict
from mmrace.runtime.record import Record


def judge_all(record: Record, judges: Mapping[str, Oracle]) -> list[Judgement]:
    return [judge(record) for judge in judges.values()]


def overall(judgements: Iterable[Judgement], required: Iterable[str] | None = None) -> Verdict:
    verdicts = {judgement.oracle: judgement.verdict for judgement in judgements}
    if Verdict.FAIL in verdicts.values():
        return Verdict.FAIL
    needed = list(verdicts) if required is None else list(required)
    if not needed or any(verdicts.get(name) is not Verdict.PASS for name in needed):
        return Verdict.UNKNOWN
    return Verdict.PASS
