"""What the runtime itself caught while the model ran: the "violation" notes of a record.

The runtime raises `Violation` at the op that breaks a rule, on behalf of the oracle that owns the rule; the
note in the record is all that an oracle needs, so a record from a file is judged like a live one.  Invariant:
under `free` several tasks can be caught in one run, and each is a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmrace.oracles.general.judgement import Evidence, Fact
from mmrace.runtime.kinds import NOTE
from mmrace.runtime.record import Record

VIOLATION = "violation"


@dataclass(slots=True, frozen=True)
class Caught:
    """One violation note, with names for objects."""

    step: int
    task: str
    rule: str
    facts: dict[str, Fact]


def violations(record: Record, oracle: str) -> list[Caught]:
    """Return the violations that belong to `oracle`, in order."""
    found: list[Caught] = []
    for step in record.steps_on((), notes=(VIOLATION,)):
        task, _, _, note = record.events[step]
        if note[0] == oracle:
            _, rule, facts = note
            named = record.name(facts)
            plain = {str(key): _plain(value) for key, value in named.items()} if isinstance(named, Mapping) else {}
            found.append(Caught(step, record.task_name(task), str(rule), plain))
    return found


def report(record: Record, oracle: str, evidence: Evidence) -> list[Caught]:
    """Make each violation of `oracle` a finding."""
    found = violations(record, oracle)
    keys = ("object", *record.tables.subjects, "task")
    names = {str(task["name"]) for task in record.tasks}
    for caught in found:
        points = [str(caught.facts[key]) for key in keys if caught.facts.get(key)]
        told = {**caught.facts}
        if told.get("holder") and told["holder"] not in names:
            told["holder"] = f"the I/O of {told['holder']}"  # to which it was handed
        shown = ", ".join(f"{key} {value}" for key, value in told.items() if isinstance(value, str | int))
        title = f"{caught.rule} ({shown})" if shown else caught.rule
        facts = {key: value for key, value in caught.facts.items() if key not in ("step", "rule", "title", "points")}
        at = _site(record, caught, oracle)
        if at is not None:
            facts["at"] = str(at)
        facts.setdefault("task", caught.task)
        evidence.add(caught.rule, title, points, step=caught.step, **facts)
    return found


def _site(record: Record, caught: Caught, oracle: str) -> object:
    """Return where a violation was, if it is the one that ended the run: under `free` there can be others."""
    detail = record.end.get("detail", {})
    facts = detail.get("facts")
    task = facts.get("task", caught.task) if isinstance(facts, Mapping) else caught.task
    ended = (detail.get("oracle", oracle), detail.get("rule", caught.rule), task)
    return detail.get("at") if ended == (oracle, caught.rule, caught.task) else None


def ops(record: Record) -> int:
    """Count the ops of a record: each was checked by the runtime as it was done."""
    return len(record.events) - len(record.steps(NOTE))


def _plain(value: object) -> Fact:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return str(value)
