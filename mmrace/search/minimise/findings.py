"""Minimise what a search has found and kept: each finding's record, in its folder, beside which the minimal file goes.

Done when the search is over, in its own process: what was found and the verdict stand, whatever comes of it.
Invariant: a finding that was kept and is not made smaller is told with the reason, and fails nothing: also one of free
threads, which has no schedule, and one for which no time is left.  `mmrace minimise FOLDER` tries those.
"""

from __future__ import annotations

import shlex
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
    kept: Mapping[str, Found],
    makers: Makers,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Minimal | str]:
    """Make findings smaller that were kept; return by signature what came of it, a text if nothing did.

    Args: kept: by signature.  seconds: for each.  tell: is told what is being made smaller, in a line.  A minimal file
    that is there already is read, not made again.
    """
    made: dict[str, Minimal | str] = {}
    end = clock() + SHARES * seconds
    for number, (signature, found) in enumerate(kept.items(), 1):
        folder = Path(found.saved.folder)
        if not found.saved.folder:
            continue
        left = min(seconds, end - clock())
        try:
            made[signature] = _there(folder, found) or _nothing(folder, left, SHARES * seconds)
            if not made[signature]:
                tell(f"minimising finding {number} of {len(kept)}, {signature}, for at most {left:.0f} s")
                made[signature] = _minimal(folder, signature, found, makers, Budget(seconds=left, clock=clock))
        except (MmraceError, OSError) as error:
            made[signature] = str(error)
        except Exception as error:  # a bug of mmrace takes nothing from what was found
            made[signature] = f"mmrace bug: {error!r}; mmrace minimise {folder} shows where"
    return made


def _there(folder: Path, found: Found) -> Minimal | None:
    """Return the minimal file that an earlier session made."""
    path = folder / MINIMAL
    return Minimal.read(path) if found.saved.before and path.exists() else None


def _nothing(folder: Path, left: float, whole: float) -> str:
    """Say why a finding is not made smaller without trying to; "" if it can be tried.

    Args: left, whole: seconds, that this one may take, and that all together had.
    """
    if not (folder / RECORD).is_file():
        return "no record of it was kept"
    later = shlex.join(["mmrace", "minimise", str(folder)])
    if Record.read(folder / RECORD).header.get("engine") == "free":
        return f"it was seen under free threads only, which have no schedule; {later} tries once more to have it again"
    return f"the {whole:.0f} s for all findings were used up by those before it; try: {later}" if left <= 0 else ""


def _minimal(folder: Path, signature: str, found: Found, makers: Makers, budget: Budget) -> Minimal:
    """Return a finding's minimal file, made and written."""
    path, record = folder / MINIMAL, Record.read(folder / RECORD)
    minimal = replace(minimise(record, makers, signature, budget), rarity=found.rarity, health=found.health)
    minimal.write(path)
    return minimal
