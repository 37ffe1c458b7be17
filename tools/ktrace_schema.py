"""The recorded workload's file format: write it and check it.

Purpose: ``mmrace-workload/1`` is what a recorded workload looks like; this module holds the text form (one
page or action a line, so that diffs are readable) and the consistency check.

Invariant kept: the same workload gives the same bytes; a workload without problems has actions sorted by
(begin_us, end_us), the first at 0, none ending before it begins, and only pages and buffers that exist.

Not checked: that the recorded order could have happened (two migrations of one page at a time, say).
"""

from __future__ import annotations

import json
from typing import Any

SCHEMA = "mmrace-workload/1"
TOP = ("schema", "name", "source", "pages", "actions")
SOURCE = ("trace", "kernel", "first_line", "last_line", "note")
PAGE = ("page", "ino", "index", "buffers")
MODES = ("MIGRATE_ASYNC", "MIGRATE_SYNC_LIGHT", "MIGRATE_SYNC", "MIGRATE_SYNC_NO_COPY")
REASONS = ("refcount", "freeze", "buffer-lock", "writeback", "page-lock", "other")
_TIMES = ("do", "begin_us", "end_us")
FIELDS = {
    "dirty": (*_TIMES, "page", "buffers"),
    "writeback": (*_TIMES, "page"),
    "migrate": (*_TIMES, "page", "mode", "outcome"),
    "commit": (*_TIMES, "pages"),
    "reclaim": (*_TIMES, "page", "outcome"),
}
OUTCOMES = {"migrate": ("moved", "refused"), "reclaim": ("freed", "kept")}

Workload = dict[str, Any]


def to_text(workload: Workload) -> str:
    """The workload as JSON, one page or action a line, keys in the order of the format."""
    parts = []
    for key in TOP:
        value = workload[key]
        if isinstance(value, list):
            rows = ",\n".join("  " + json.dumps(row) for row in value)
            text = f"[\n{rows}\n ]" if rows else "[]"
        elif isinstance(value, dict):
            text = json.dumps(value, indent=1).replace("\n", "\n ")
        else:
            text = json.dumps(value)
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def check_workload(workload: object) -> list[str]:
    """All problems of a workload as sentences; empty when it is consistent."""
    if not isinstance(workload, dict) or tuple(workload) != TOP:
        got = list(workload) if isinstance(workload, dict) else type(workload).__name__
        return [f"top level: expected an object with the keys {list(TOP)} in this order, got {got}"]
    problems = []
    if workload["schema"] != SCHEMA:
        problems.append(f"schema: expected {SCHEMA!r}, got {workload['schema']!r}")
    if not isinstance(workload["source"], dict) or tuple(workload["source"]) != SOURCE:
        problems.append(f"source: expected the keys {list(SOURCE)} in this order, got {workload['source']!r}")
    if not isinstance(workload["pages"], list) or not isinstance(workload["actions"], list):
        return [*problems, "pages and actions: expected two lists"]
    buffers = _check_pages(workload["pages"], problems)
    before = (0, 0)
    for number, action in enumerate(workload["actions"]):
        where = f"actions[{number}]"
        found = _check_action(action, buffers)
        if not found:
            now = (action["begin_us"], action["end_us"])
            if now < before or (number == 0 and now[0] != 0):
                found = [f"expected the first at 0, then by (begin_us, end_us), got {now} after {before}"]
            before = now
        problems.extend(f"{where}: {text}" for text in found)
    return problems


def _check_pages(pages: list[Any], problems: list[str]) -> list[int]:
    """Number of buffers of each page."""
    buffers: list[int] = []
    keys: set[tuple[int, int]] = set()
    for number, page in enumerate(pages):
        if not isinstance(page, dict) or tuple(page) != PAGE or not all(_is_count(page[key]) for key in PAGE):
            problems.append(f"pages[{number}]: expected numbers for {list(PAGE)} in this order, got {page!r}")
            buffers.append(0)
            continue
        key = (page["ino"], page["index"])
        if page["page"] != number or key in keys:
            problems.append(f"pages[{number}]: expected page {number}, its own (ino, index), got {page!r}")
        keys.add(key)
        buffers.append(page["buffers"])
    return buffers


def _check_action(action: object, buffers: list[int]) -> list[str]:
    """Problems of one action, without its place in the order."""
    kind = action.get("do") if isinstance(action, dict) else None
    if not isinstance(action, dict) or kind not in FIELDS:
        return [f"expected an object whose 'do' is one of {sorted(FIELDS)}, got {action!r}"]
    wanted = FIELDS[kind]
    if kind == "migrate" and action.get("outcome") == "refused":
        wanted = (*wanted, "reason")
    if tuple(action) != wanted:
        return [f"expected the keys {list(wanted)} in this order, got {list(action)}"]
    problems = []
    begin, end = action["begin_us"], action["end_us"]
    if not (_is_count(begin) and _is_count(end) and begin <= end):
        problems.append(f"expected 0 <= begin_us <= end_us, got {begin!r} and {end!r}")
    for page in action.get("pages", [action.get("page")]):
        if not (_is_count(page) and page < len(buffers)):
            problems.append(f"expected pages 0..{len(buffers) - 1}, got {page!r}")
    if not problems and kind == "dirty":
        used, limit = action["buffers"], buffers[action["page"]]
        if not used or not all(_is_count(one) and one < limit for one in used) or used != sorted(set(used)):
            problems.append(f"expected some buffers out of 0..{limit - 1}, sorted, got {used!r}")
    for key, allowed in (("mode", MODES), ("reason", REASONS), ("outcome", OUTCOMES.get(kind, ()))):
        if key in action and action[key] not in allowed:
            problems.append(f"{key}: expected one of {list(allowed)}, got {action[key]!r}")
    return problems


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
