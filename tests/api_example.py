"""How the Python API is meant to be used: checked by mypy with the rest, and run by a test."""

from __future__ import annotations

from pathlib import Path

import mmrace
from mmrace.examples import lost_update


def lost_update_kept_and_mended(folder: Path) -> list[str]:
    """Find a race, make it small, have it again, and hold the mended program to it; return what came of each."""
    found: mmrace.Explored = mmrace.explore(lost_update.main, exhaustive=True, without=["data-race"], folder=folder)
    record: Path = found.records[found.findings[0].signature]
    minimal: mmrace.Minimal = mmrace.minimise(record, runs=100, out=folder / "minimal.json")
    again: mmrace.Replayed = mmrace.replay(folder / "minimal.json")
    mended: mmrace.Replayed = mmrace.replay(folder / "minimal.json", program=lost_update.mended, near=20)
    turns = [f"{turn.task} after {turn.site}: {turn.to}" for turn in minimal.schedule.turns]
    return [found.verdict, *turns, again.verdict, str(again.same), mended.verdict]
