"""The planted bugs, one a file; each file shows its whole difference to the correct protocol, as `CANARY`.

A file in this folder is found by itself.  Invariant: `CANARIES` has the canary of every file, sorted by name.
"""

from __future__ import annotations

import importlib
import pkgutil

from mmrace.history.canary import Canary


def _canary_of(module: str) -> Canary:
    canary = importlib.import_module(f"{__name__}.{module}").CANARY
    assert isinstance(canary, Canary), module
    return canary


CANARIES: tuple[Canary, ...] = tuple(_canary_of(info.name) for info in pkgutil.iter_modules(__path__))


def canaries() -> dict[str, Canary]:
    """Return every canary by name."""
    return {canary.name: canary for canary in CANARIES}
