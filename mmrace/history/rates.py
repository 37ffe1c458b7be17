"""How often each canary is found: hits in so many runs, as ``stress/bench/canaries.py --write`` measured them.

One data file, `canaries/rates.json`: canary -> place -> [hits, runs].  The places are "free" (threads that run freely,
with the canary's own noise) and "controlled" (schedules that the portfolio draws, with its parameters for a hunt).
Invariant: what is written is read back the same, one canary a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mmrace.runtime import files
from mmrace.runtime.decoding import Count, decode
from mmrace.runtime.files import MIB

FILE = Path(__file__).parent / "canaries" / "rates.json"


class Rate(NamedTuple):
    """A rate as it was measured."""

    hits: Count
    runs: Count


Rates: TypeAlias = Mapping[str, Mapping[str, Rate]]


def place_of(engine: str) -> str:
    """Return the place that an engine is measured in."""
    return "free" if engine == "free" else "controlled"


@cache
def load() -> Rates:
    """Return all rates of the data file."""
    return read(FILE)


def read(path: Path) -> Rates:
    """Read a file of rates.  Raises UsageError."""
    try_ = "stress/bench/canaries.py --write, which measures them"
    content = files.read_whole(path, MIB, what="file of rates", try_=try_)
    return decode(content, dict[str, dict[str, Rate]], what="rates", where=str(path), try_=try_)


def write(rates: Rates, path: Path) -> None:
    """Write a file of rates, sorted by name."""
    lines = (f"  {json.dumps(name)}: {json.dumps(rates[name])}" for name in sorted(rates))
    files.write_whole(path, ["{\n", ",\n".join(lines), "\n}\n"])
