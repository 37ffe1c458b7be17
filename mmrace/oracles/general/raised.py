"""Exceptions: none leaves a task, neither a failed `assert` nor any other.

The rule of a finding is the exception's type. Invariant: the same exception out of the same statement is one bug,
whatever its text and line, which are facts; where a stack was full, out of the same function. Not checked: exceptions
that the program caught, and of several tasks that raised at once (under `free`) any but the first.
"""

from __future__ import annotations

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.runtime.crash import CRASH
from mmrace.runtime.kinds import Kind
from mmrace.runtime.record import Record

NAME = "exception"
_BEGIN = int(Kind.BEGIN)


def judge(record: Record) -> Judgement:
    """Judge how the run ended; count the tasks that began."""
    evidence = Evidence(NAME)
    if record.end.get("how") == CRASH:
        detail = record.end.get("detail", {})
        told: dict[str, Fact] = {str(key): value for key, value in detail.items()}
        kind, _, text = str(told.pop("error", "")).partition(": ")  # all that older records have
        kind, text = str(told.pop("type", kind)), str(told.pop("text", text))
        points = [str(told[key]) for key in ("task", "function") if key in told]
        statement = "" if kind == RecursionError.__name__ else str(told.get("source", ""))
        evidence.add(kind, _title(kind, text, told), points, statement, text=text, step=len(record.events), **told)
    return evidence.judgement(len(record.steps(_BEGIN)))


def _title(kind: str, text: str, told: dict[str, Fact]) -> str:
    said = text or str(told.get("source", ""))
    title = f"{kind}: {said}" if said else kind
    if "function" not in told:
        return title
    return f"{title} ({told['task']}, in {told['function']}, {told['file']}:{told['line']})"
