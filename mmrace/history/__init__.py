"""Variants of the kernel model: canaries (planted bugs), and later eras, historical bugs and mutants."""

from __future__ import annotations

import difflib

from mmrace.history.canaries import CANARIES
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant
from mmrace.runtime.errors import UsageError

__all__ = ["Canary", "Variant", "get"]


def get(name: str) -> Variant:
    """Return a variant.  Raises UsageError with close names if there is none."""
    known = {canary.name: canary.variant for canary in CANARIES}
    if name not in known:
        close = difflib.get_close_matches(name, known)
        raise UsageError(
            expected=f"a variant out of {', '.join(known)}", got=name, try_=" or ".join(close) or "mmrace list"
        )
    return known[name]
