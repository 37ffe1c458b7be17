"""Minimise what a search has found and kept: each finding's record, in its folder, beside which the minimal file goes.

Done when the search is over, in its own process: what was found and the verdict stand, whatever comes of it.
Invariant: a finding that cannot be made smaller is told with the reason, and fails nothing.  Left out are records of
free threads, which have no schedule, and findings for which no time is left; `mmrace minimise FOLDER` does those.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from mmrace.runs.kept import RECORD
from mmrace.runs.minimal import MINIMAL, Minimal
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


def minimise_kept(
    kept: Mapping[str, Saved], makers: Makers, seconds: float, clock: Callable[[], float] = time.monotonic
) -> dict[str, Minimal | str]:
    """Make findings smaller that were kept; return by signature what came of it, a text if nothing did.

    Args: kept: signature -> where.  seconds: for each.  A minimal file that is there already is read, not made again.
    """
    made: dict[str, Minimal | str] = {}
    end = clock() + SHARES * seconds
    for signature, saved in kept.items():
        folder = Path(saved.folder)
        left = min(seconds, end - clock())
        if not saved.folder or not (folder / RECORD).is_file() or left <= 0:
            continue
        try:
            found = _minimal(folder, signature, makers, Budget(seconds=left, clock=clock), there=saved.before)
        except (MmraceError, OSError) as error:
            made[signature] = str(error)
        except Exception as error:  # a bug of mmrace takes nothing from what was found
            made[signature] = f"mmrace bug: {error!r}; mmrace minimise {folder} shows where"
        else:
            if found is not None:
                made[signature] = found
    return made


def _minimal(folder: Path, signature: str, makers: Makers, budget: Budget, *, there: bool) -> Minimal | None:
    """Return a finding's minimal file, made and written unless it is there; None for a record of free threads."""
    path = folder / MINIMAL
    if there and path.exists():
        return Minimal.read(path)
    record = Record.read(folder / RECORD)
    if record.header.get("engine") == "free":
        return None
    minimal = minimise(record, makers, signature, budget)
    minimal.write(path)
    return minimal
