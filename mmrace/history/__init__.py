"""Variants of the kernel model: canaries (planted bugs), and later eras, historical bugs and mutants."""

from __future__ import annotations

from mmrace.history.canaries import CANARIES
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.runtime.errors import unknown

__all__ = ["Canary", "Variant", "get"]


def get(name: str) -> Variant:
    """Return a variant.  Raises UsageError with close names if there is none."""
    known = {canary.name: canary.variant for canary in CANARIES}
    if name not in known:
        raise unknown("a variant", name, known, try_="`mmrace list canaries` shows all of them")
    return known[name]
