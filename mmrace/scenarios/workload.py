"""Recorded workloads: what a real kernel did to which page and buffers, in which order and how close together.

A workload is data (schema ``mmrace-workload/1``), which ``tools/ktrace_workload.py`` makes from a kernel log and checks
by this same reader.  `recorded` in this package plays it.  Invariant: the actions of a loaded workload are sorted, of
known kinds, on pages and buffers that exist, and not more than a run can do in seconds; anything else is a UsageError.
"""

from __future__ import annotations

import os
from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.runtime import files
from mmrace.runtime.decoding import Count, converted, decode
from mmrace.runtime.errors import UsageError
from mmrace.runtime.files import MIB

SCHEMA = "mmrace-workload/1"
KINDS = ("dirty", "writeback", "migrate", "commit", "reclaim", "read")
WHAT = f"a workload ({SCHEMA})"
TRY = "make it with tools/ktrace_workload.py"

BYTES_MAX = MIB
ACTIONS_MAX = 2_000  # twenty times those that come with the package; a run of so many takes seconds
PAGES_MAX = 64  # as many as a scenario's file may have
BUFFERS_MAX = 64


@dataclass(frozen=True, slots=True)
class Action:
    """One recorded action.  Times are microseconds from the first one; a commit has no page (-1)."""

    do: str
    begin_us: Count
    end_us: Count
    page: int = -1
    buffers: Annotated[tuple[int, ...], Meta(max_length=BUFFERS_MAX)] = ()
    mode: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class _Page:
    buffers: Annotated[int, Meta(ge=1, le=BUFFERS_MAX)]


@dataclass(frozen=True, slots=True)
class _File:
    """What a file must have; what else it has is for people."""

    schema: str
    name: str
    source: dict[str, Any]
    pages: Annotated[tuple[_Page, ...], Meta(max_length=PAGES_MAX)]
    actions: Annotated[tuple[Action, ...], Meta(max_length=ACTIONS_MAX)]


@dataclass(frozen=True, slots=True)
class Workload:
    """A recorded workload: `pages[i]` is the number of buffers of logical page i."""

    name: str
    source: dict[str, Any]
    pages: tuple[int, ...]
    actions: tuple[Action, ...]

    @classmethod
    def load(cls, where: str) -> Workload:
        """Load a workload by name (package data) or path.  Raises UsageError if there is none or it is malformed."""
        if Path(where).suffix == ".json" or os.path.exists(where):
            content = files.read_whole(where, BYTES_MAX, what="workload file", try_=TRY)
        elif where in packaged():
            content = (resources.files("mmrace.scenarios") / "data" / f"{where}.json").read_bytes()
        else:
            raise UsageError(
                expected=f"a workload file, or a name out of {', '.join(packaged())}", got=where, where="--workload"
            )
        return cls.parse(content, where)

    @classmethod
    def parse(cls, content: bytes, where: str) -> Workload:
        """Parse a workload's JSON.  Raises UsageError."""
        return cls.of(decode(content, dict[str, Any], what=WHAT, where=where, try_=TRY), where)

    @classmethod
    def of(cls, data: dict[str, Any], where: str) -> Workload:
        """Make a workload of decoded JSON.  Raises UsageError."""
        if data.get("schema", SCHEMA) != SCHEMA:
            raise UsageError(expected=SCHEMA, got=data["schema"], where=where, try_="convert the trace again")
        file = converted(data, _File, what=WHAT, where=where, try_=TRY)
        made = cls(file.name, file.source, tuple(page.buffers for page in file.pages), file.actions)
        made._check(where)
        return made

    def _check(self, where: str) -> None:
        last = (0, 0)
        for i, action in enumerate(self.actions):
            wrong = (
                f"unknown deed {action.do!r}"
                if action.do not in KINDS
                else "ends before it begins"
                if action.end_us < action.begin_us
                else "out of order"
                if (action.begin_us, action.end_us) < last
                else f"page {action.page} of {len(self.pages)}"
                if not (action.page < 0 if action.do == "commit" else 0 <= action.page < len(self.pages))
                else f"buffers {action.buffers}"
                if action.page >= 0 and any(not 0 <= b < self.pages[action.page] for b in action.buffers)
                else f"mode {action.mode!r}"
                if action.do == "migrate" and action.mode not in MigrateMode.__members__
                else ""
            )
            if wrong:
                raise UsageError(expected="a consistent action", got=wrong, where=f"{where}: action {i}")
            last = (action.begin_us, action.end_us)
        if not self.actions or not self.pages:
            raise UsageError(expected="at least one page and one action", got="none", where=where)

    def counts(self) -> dict[str, int]:
        """Return how many actions of each kind there are."""
        return dict(Counter(action.do for action in self.actions))


def packaged() -> list[str]:
    """Return the names of the workloads that come with the package."""
    data = resources.files("mmrace.scenarios") / "data"
    return sorted(entry.name[: -len(".json")] for entry in data.iterdir() if entry.name.endswith(".json"))


def order_kept(begun: list[int], actions: int) -> tuple[int, int]:
    """Return (kept, all) over the pairs of actions that were performed: kept are those begun in the recorded order.

    `begun` are indices below `actions`, in the order in which they began.
    """
    seen: list[int] = []
    kept = 0
    for k in begun:
        if not 0 <= k < actions:
            raise ValueError(f"action {k} of {actions}")
        kept += bisect_left(seen, k)
        insort(seen, k)
    return kept, len(begun) * (len(begun) - 1) // 2
