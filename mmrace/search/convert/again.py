"""A record of free threads, by hand: its failure again under control, or its run, if that did not fail.

Invariant: what is said to have come again is what `convert.py` hands out; a run that left its record and found nothing
proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mmrace.oracles.general.judgement import Verdict, finding_of
from mmrace.runs.follow import models_of, refuse_older, spec_in
from mmrace.runs.judge import EVERY
from mmrace.runs.program import Makers
from mmrace.runs.spec import LoadedFile, RunResult
from mmrace.runtime.record import Record
from mmrace.search.convert.convert import convert, follow_free


@dataclass(slots=True)
class Again:
    """What came of it.

    Attributes: result: the controlled run: with a finding of the record, or along it.  None: no finding came again.
    made: of each finding of the record, by signature, what became of it (`RunResult.conversion`).  titles: of these.
    models: the digests of the models that made the record and that runs now, if they differ.
    """

    result: RunResult | None
    made: Mapping[str, RunResult] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, str] | None = None

    @property
    def verdict(self) -> str:
        """FAIL if the failure came again, UNKNOWN if it did not; of a run that did not fail, that of its judges."""
        return str(Verdict.UNKNOWN) if self.result is None else self.result.verdict


def again(
    record: Record, makers: Makers, load: tuple[LoadedFile, ...] = (), *, seconds: float, signature: str = ""
) -> Again:
    """Make a free run again under control.

    Args: load: further files.  seconds: of search, 0 for none.  signature: of the finding that counts; "": any.
    Raises UsageError for a record of an older schema, or of a program that cannot be made.
    """
    spec = spec_in(record, makers)
    refuse_older(record, spec)
    files = [file for file in spec.load if file.digest]
    spec = replace(spec, load=(*files, *(file for file in load if file.digest not in dict(files).values())))
    findings = [finding_of(found) for found in record.verdict.get("findings", ())]
    free = RunResult(spec, str(Verdict.FAIL if findings else Verdict.PASS), findings, record=record)
    models = models_of(makers.program(spec), record)
    if not findings:
        return Again(_along(free, makers), models=models)
    signatures = [finding.signature for finding in findings]
    wanted = [signature] if signature in signatures else signatures
    made = convert(free, wanted, seconds=seconds, makers=makers)
    came = [run for run in made.values() if run.conversion is not None and run.conversion.came]
    titles = {finding.signature: finding.title for finding in findings}
    return Again(came[0] if came else None, made, titles, models)


def _along(free: RunResult, makers: Makers) -> RunResult:
    """Return the run along a record that has no finding."""
    result, way = follow_free(free, makers)
    if way.partings and result.verdict == Verdict.PASS:
        result.verdict = str(Verdict.UNKNOWN)
        result.unknown[EVERY] = "the run left its record, and so is another one"
    return result
