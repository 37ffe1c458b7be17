"""The recorded workload's file: write it, and check its form.

The text form has one page or action a line, so that diffs are readable.  Whether a workload is consistent, mmrace's own
reader says (``mmrace/scenarios/workload.py``); here is what the reader does not need: which keys there are and in which
order, what a migration or a reclaim came to, and the pages of a commit.

Invariant: the same workload gives the same bytes; a workload without problems can be read, and its times begin at 0.
Not checked: that the recorded order could have happened (two migrations of one page at a time, say).
"""

from __future__ import annotations

import json
from typing import Any

from mmrace.runtime.errors import UsageError
from mmrace.scenarios import workload as reader

TOP = ("schema", "name", "source", "pages", "actions")
SOURCE = ("trace", "kernel", "first_line", "last_line", "note")
PAGE = ("page", "ino", "index", "buffers")
REASONS = ("refcount", "freeze", "buffer-lock", "writeback", "page-lock", "other")
_TIMES = ("do", "begin_us", "end_us")
FIELDS = {
    "dirty": (*_TIMES, "page", "buffers"),
    "writeback": (*_TIMES, "page"),
    "migrate": (*_TIMES, "page", "mode", "outcome"),
    "commit": (*_TIMES, "pages"),
    "reclaim": (*_TIMES, "page", "outcome"),
    "read": (*_TIMES, "page"),
}
OUTCOMES = {"migrate": ("moved", "refused"), "reclaim": ("freed", "kept")}

Workload = dict[str, Any]


def to_text(workload: Workload) -> str:
    """Return the workload as JSON, one page or action a line, keys in the order of the format."""
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
    """Return all problems of a workload's form, and the first one that the reader has; empty if it is right."""
    if not isinstance(workload, dict) or tuple(workload) != TOP:
        got = list(workload) if isinstance(workload, dict) else type(workload).__name__
        return [f"top level: expected an object with the keys {list(TOP)} in this order, got {got}"]
    if not isinstance(workload["pages"], list) or not isinstance(workload["actions"], list):
        return ["pages and actions: expected two lists"]
    problems = []
    if not isinstance(workload["source"], dict) or tuple(workload["source"]) != SOURCE:
        problems.append(f"source: expected the keys {list(SOURCE)} in this order, got {workload['source']!r}")
    _check_pages(workload["pages"], problems)
    for number, action in enumerate(workload["actions"]):
        found = _check_action(action, len(workload["pages"]))
        if number == 0 and not found and action["begin_us"] != 0:
            found = [f"expected the first action at 0, got {action['begin_us']}"]
        problems.extend(f"actions[{number}]: {text}" for text in found)
    try:
        reader.Workload.of(workload, "workload")
    except UsageError as error:
        problems.append(str(error))
    return problems


def _check_pages(pages: list[Any], problems: list[str]) -> None:
    """Add what is wrong with the list of pages."""
    keys: set[tuple[int, int]] = set()
    for number, page in enumerate(pages):
        if not isinstance(page, dict) or tuple(page) != PAGE or not all(_is_count(page[key]) for key in PAGE):
            problems.append(f"pages[{number}]: expected numbers for {list(PAGE)} in this order, got {page!r}")
            continue
        key = (page["ino"], page["index"])
        if page["page"] != number or key in keys:
            problems.append(f"pages[{number}]: expected page {number}, its own (ino, index), got {page!r}")
        keys.add(key)


def _check_action(action: object, pages: int) -> list[str]:
    """Return what is wrong with the form of one action; of an unknown kind the reader speaks."""
    kind = action.get("do") if isinstance(action, dict) else None
    if not isinstance(action, dict) or kind not in FIELDS:
        return [f"expected an object whose 'do' is one of {sorted(FIELDS)}, got {action!r}"]
    wanted = FIELDS[kind]
    if kind == "migrate" and action.get("outcome") == "refused":
        wanted = (*wanted, "reason")
    if tuple(action) != wanted:
        return [f"expected the keys {list(wanted)} in this order, got {list(action)}"]
    problems = [
        f"{key}: expected a whole number from 0 on, got {action[key]!r}"
        for key in ("begin_us", "end_us", "page")
        if key in action and not _is_count(action[key])
    ]
    for page in action.get("pages", ()):
        if not (_is_count(page) and page < pages):
            problems.append(f"pages: expected pages 0..{pages - 1}, got {page!r}")
    used = action.get("buffers")
    if kind == "dirty" and not (isinstance(used, list) and used and used == sorted(set(used))):
        problems.append(f"buffers: expected some, sorted, got {used!r}")
    for key, allowed in (("reason", REASONS), ("outcome", OUTCOMES.get(kind, ()))):
        if key in action and action[key] not in allowed:
            problems.append(f"{key}: expected one of {list(allowed)}, got {action[key]!r}")
    return problems


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
