"""Recorded workloads: what a real kernel did to which page and buffers, in which order and how close together.

A workload is data (schema ``mmrace-workload/1``), which ``tools/ktrace_workload.py`` makes from a kernel log and checks
by this same reader.  `recorded` in this package plays it.  Invariant: the actions of a loaded workload are sorted, of
known kinds, and on pages and buffers that exist; anything else is a UsageError.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import Counter
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from mmrace.kernel.mm.migrate import MigrateMode
from mmrace.runtime.errors import UsageError

SCHEMA = "mmrace-workload/1"
KINDS = ("dirty", "writeback", "migrate", "commit", "reclaim")


@dataclass(frozen=True, slots=True)
class Action:
    """One recorded action.  Times are microseconds from the first one; a commit has no page (-1)."""

    do: str
    begin_us: int
    end_us: int
    page: int = -1
    buffers: tuple[int, ...] = ()
    mode: str = ""
    outcome: str = ""


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
        path = Path(where)
        if path.suffix != ".json" and not path.exists():
            entry = resources.files("mmrace.scenarios") / "data" / f"{where}.json"
            if not entry.is_file():
                raise UsageError(
                    expected=f"a workload file, or a name out of {', '.join(packaged())}", got=where, where="--workload"
                )
            text = entry.read_text(encoding="utf-8")
        else:
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise UsageError(expected="a readable workload file", got=str(error), where=where) from error
        return cls.parse(text, where)

    @classmethod
    def parse(cls, text: str, where: str) -> Workload:
        """Parse a workload's JSON.  Raises UsageError."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise _malformed(error, where) from error
        return cls.of(data, where)

    @classmethod
    def of(cls, data: dict[str, Any], where: str) -> Workload:
        """Make a workload of decoded JSON.  Raises UsageError."""
        try:
            if data["schema"] != SCHEMA:
                raise UsageError(expected=SCHEMA, got=data["schema"], where=where, try_="convert the trace again")
            actions = tuple(_action(entry) for entry in data["actions"])
            made = cls(data["name"], data["source"], tuple(int(page["buffers"]) for page in data["pages"]), actions)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise _malformed(error, where) from error
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


def _malformed(error: Exception, where: str) -> UsageError:
    return UsageError(
        expected=f"a workload ({SCHEMA})",
        got=f"{type(error).__name__}: {error}",
        where=where,
        try_="make it with tools/ktrace_workload.py",
    )


def _action(entry: dict[str, Any]) -> Action:
    return Action(
        do=entry["do"],
        begin_us=int(entry["begin_us"]),
        end_us=int(entry["end_us"]),
        page=int(entry.get("page", -1)),
        buffers=tuple(int(b) for b in entry.get("buffers", ())),
        mode=str(entry.get("mode", "")),
        outcome=str(entry.get("outcome", "")),
    )


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
