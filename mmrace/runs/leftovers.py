"""What a killed process has left among findings under a hidden name: a finding is put back, half a one removed.

A folder that gives way to a better one is renamed twice, and between the two has no name of its own; whoever is killed
just then would take the finding along.  Invariant: safe beside processes that are at work, of which one that finds its
folder put back counts a hit.  Not here: how folders give way (`store.py`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from mmrace.runs import kept
from mmrace.runs.store import FindingStore

HIDDEN = re.compile(r"\.mmrace-[0-9a-f]+\.part(?P<old>\.old)?")
LEFT_SECONDS = 3600.0  # nobody takes so long to write a finding


def put_back(folder: Path, clock: Callable[[], float] = time.time) -> list[str]:
    """Tidy a folder of findings, which need not be there; return the signatures that have a folder again.

    Raises nothing: what cannot be moved or removed stays.
    """
    found = []
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            hidden = HIDDEN.fullmatch(path.name)
            if hidden is None:
                continue
            with contextlib.suppress(OSError):
                if hidden["old"] and (signature := _again(path)):
                    found.append(signature)
                elif clock() - path.lstat().st_mtime > LEFT_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
    return found


def _again(path: Path) -> str:
    """Give a folder its name back, if it has none and nobody else has it; return its signature, "" if not."""
    gone = kept.read(path)
    if gone is None or not gone.signature:
        return ""
    store = FindingStore(path.parent)
    plain, beside = store.place(gone.signature), store.place(gone.owner.beside(gone.signature))
    there = kept.read(plain)
    if beside.exists() or (there is not None and there.owner == gone.owner):
        return ""
    os.rename(path, beside if plain.exists() else plain)
    return gone.signature
