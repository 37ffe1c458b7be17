"""Liveness: everybody who waits is woken, and nobody runs for ever in vain.

Rules: a standstill is a finding of its kind (cycle, lost-wakeup, stuck) that says who waits for what, held by
whom, taken where; at a bound it is a livelock if all looked in vain and nothing changed, starvation if others got on
while a task only tried in vain (the engine tells them apart); a sleep ends only by a wake that was delivered to it.
Invariant: the bound alone is no finding: a run that was cut while it may have gone on, or that ended otherwise before
its time, is UNKNOWN, never PASS.  Not checked: fairness before the bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmrace.oracles.general.judgement import Evidence, Fact, Judgement
from mmrace.runtime.kinds import EXIT, KIND_MASK, QUEUE, SHIFT, SLEEP, WAKE
from mmrace.runtime.record import Record

NAME = "liveness"


def judge(record: Record) -> Judgement:
    """Judge the end of the run, and each sleep in it."""
    evidence = Evidence(NAME)
    checked, missing = examine(record, evidence)
    return evidence.judgement(checked, missing)


def examine(record: Record, evidence: Evidence) -> tuple[int, str]:
    """Do what `judge` does; return how many things were checked, and why the end does not tell ("" if it does)."""
    missing = _end(record, evidence)
    return _sleeps(record, evidence), missing


# -- the end -------------------------------------------------------------------------------------------------


def _end(record: Record, evidence: Evidence) -> str:
    """Judge how the run ended; return why that does not tell, "" if it does."""
    how = record.end.get("how")
    if how == "finished":
        return ""
    detail: Mapping[str, object] = record.end.get("detail", {})
    kind = str(detail.get("kind", "livelock" if how == "bound" else "stuck"))
    if how == "deadlock" or (how == "bound" and kind != "cut"):
        _standstill(record, kind, detail, evidence)
        return ""
    return "the run was cut at its bound and may have gone on" if how == "bound" else f"the run ended as {how}"


def _standstill(record: Record, kind: str, detail: Mapping[str, object], evidence: Evidence) -> None:
    rows = [_placed(record, row) for row in _list(detail.get("tasks")) if isinstance(row, Mapping)]
    cycle, lost = (
        [str(name) for name in _list(detail.get("cycle"))],
        [str(name) for name in _list(detail.get("lost"))],
    )
    daemons = {str(task["name"]) for task in record.tasks if task.get("daemon")}
    guilty = set(lost if kind == "lost-wakeup" else cycle if kind == "cycle" else ())
    if not guilty:
        guilty = {str(row.get("task")) for row in rows} - daemons
    shown = [row for row in rows if row.get("task") in guilty] or rows
    points = [str(row.get(key)) for row in shown for key in ("task", "waits_for") if row.get(key) is not None]
    facts: dict[str, Fact] = {
        "kind": kind,
        "tasks": [_row(row) for row in rows],
        "cycle": cycle,
        "lost": lost,
    }
    evidence.add(
        kind,
        f"{kind}: " + "; ".join(sentence(row) for row in shown),
        points,
        step=len(record.events),
        **facts,
    )


def _placed(record: Record, row: Mapping[object, object]) -> Mapping[object, object]:
    """Name the object of a row that has only its lane: what a task tried in vain."""
    lane = row.get("lane")
    if not isinstance(lane, int):
        return row
    return {**row, "waits_for": f"{row.get('waits_for')} on {record.lane_name(lane)}"}


def sentence(row: Mapping[Any, object]) -> str:
    """Say what a task waits for, and who holds that."""
    text = f"{row.get('task')} waits for {row.get('waits_for')}"
    if row.get("waits_for") == "its CPU" and row.get("about_to") is not None:
        text += f", about to {row['about_to']}"
    if row.get("condition_holds"):
        return text + ", though its condition holds"
    if row.get("held_by") is not None and not str(row.get("waits_for")).startswith("end of "):
        text += f", held by {row['held_by']}"
    if row.get("taken_at") is not None:
        text += f", taken at {row['taken_at']}"
    return text


def _row(row: Mapping[object, object]) -> dict[str, Fact]:
    return {str(key): value if isinstance(value, bool | int) else _fact(value) for key, value in row.items()}


def _fact(value: object) -> Fact:
    if value is None:
        return None
    return [str(part) for part in value] if isinstance(value, tuple | list) else str(value)


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, tuple | list) else []


# -- during the run ------------------------------------------------------------------------------------------


def _sleeps(record: Record, evidence: Evidence) -> int:
    """Judge each sleep; count the sleeps and the ends of tasks."""
    woken: set[int] = set()
    checked = 0
    for step in record.steps(QUEUE, SLEEP, WAKE, EXIT):
        task, op, _, b = record.events[step]
        kind = op & KIND_MASK
        if kind == QUEUE:
            woken.discard(task)
        elif kind == WAKE:
            woken.update(b)
        elif kind == SLEEP:
            checked += 1
            if task not in woken:
                who, queue = record.task_name(task), record.lane_name(op >> SHIFT)
                text = f"{who} slept on {queue} and went on without a wake"
                evidence.add("sleep without wake", text, (who, queue), task=who, queue=queue, step=step)
        else:
            checked += 1
    return checked
