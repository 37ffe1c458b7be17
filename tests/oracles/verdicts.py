"""What tests of oracles assert of a judgement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mmrace.oracles.general.judgement import Finding, Judgement, Verdict
from mmrace.runtime.fiber import FiberEngine
from mmrace.runtime.gate import GateEngine
from mmrace.runtime.record import Record


def caught(judgement: Judgement, rule: str) -> Finding:
    """Assert that the oracle failed the record by exactly this rule, and return the finding."""
    assert judgement.verdict is Verdict.FAIL, judgement
    assert [finding.rule for finding in judgement.findings] == [rule], judgement.findings
    assert judgement.checked > 0
    finding = judgement.findings[0]
    assert finding.oracle == judgement.oracle
    assert finding.title
    return finding


def passed(judgement: Judgement) -> None:
    """Assert that the oracle checked something and found nothing."""
    assert judgement.verdict is Verdict.PASS, judgement
    assert judgement.checked > 0
    assert not judgement.findings


def unknown(judgement: Judgement) -> str:
    """Assert that the oracle does not know, and return why."""
    assert judgement.verdict is Verdict.UNKNOWN, judgement
    assert not judgement.findings
    assert judgement.reason
    return judgement.reason


def judged_twice(
    judge: Callable[[Record], Judgement], engine: GateEngine | FiberEngine, main: Callable[[], object], folder: Path
) -> Judgement:
    """Judge a run that ends well, live and from its file alike."""
    engine.run(main)
    assert engine.error is None and engine.end["how"] == "finished"
    record = Record.of_run(engine, {"engine": engine.name}, {})
    judgement = judge(record)
    record.write(folder / "run.jsonl")
    assert judge(Record.read(folder / "run.jsonl")) == judgement
    return judgement
