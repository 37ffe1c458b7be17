"""What a judge returns: a verdict, the evidence for it, and the signature by which two findings are the same
bug.

An oracle is a pure function of the record (Jepsen's checkers are the model): ``judge(record) -> Judgement``.
Invariant: a judge that looked at nothing says UNKNOWN, never PASS.  Not here: the text of a report; a finding
holds facts and a one-line title, and `report/` does the rest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from mmrace.runtime.record import Record

Fact: TypeAlias = "bool | int | float | str | Sequence[Fact] | Mapping[str, Fact] | None"
"""A JSON value."""

SIGNATURE_HEX = 12  # 48 bits: among a million distinct bugs a false match has a chance of some 0.2 %


NOTHING = "nothing to check in this record"


class Verdict(StrEnum):
    """What can be said about a run, or about one aspect of it."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(slots=True)
class Finding:
    """One way in which the model was caught.

    `facts` always has "times" (how often this oracle saw the same signature in this run); most have "step",
    the index in `record.events` at which it was seen, and the tasks and objects by name.  `known`: where it is written
    down, if it is expected of the program (`expected.py`); no judge says so.
    """

    oracle: str
    rule: str
    title: str
    facts: dict[str, Fact]
    signature: str
    known: str = ""


def finding_of(plain: Mapping[str, Any]) -> Finding:
    """Return a finding as a record has it: what it lacks is empty, and what nobody knows is left out."""
    untold: dict[str, Any] = {"oracle": "", "rule": "", "title": "", "facts": {}, "signature": "", "known": ""}
    return Finding(**{name: plain.get(name, empty) for name, empty in untold.items()})


@dataclass(slots=True)
class Judgement:
    """The verdict of one oracle on one record.

    Args: checked: how many things were compared or replayed; 0 means UNKNOWN.  reason: why it is UNKNOWN, or
    what part of the record could not be judged; `NOTHING` if there was nothing to check.  raced: of the data race
    judge, the plain fields ("Class.field") with accesses that nothing orders, benign or published ones too.
    """

    oracle: str
    verdict: Verdict
    checked: int
    findings: list[Finding] = field(default_factory=list)
    reason: str = ""
    raced: tuple[str, ...] = ()

    @property
    def nothing_to_check(self) -> bool:
        """Whether it is UNKNOWN only because the program did nothing that this oracle judges."""
        return self.verdict is Verdict.UNKNOWN and self.reason == NOTHING


class Oracle(Protocol):
    """A judge: pure, deterministic, and content with a record that was read from a file."""

    def __call__(self, record: Record, /) -> Judgement:
        """Judge one record."""


_INSTANCE = re.compile(r":.*?(?=(?:\.[A-Za-z_]\w*)*$)")
_ORDINAL = re.compile(r"[.\-#]?\d+(?=\.|$)")


NAMES_KEPT = 4096  # more than a run has: its objects go by the same names in every run of a scenario


@lru_cache(NAMES_KEPT)
def kind_of(name: str) -> str:
    """Strip what tells two instances apart: "box:4.1.count" -> "box.count", "worker.2" -> "worker"."""
    return _ORDINAL.sub("", _INSTANCE.sub("", name))


def signature(oracle: str, rule: str, points: Iterable[str], statement: str = "") -> str:
    """Hash a rule and the kinds of what met, in no order: stable across runs, machines and engines.

    Args: statement: of the program that broke it, as its source reads.
    """
    text = "\n".join((oracle, rule, *sorted({kind_of(point) for point in points}), *[statement] * bool(statement)))
    return hashlib.sha256(text.encode()).hexdigest()[:SIGNATURE_HEX]


class Evidence:
    """The findings of one oracle on one record.

    The first sight of a signature is kept, the others are counted: after one bug a model often breaks the
    same rule thousands of times, and a record of 10,000 events must not become as many findings.
    """

    def __init__(self, oracle: str) -> None:
        self.oracle = oracle
        self.findings: dict[str, Finding] = {}

    def add(self, rule: str, title: str, points: Iterable[str] = (), statement: str = "", /, **facts: Fact) -> None:
        """Note that `rule` was broken; the kinds of `points` (tasks, objects) tell this bug from others.

        Args: statement: of the program, as its source reads, which tells it from others too.
        """
        key = signature(self.oracle, rule, points, statement)
        known = self.findings.get(key)
        if known is None:
            self.findings[key] = Finding(self.oracle, rule, title, {**facts, "times": 1}, key)
        else:
            times = known.facts["times"]
            assert isinstance(times, int)
            known.facts["times"] = times + 1

    def judgement(self, checked: int, missing: str = "") -> Judgement:
        """Conclude.

        `missing` says what was needed and is not in the record: without a finding, that is UNKNOWN.
        """
        findings = list(self.findings.values())
        if findings:
            return Judgement(self.oracle, Verdict.FAIL, max(checked, len(findings)), findings, missing)
        if missing:
            return Judgement(self.oracle, Verdict.UNKNOWN, checked, findings, missing)
        if not checked:
            return Judgement(self.oracle, Verdict.UNKNOWN, 0, findings, NOTHING)
        return Judgement(self.oracle, Verdict.PASS, checked, findings)
