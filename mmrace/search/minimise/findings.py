"""Minimise what a search has found and kept: each finding's record, in its folder, beside which the minimal file goes.

Done when the search is over, in its own process: what was found and the verdict stand, whatever comes of it.
Invariant: a finding that cannot be made smaller is told with the reason, and fails nothing.  Left out are records of
free threads, which have no schedule, and findings for which no time is left; `mmrace minimise FOLDER` does those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mmrace.runs.kept import RECORD
from mmrace.runs.minimal import MINIMAL, Minimal, Plain
from mmrace.runs.program import Makers
from mmrace.runs.store import Saved
from mmrace.runtime.errors import MmraceError
from mmrace.runtime.record import Record
from mmrace.search.minimise.minimise import minimise
from mmrace.search.minimise.trials import Budget

SECONDS = 4.0
"""How long one finding may take.  Most take less."""
SHARES = 3
"""All findings of a search together may take so many times that: somebody waits who asked for a verdict."""


class Found(NamedTuple):
    """A finding that was kept, and what its search has to say of it (`Minimal.rarity`, `Minimal.health`)."""

    saved: Saved
    rarity: Plain | None = None
    health: Plain | None = None


def minimise_kept(
    kept: Mapping[str, Found], makers: Makers, seconds: float, clock: Callable[[], float] = time.monotonic
) -> dict[str, Minimal | str]:
    """Make findings smaller that were kept; return by signature what came of it, a text if nothing did.

    Args: kept: by signature.  seconds: for each.  A minimal file that is there already is read, not made again.
    """
    made: dict[str, Minimal | str] = {}
    end = clock() + SHARES * seconds
    for signature, found in kept.items():
        folder = Path(found.saved.folder)
        left = min(seconds, end - clock())
        if not found.saved.folder or not (folder / RECORD).is_file() or left <= 0:
            continue
        try:
            minimal = _minimal(folder, signature, found, makers, Budget(seconds=left, clock=clock))
        except (MmraceError, OSError) as error:
            made[signature] = str(error)
        except Exception as error:  # a bug of mmrace takes nothing from what was found
            made[signature] = f"mmrace bug: {error!r}; mmrace minimise {folder} shows where"
        else:
            if minimal is not None:
                made[signature] = minimal
    return made


def _minimal(folder: Path, signature: str, found: Found, makers: Makers, budget: Budget) -> Minimal | None:
    """Return a finding's minimal file, made and written unless it is there; None for a record of free threads."""
    path = folder / MINIMAL
    if found.saved.before and path.exists():
        return Minimal.read(path)
    record = Record.read(folder / RECORD)
    if record.header.get("engine") == "free":
        return None
    minimal = replace(minimise(record, makers, signature, budget), rarity=found.rarity, health=found.health)
    minimal.write(path)
    return minimal
