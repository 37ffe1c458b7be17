"""Variants of the kernel model: canaries (planted bugs), those of a user's own, and later eras and mutants."""

from __future__ import annotations

from mmrace.history.canaries import CANARIES
from mmrace.history.canary import Canary
from mmrace.history.variant import Variant, applied
from mmrace.runtime.errors import ONES_OWN, UsageError, unknown

__all__ = ["Canary", "Variant", "get", "own", "register"]

_registered: dict[str, Variant] = {}


def register(variant: Variant, where: str) -> None:
    """Make a variant known by its name.  Raises UsageError if the name is taken, or the model lacks what it binds."""
    if not variant.name or variant.name in _known():
        raise UsageError(expected="the name of a variant that is not taken", got=variant.name, where=where)
    with applied(variant):
        _registered[variant.name] = variant


def own() -> dict[str, Variant]:
    """Return the variants that users' files registered, by name."""
    return dict(_registered)


def _known() -> dict[str, Variant]:
    return {**{canary.name: canary.variant for canary in CANARIES}, **_registered}


def get(name: str) -> Variant:
    """Return a variant.  Raises UsageError with close names if there is none."""
    known = _known()
    if name not in known:
        raise unknown("a variant", name, known, try_=f"`mmrace list canaries` shows all of them; {ONES_OWN}")
    return known[name]
