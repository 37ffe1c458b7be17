"""A minimal schedule as text: from what to what it was made smaller, where it leaves the default, what causes it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from mmrace.report.proof import otherwise
from mmrace.runs.minimal import MINIMAL, Causal, Minimal, Shrunk, Size
from mmrace.runtime.param import Value

LINES_MAX = 8  # of one kind, beside a finding
WHOLE_MAX = 40  # of the schedule, where that is what was asked for; a longer one was not made small
FEWEST = {True: "no schedule of this program with fewer fails", None: "not shown that none has fewer"}


def minimal_lines(minimal: Minimal, path: str) -> list[str]:
    """Return what a minimal file says of its schedule, for the eye.  Args: path: of the file."""
    shrunk = minimal.shrunk
    lines = [shrunk_line(shrunk)]
    lines += [f"  {line}" for line in _sizes(shrunk)]
    lines += ["schedule:", *few((f"  {line}" for line in schedule_lines(minimal)), WHOLE_MAX)]
    lines += [f"must not be swapped: {causal_line(ordering)}" for ordering in minimal.causal]
    lines += script_lines(minimal)
    lines.append(f"minimal: {path}; replayed {minimal.replayed.same} of {minimal.replayed.of}")
    lines.append(f"repeat: {shlex.join(['mmrace', 'replay', path])}")
    return lines


def found_lines(minimal: Minimal | str | None, folder: str) -> list[str]:
    """Return what a search says of a finding that it made smaller: nothing of one that it did not.

    Args: minimal: a text says why nothing came of it.  folder: of the finding.
    """
    if minimal is None:
        return []
    if isinstance(minimal, str):
        return [f"not minimised: {minimal}"]
    path = os.path.join(folder, MINIMAL)
    lines = [shrunk_line(minimal.shrunk), *few(f"  {line}" for line in schedule_lines(minimal))]
    lines += few(f"  must not be swapped: {causal_line(ordering)}" for ordering in minimal.causal)
    return [*lines, *script_lines(minimal), f"minimal: {shlex.join(['mmrace', 'replay', path])}"]


def script_lines(minimal: Minimal) -> list[str]:
    """Return the command that plays the schedule as a script, if there is one."""
    return [f"script: {scheduled(minimal, '')}"] if minimal.script else []


def scheduled(minimal: Minimal, file: str) -> str:
    """Return the command that plays a minimal schedule: as a script, if there is one, else by its file."""
    strategy = f"script:text={minimal.script}" if minimal.script else f"guided:record={file}"
    return replace(minimal.spec, strategy=strategy).command()


def few(lines: Iterable[str], most: int = LINES_MAX) -> list[str]:
    """Return the first of some lines, and how many more there are."""
    made = list(lines)
    left = len(made) - most
    return made if left <= 0 else [*made[:most], f"  and {left} more, see the file"]


def shrunk_line(shrunk: Shrunk) -> str:
    """Say how much smaller it became."""
    before, after = shrunk.before, shrunk.after
    text = f"minimised: {before.turns} -> {after.turns} turning points, {before.choices} -> {after.choices} choices"
    known = FEWEST.get(shrunk.fewest, "") if after.turns or after.choices else ""  # nothing is fewer than none
    text += f" ({known})" if known else ""
    text += f", in {shrunk.runs} runs, {shrunk.seconds:.1f}s"
    return text if shrunk.complete else f"{text}; the budget ran out"


def _sizes(shrunk: Shrunk) -> Iterator[str]:
    before, after = shrunk.before, shrunk.after
    yield f"events {before.events} -> {after.events}, tasks {before.tasks} -> {after.tasks}"
    changed = [f"{key} {_shown(before.params.get(key))} -> {_shown(value)}" for key, value in _changed(before, after)]
    if changed:
        yield f"parameters: {', '.join(changed)}"


def _changed(before: Size, after: Size) -> list[tuple[str, Value]]:
    return [(key, value) for key, value in after.params.items() if before.params.get(key) != value]


def _shown(value: Value | None) -> str:
    return repr(value) if value in ("", None) else str(value)


def schedule_lines(minimal: Minimal) -> Iterator[str]:
    """Say where the schedule leaves the default one: each task goes on while it can, then the oldest that can."""
    schedule = minimal.schedule
    for turn in schedule.turns:
        yield f"after {turn.task} did {turn.site}{_visit(turn.visit)}: {turn.to}"
    for value in schedule.choices:
        yield f"{value.task} chooses {value.value} at {value.site}{_visit(value.visit)}"
    if not schedule.turns and not schedule.choices:
        yield "the default one: each task goes on while it can, then the oldest that can"


def _visit(visit: int) -> str:
    return "" if visit == 1 else f" for the {visit}. time"


def causal_line(causal: Causal) -> str:
    """Say which two ops must come in this order for the failure to come."""
    first, second, flips = causal.first, causal.second, causal.flips
    how = f"all {flips.of} classes" if flips.proved else f"{flips.of - flips.fails} of {flips.of} runs"
    gone = f"swapped, this finding is gone in {how}{otherwise(flips.others, flips.of - flips.fails)}"
    return f"{first.task} {first.site} before {second.task} {second.site} ({causal.object}; {gone})"
